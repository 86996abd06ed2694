package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spark-harness/harness/internal/pagecache"
	"github.com/spark-harness/harness/spark/adapters"
)

type adaptersCmd struct {
	Make  adaptersMakeCmd  `cmd:"" help:"Write LoRA adapters of random weights, of the sizes that a model's have."`
	Check adaptersCheckCmd `cmd:"" help:"Prove that LoRA adapters are whole, and tell what of them is cached."`
}

type adaptersMakeCmd struct {
	Dir     string   `arg:"" type:"path" help:"Directory for the adapters, on the disk that the server will read."`
	Model   string   `default:"L8B" enum:"L8B,L70B" help:"Base model: L8B or L70B."`
	Rank    int      `default:"16" help:"Rank of LoRA, 1 to 512."`
	Count   int      `default:"64" help:"How many."`
	Modules []string `default:"q_proj,v_proj" help:"Layers that have weights: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj; or all-linear."`
	DType   string   `name:"dtype" default:"BF16" enum:"BF16,F16,F32" help:"Type of the weights: BF16, F16 or F32."`
	Seed    uint64   `help:"The same seed gives the same weights."`
}

// Help teaches by examples.
func (adaptersMakeCmd) Help() string {
	return `What a server reads from the disk when it loads an adapter depends on the adapter's size, not on what it was trained for. These are whole PEFT adapters, which vLLM, TensorRT-LLM and transformers load, with small random weights: lora-0001, lora-0002 and so on, each a directory with adapter_config.json and adapter_model.safetensors.

Sizes in MB at rank 16; they grow with the rank, and F32 doubles them:

    L8B   q_proj,v_proj  13.6     all-linear   83.9
    L70B  q_proj,v_proj  65.5     all-linear  414.1

Those that are there already are found again, nothing is ever overwritten, and a full disk or Ctrl-C leaves whole adapters only. They are written past the page cache, so a server's first read of one comes from the disk.

Examples:

    spark adapters make .spark/lora                        # 64 of 13.6 MB
    spark adapters make --model L70B --count 16 /data/lora
    spark adapters make --rank 64 --modules all-linear --count 4 /data/large
    spark adapters check .spark/lora`
}

// Run makes the adapters and says how fast they were written.
func (c adaptersMakeCmd) Run(ctx context.Context, s streams) error {
	spec := adapters.Spec{Model: c.Model, Rank: c.Rank, Modules: c.Modules, DType: c.DType, Seed: c.Seed}
	each, err := spec.Bytes()
	if c.Count < 1 || c.Count > adapters.MaxCount {
		err = errors.Join(err, fmt.Errorf("count %d (1 to %d)", c.Count, adapters.MaxCount))
	}
	if err != nil {
		return exitError{2, err}
	}
	live, began, written, shown := terminal(), time.Now(), int64(0), time.Duration(0)
	list, err := adapters.Make(ctx, c.Dir, spec, c.Count, func(done, total int64) {
		if written == 0 {
			fmt.Fprintf(s.err, "writing %d adapters below %s, %s\n", total/each, c.Dir, megabytes(total))
		}
		written = done
		if took := time.Since(began); took-shown >= liveEvery {
			shown = took
			live.Show(makeLine(done, total, took))
		}
	})
	took := time.Since(began)
	live.Clear()
	if err != nil {
		return err
	}
	total := each * int64(len(list))
	if written == 0 {
		fmt.Fprintf(s.out, "%d adapters of %s, %s in all: they were there already\n", len(list), megabytes(each), megabytes(total))
		return nil
	}
	fmt.Fprintf(s.out, "%d adapters of %s, %s in all: %s written in %v, %.0f MB/s\n",
		len(list), megabytes(each), megabytes(total), megabytes(written), took.Round(10*time.Millisecond), mbps(written, took))
	return nil
}

// makeLine is how far the writing is.
func makeLine(done, total int64, took time.Duration) string {
	left := time.Duration(float64(took) / float64(done) * float64(total-done))
	return fmt.Sprintf("%s of %s, %.0f MB/s, %v left", megabytes(done), megabytes(total), mbps(done, took), left.Round(time.Second))
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func mbps(n int64, took time.Duration) float64 { return float64(n) / 1e6 / took.Seconds() }

type adaptersCheckCmd struct {
	Dir  string `arg:"" type:"path" help:"The directory that holds the adapters' directories."`
	JSON bool   `help:"Print the adapters as JSON."`
}

// Help teaches by examples.
func (adaptersCheckCmd) Help() string {
	return `Any LoRA adapters in PEFT's form can be brought along, not only those of spark adapters make. Each one's config and the header of its weights are read and held against each other: rank and modules, both halves of every pair, every byte of the file accounted for. A copy that was cut short is found so, as is a header that lies. Weights are not read, so it takes a few milliseconds an adapter and leaves cold adapters cold.

The last column is the part of the weights that the page cache holds right now: a server that loads an adapter of 100% does not read the disk.

Adapters in the cache of Hugging Face's hub are links out of their directory, which are not followed: copy them with cp -rL.

Examples:

    spark adapters check .spark/lora
    spark adapters check /data/lora --json | jq '.[].rank'

It exits with 1 when one is damaged, and names all that are.`
}

// checked is one line of the answer.
type checked struct {
	adapters.Adapter
	// Cached is nil where the kernel does not tell.
	Cached *pagecache.Residency `json:"cached"`
}

// Run prints the adapters that are whole, and fails if others are not.
func (c adaptersCheckCmd) Run(s streams) error {
	list, err := adapters.List(c.Dir)
	errs := []error{err}
	all := make([]checked, 0, len(list))
	var hidden error
	for _, a := range list {
		line := checked{Adapter: a}
		if r, err := pagecache.Of(a.File); err == nil {
			line.Cached = &r
		} else if errors.Is(err, pagecache.ErrHidden) {
			hidden = err
		} else {
			errs = append(errs, err)
		}
		all = append(all, line)
	}
	if hidden != nil {
		fmt.Fprintf(s.err, "note: %v\n", hidden) // once: it is alike for all
	}
	if err == nil && len(all) == 0 {
		return fmt.Errorf("%s holds no adapters (spark adapters make %s writes some)", c.Dir, c.Dir)
	}
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		errs = append(errs, enc.Encode(all))
	} else {
		errs = append(errs, table(s, all))
	}
	return errors.Join(errs...)
}

// table is the answer for people.
func table(s streams, all []checked) error {
	if len(all) == 0 {
		return nil
	}
	var total int64
	cached := &pagecache.Residency{}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "adapter\tbase\trank\tmodules\tMB\tcached")
	for _, a := range all {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%.1f\t%s\n", plain(a.Name), plain(a.Base), a.Rank, plain(strings.Join(a.Modules, ",")), float64(a.Bytes)/1e6, cachedShare(a.Cached))
		total += a.Bytes
		if a.Cached == nil {
			cached = nil
		} else if cached != nil {
			*cached = cached.Add(*a.Cached)
		}
	}
	fmt.Fprintf(w, "%d in %s\t\t\t\t%.1f\t%s\n", len(all), plain(filepath.Base(filepath.Dir(all[0].Dir))), float64(total)/1e6, cachedShare(cached))
	return w.Flush()
}

func cachedShare(r *pagecache.Residency) string {
	if r == nil {
		return "?"
	}
	return fmt.Sprintf("%.1f%%", 100*r.Share())
}

// plain is text of a stranger's file without what moves a terminal's cursor.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
