package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// seconds is a duration whose unit may be left out.
type seconds time.Duration

// UnmarshalText reads "90s", "5m" or "90".
func (d *seconds) UnmarshalText(text []byte) error {
	if v, err := strconv.ParseFloat(string(text), 64); err == nil && v >= 0 && v <= 1e9 {
		*d = seconds(v * float64(time.Second))
		return nil
	}
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no length of time (write 90s, 5m or 90)", text)
	}
	*d = seconds(v)
	return nil
}

// loadDefaults are what flags mean that are not given.
type loadDefaults struct {
	duration, timeout time.Duration
	maxTokens         int
	seed              uint64
	topP              float64
	nonce             loadgen.NoncePosition
	session           loadgen.AdapterChoice
}

func ownDefaults() loadDefaults {
	return loadDefaults{duration: 10 * time.Second, maxTokens: 64, seed: 1, nonce: loadgen.NonceStart, session: loadgen.AdapterSticky}
}

// earlierDefaults are those of the Python load generator of harness versions 2
// and 3, src/loadgen.py.
func earlierDefaults() loadDefaults {
	return loadDefaults{
		duration: 300 * time.Second, timeout: 120 * time.Second, maxTokens: 256, seed: 42, topP: 1,
		nonce: loadgen.NonceOff, session: loadgen.AdapterRandom,
	}
}

// earlierDiffers is the one line that its users must read.
const earlierDiffers = "--run-id: defaults are the earlier load generator's (300 s, 256 tokens, seed 42, top-p 1, timeout 120 s, adapters at random, no nonce without --use-nonce). " +
	"What differs: the first second is warm-up and not counted (--warmup 0); TTFT is a success's first token, not any answer's first bytes; files are asked in turn; " +
	"a nonce stands at the start, so that no prefix cache serves the prompt (--nonce end is theirs); Triton is asked in the shape that its model has; without -P prompts of 256 tokens are made; nothing is overwritten."

// settled has every default in its place.
func (c loadCmd) settled(s streams) loadCmd {
	d := ownDefaults()
	if c.RunID != "" {
		d = earlierDefaults()
		fmt.Fprintln(s.err, earlierDiffers)
		c.Out = cmp.Or(c.Out, os.Getenv("RESULTS_DIR"), below("HARNESS_DIR", "results"), "results")
		if mode, err := loadgen.ParseMode(c.APIMode, c.LoRA.List != ""); err == nil && !mode.Triton {
			c.Model = cmp.Or(c.Model, os.Getenv("MODEL_HANDLE"))
		}
	}
	if c.UseNonce {
		c.Nonce = cmp.Or(c.Nonce, string(loadgen.NonceStart))
	}
	c.Nonce = cmp.Or(c.Nonce, string(d.nonce))
	if c.LoRA.List != "" {
		c.LoRA.Session = cmp.Or(c.LoRA.Session, string(d.session))
	}
	c.Timeout = cmp.Or(c.Timeout, seconds(d.timeout))
	c.TopP = cmp.Or(c.TopP, d.topP)
	if c.Duration == nil {
		c.Duration = new(seconds(d.duration))
	}
	if c.MaxTokens == nil {
		c.MaxTokens = &d.maxTokens
	}
	if c.Seed == nil {
		c.Seed = &d.seed
	}
	if c.JSON {
		c.Format = "json"
	}
	return c
}

// input is a file as it is named, else below the directory where the earlier
// harness kept its inputs.
func input(path string) string {
	if _, err := os.Stat(path); err == nil || filepath.IsAbs(path) {
		return path
	}
	if dir := cmp.Or(os.Getenv("INPUTS_DIR"), below("HARNESS_DIR", "inputs")); dir != "" {
		if other := filepath.Join(dir, path); exists(other) {
			return other
		}
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// below is a directory below the one that an environment variable names, ""
// where it names none.
func below(env, name string) string {
	if dir := os.Getenv(env); dir != "" {
		return filepath.Join(dir, name)
	}
	return ""
}
