package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spark-harness/harness/spark/emulator"
)

type serveCmd struct {
	Emulator emulatorCmd `cmd:"" help:"Serve the embedded emulator until Ctrl-C: curl works against it as against vLLM."`
}

type emulatorCmd struct {
	Model      string `default:"L8B" enum:"L8B,L70B" help:"Preset: L8B or L70B."`
	Addr       string `default:"127.0.0.1:8000" help:"Address to listen on."`
	Dir        string `default:".spark/spill" type:"path" help:"Directory on the disk under test for the spill file."`
	SpillBytes int64  `help:"Size of the spill file; default: the preset's, 2 GiB for L8B and 4 GiB for L70B."`
	NoPaging   bool   `help:"A pool that holds everything: nothing is ever written or read back."`
	Strict     bool   `help:"Refuse unknown request fields, as trtllm-serve does."`
	Truth      string `type:"path" help:"Write the server's own account of every request to this file (.jsonl or .jsonl.zst)."`
}

// Run serves in this process, so that Ctrl-C ends it and removes its spill file.
func (c emulatorCmd) Run(ctx context.Context, s streams) error {
	cfg, err := emulator.Preset(c.Model)
	if err != nil {
		return err
	}
	cfg.Addr, cfg.Strict, cfg.TruthPath, cfg.SpillDir = c.Addr, c.Strict, c.Truth, c.Dir
	if c.SpillBytes != 0 {
		cfg.SpillBytes = c.SpillBytes
	}
	if c.NoPaging {
		cfg = cfg.NoPaging()
	} else if err := os.MkdirAll(c.Dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make spill directory: %w (choose one with --dir)", err)
	}
	fmt.Fprintln(s.err, "writing the spill file …")
	return emulator.Serve(ctx, cfg, func(i emulator.Info) {
		fmt.Fprintf(s.out, "%s serves %s (emulated): pool of %d tokens (%d MB), spill file %s\n", i.URL, i.Model, i.PoolTokens, i.PoolBytes/1e6, i.SpillPath)
		fmt.Fprintf(s.out, "try: curl %s/v1/completions -d '{\"model\":\"%s\",\"prompt\":\"Hello\",\"max_tokens\":8,\"stream\":true}'\n", i.URL, i.Model)
	})
}
