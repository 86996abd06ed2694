package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spark-harness/harness/spark/emulator"
)

type serveCmd struct {
	Emulator emulatorCmd `cmd:"" help:"Serve the embedded emulator until Ctrl-C: curl works against it as against vLLM and Triton."`
}

type emulatorCmd struct {
	Model          string `default:"L8B" enum:"L8B,L70B" help:"Preset: L8B or L70B."`
	Addr           string `default:"127.0.0.1:8000" help:"Address to listen on."`
	TritonAddr     string `default:"127.0.0.1:8001" help:"Address of Triton's face, which has port 8000 at home; empty for none."`
	Dir            string `default:".spark/spill" type:"path" help:"Directory on the disk under test for the spill file."`
	SpillBytes     int64  `help:"Size of the spill file; default: the preset's, 2 GiB for L8B and 4 GiB for L70B."`
	Adapters       string `type:"path" help:"Directory of LoRA adapters, which are read on first use; spark adapters make writes some."`
	AdapterSlots   int    `help:"How many adapters memory holds; default: the preset's, 12."`
	AdapterPages   string `default:"drop" enum:"drop,keep,hold" help:"What the page cache keeps of adapters: drop those that leave memory, keep what the kernel keeps, or hold all of them."`
	AdaptersPinned bool   `help:"Load every adapter at the start and evict none."`
	NoPaging       bool   `help:"A pool that holds everything: nothing is ever written or read back."`
	Strict         bool   `help:"Refuse unknown request fields, as trtllm-serve does."`
	Truth          string `type:"path" help:"Write the server's own account of every request to this file (.jsonl or .jsonl.zst)."`
}

// Help teaches by examples.
func (emulatorCmd) Help() string {
	return `A server to measure where there is no other: its compute is modelled, but its memory is bounded and what does not fit is really written to and read from the disk below --dir. It has the APIs of vLLM (OpenAI's) and of Triton at once, and Prometheus metrics under the names of real servers. It makes its spill file first, which takes a while, and removes it at the end.

Examples:

    spark serve emulator
    spark serve emulator --model L70B --dir /mnt/nvme/spill
    spark adapters make .spark/lora && spark serve emulator --adapters .spark/lora
    spark serve emulator --no-paging &  spark load -U 32 --duration 30s`
}

// Run serves in this process, so that Ctrl-C ends it and removes its spill file.
func (c emulatorCmd) Run(ctx context.Context, s streams) error {
	cfg, err := emulator.Preset(c.Model)
	if err != nil {
		return err
	}
	cfg.Addr, cfg.TritonAddr, cfg.Strict, cfg.TruthPath, cfg.SpillDir = c.Addr, c.TritonAddr, c.Strict, c.Truth, c.Dir
	if c.Adapters != "" {
		cfg.AdapterDir, cfg.AdapterSlots = c.Adapters, cmp.Or(c.AdapterSlots, cfg.AdapterSlots)
		cfg.AdapterPages, cfg.AdapterPinned = emulator.AdapterPages(c.AdapterPages), c.AdaptersPinned
	}
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
		announce(s.out, i)
	})
}

// announce says where the server listens and how to ask it.
func announce(out io.Writer, i emulator.Info) {
	fmt.Fprintf(out, "%s serves %s (emulated): pool of %d tokens (%d MB), spill file %s\n", i.URL, i.Model, i.PoolTokens, i.PoolBytes/1e6, i.SpillPath)
	model, triton := i.Model, `ensemble/generate_stream -d '{"text_input":"Hello","max_tokens":8,"stream":true}'`
	if n := len(i.Adapters); n > 0 {
		fmt.Fprintf(out, "%d adapters, %s to %s, of which memory holds %d of %.1f MB\n", n, i.Adapters[0], i.Adapters[n-1], i.AdapterSlots, float64(i.AdapterBytes)/1e6)
		model = i.Adapters[0]
		triton = fmt.Sprintf(`vllm_model/generate_stream -d '{"text_input":"Hello","stream":true,"parameters":{"max_tokens":8,"lora_name":"%s"}}'`, model)
	}
	fmt.Fprintf(out, "try: curl -N %s/v1/completions -d '{\"model\":\"%s\",\"prompt\":\"Hello\",\"max_tokens\":8,\"stream\":true}'\n", i.URL, model)
	if i.TritonURL == "" {
		return
	}
	fmt.Fprintf(out, "%s is its Triton face: models ensemble, tensorrt_llm and vllm_model\n", i.TritonURL)
	fmt.Fprintf(out, "try: curl -N %s/v2/models/%s\n", i.TritonURL, triton)
}
