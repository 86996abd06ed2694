package hypotheses

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/adapters"
)

// What the emulator serves where nobody brings adapters.
const (
	loraRank  = 16
	loraCount = 64
)

// openLoRATarget is openTarget for the server of adapters: the one given, else
// one of this host, else the emulator with adapters made for it.
func openLoRATarget(ctx context.Context, c Config, place targetPlace, p Progress) (*target, error) {
	e := spark.Endpoint{URL: c.LoRAURL, Model: c.Model, APIKey: c.APIKey, CAFile: c.CAFile}
	mode, err := loadgen.ParseMode(cmp.Or(c.LoRAAPI, "auto"), true)
	if err != nil {
		return nil, err
	}
	e.API = spark.APIOf(mode)
	if e.URL != "" {
		if c.LoRADir == "" {
			return nil, noAdapterFiles(e.URL)
		}
		t, err := attach(ctx, e, p)
		if err != nil {
			return nil, err
		}
		t.flavor = mode.Flavor
		return t, nil
	}
	if c.Emulator == "" {
		found := e
		found.API = cmp.Or(c.LoRAAPI, "auto") // whichever answers
		t, err := findTarget(ctx, found, []string{"http://127.0.0.1:8000"}, p)
		switch {
		case err != nil:
			return nil, err
		case t != nil && c.LoRADir == "":
			return nil, noAdapterFiles(t.server.Endpoint.URL)
		case t != nil:
			t.flavor = mode.Flavor
			return t, nil
		}
	}
	return startLoRAEmulator(ctx, c, place, e.API, p)
}

func noAdapterFiles(url string) error {
	return fmt.Errorf("hypotheses: %s: without its adapter files nothing can be proven cold (name their directory with SPARK_LORA_DIR, or measure the emulator with SPARK_EMULATOR=default)", url)
}

// startLoRAEmulator starts the emulator of the plan's LoRA server. It keeps no
// KV beyond its memory: the adapters are the only thing that it reads.
func startLoRAEmulator(ctx context.Context, c Config, place targetPlace, api string, p Progress) (*target, error) {
	ec, err := c.preset(place)
	if err != nil {
		return nil, err
	}
	ec.SpillBytes, ec.SpillDir = 0, ""
	if ec.AdapterDir, err = c.adapterDir(ctx, place, ec.Model, p); err != nil {
		return nil, err
	}
	switch c.Emulator {
	case controlAdaptersPinned:
		ec = ec.AdaptersPinned()
	case controlAdaptersFit:
		ec = ec.AdaptersFit(loraCount)
	case controlAdaptersWarm:
		ec = ec.AdaptersWarm()
	}
	return serve(ctx, c, ec, api, p)
}

// adapterDir is the user's directory, else one with adapters made for the model.
func (c Config) adapterDir(ctx context.Context, place targetPlace, model string, p Progress) (string, error) {
	if c.LoRADir != "" {
		return filepath.Abs(c.LoRADir)
	}
	spec := adapters.Spec{Model: model, Rank: loraRank, Seed: TargetSeed}
	if c.adapters != nil {
		spec = *c.adapters
	}
	dir := filepath.Join(place.dir, "adapters", fmt.Sprintf("%s-r%d", spec.Model, spec.Rank))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("hypotheses: make directory of adapters: %w (choose another with SPARK_DIR)", err)
	}
	_, err := adapters.Make(ctx, dir, spec, loraCount, func(done, total int64) {
		p.livef("writing adapters: %d of %d MB", done/1e6, total/1e6)
	})
	return dir, err
}

// adapterFiles are the adapters that this machine can see, by name.
func (r *Rig) adapterFiles() (map[string]adapters.Adapter, string, error) {
	dir := r.Config.LoRADir
	if c := r.target.config; dir == "" && c != nil {
		dir = c.AdapterDir
	}
	list, err := adapters.List(dir)
	if err != nil {
		return nil, dir, err
	}
	if len(list) == 0 {
		return nil, dir, fmt.Errorf("hypotheses: %s holds no adapter (write some with spark adapters make, or name another directory with SPARK_LORA_DIR)", dir)
	}
	files := map[string]adapters.Adapter{}
	for _, a := range list {
		files[a.Name] = a
	}
	return files, dir, nil
}
