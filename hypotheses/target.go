package hypotheses

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/emulator"
)

// Kinds of target, as verdicts name them.
const (
	kindEmulator = "emulator"
	kindAttached = "attached"
)

// target is the server under test, with what must be ended afterwards.
type target struct {
	kind   string
	server *spark.Server
	child  *spark.EmulatorProcess // nil when attached
	config *emulator.Config       // of the child, for the manifest
}

// targetPlace is what the emulator needs to know, should it be started.
type targetPlace struct {
	preset string
	dir    string // spills below it
	truth  string // its own log
	epoch  time.Duration
}

// openTarget uses the URL given or fails; without one it takes a healthy
// server of this host, else starts the emulator.
func openTarget(ctx context.Context, c Config, place targetPlace, p Progress) (*target, error) {
	e := spark.Endpoint{URL: c.BaselineURL, Model: c.Model, APIKey: c.APIKey, CAFile: c.CAFile}
	if e.URL != "" {
		p.logf("target: %s (given)", e.URL)
		s, err := spark.Attach(ctx, e)
		if err != nil {
			return nil, err
		}
		return &target{kind: kindAttached, server: s}, nil
	}
	if c.Emulator == "" {
		e.ReadyTimeout = 5 * time.Second // nobody asked for that server: do not wait for it to load
		s, err := spark.Find(ctx, e, spark.LocalURLs())
		if err == nil {
			p.logf("target: %s (found on this host; SPARK_EMULATOR=default measures the emulator instead)", s.Endpoint.URL)
			return &target{kind: kindAttached, server: s}, nil
		}
		if !errors.Is(err, spark.ErrNoServer) {
			return nil, err
		}
	}
	return startEmulator(ctx, c, place, p)
}

func startEmulator(ctx context.Context, c Config, place targetPlace, p Progress) (*target, error) {
	preset := place.preset
	if c.Model != "" {
		preset = c.Model
	}
	ec, err := emulator.Preset(preset)
	if err != nil {
		return nil, fmt.Errorf("hypotheses: SPARK_MODEL: %w", err)
	}
	control := ""
	if c.Emulator == "no-paging" {
		ec, control = ec.NoPaging(), " no-paging"
	} else {
		ec.SpillDir = filepath.Join(place.dir, "spill")
		if err := os.MkdirAll(ec.SpillDir, 0o755); err != nil {
			return nil, fmt.Errorf("hypotheses: make spill directory: %w (choose one with SPARK_DIR)", err)
		}
	}
	ec.Seed, ec.Epoch, ec.TruthPath = c.Seed, place.epoch, place.truth
	if c.engine != nil {
		c.engine(&ec)
	}
	p.logf("target: no server given and none on this host: measuring the EMBEDDED EMULATOR (%s%s).", preset, control)
	p.logf("        Its compute is modelled; its memory is really bounded and its disk reads are real. Every artefact says \"emulated\".")
	p.livef("starting the emulator: writing its spill file")
	child, err := spark.StartEmulator(ctx, ec)
	if err != nil {
		return nil, err
	}
	s, err := spark.Attach(ctx, spark.Endpoint{URL: child.Info.URL, Model: child.Info.Model})
	if err != nil {
		return nil, errors.Join(err, child.Stop())
	}
	return &target{kind: kindEmulator, server: s, child: child, config: &ec}, nil
}

// close ends what openTarget started.
func (t *target) close() error {
	if t.child == nil {
		return nil
	}
	child := t.child
	t.child = nil
	return child.Stop()
}

// load is the target as the load generator addresses it.
func (t *target) load(c Config, epoch time.Duration, cal loadgen.Calibration) loadgen.Target {
	flavor := loadgen.Flavor(c.Flavor)
	if flavor == "" {
		flavor = t.server.Flavor.Requests()
	}
	return loadgen.Target{
		BaseURL: t.server.Endpoint.URL, Model: t.server.Endpoint.Model,
		Dialect: loadgen.Dialect(t.server.Dialect), Flavor: flavor, Calibration: cal,
		APIKey: c.APIKey, CAFile: c.CAFile,
		// Queue and prefill of a long context on a slow server take minutes.
		HeaderTimeout: 10 * time.Minute, IdleTimeout: 5 * time.Minute,
		Epoch: epoch,
	}
}
