package hypotheses

import (
	"cmp"
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
	api    string                 // of the child: which of its faces is asked
	flavor loadgen.Flavor         // named by the user's choice of API; "" is the server's
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
		return attach(ctx, e, p)
	}
	if c.Emulator == "" {
		if t, err := findTarget(ctx, e, spark.LocalURLs(), p); t != nil || err != nil {
			return t, err
		}
	}
	return startEmulator(ctx, c, place, p)
}

// attach uses the server that the user named.
func attach(ctx context.Context, e spark.Endpoint, p Progress) (*target, error) {
	p.logf("target: %s (given)", e.URL)
	s, err := spark.Attach(ctx, e)
	if err != nil {
		return nil, err
	}
	return &target{kind: kindAttached, server: s}, nil
}

// findTarget takes a healthy server of this host, nil where there is none.
func findTarget(ctx context.Context, e spark.Endpoint, urls []string, p Progress) (*target, error) {
	e.ReadyTimeout = 5 * time.Second // nobody asked for that server: do not wait for it to load
	s, err := spark.Find(ctx, e, urls)
	switch {
	case err == nil:
		p.logf("target: %s (found on this host; SPARK_EMULATOR=default measures the emulator instead)", s.Endpoint.URL)
		return &target{kind: kindAttached, server: s}, nil
	case errors.Is(err, spark.ErrNoServer):
		return nil, nil
	}
	return nil, err
}

// startEmulator starts the emulator of the plan's baseline server.
func startEmulator(ctx context.Context, c Config, place targetPlace, p Progress) (*target, error) {
	ec, err := c.preset(place)
	if err != nil {
		return nil, err
	}
	if c.Emulator == controlNoPaging {
		ec = ec.NoPaging()
	} else {
		ec.SpillDir = filepath.Join(place.dir, "spill")
		if err := os.MkdirAll(ec.SpillDir, 0o755); err != nil {
			return nil, fmt.Errorf("hypotheses: make spill directory: %w (choose one with SPARK_DIR)", err)
		}
	}
	return serve(ctx, c, ec, "", p)
}

// preset is the emulator's config before anything is asked of it.
func (c Config) preset(place targetPlace) (emulator.Config, error) {
	ec, err := emulator.Preset(cmp.Or(c.Model, place.preset))
	if err != nil {
		return ec, fmt.Errorf("hypotheses: SPARK_MODEL: %w", err)
	}
	ec.Seed, ec.Epoch, ec.TruthPath = c.Seed, place.epoch, place.truth
	return ec, nil
}

// serve starts an emulator and attaches to it, by the API named.
func serve(ctx context.Context, c Config, ec emulator.Config, api string, p Progress) (*target, error) {
	if c.engine != nil {
		c.engine(&ec)
	}
	control := c.control()
	if control != "" {
		control = " " + control
	}
	p.logf("target: no server given and none on this host: measuring the EMBEDDED EMULATOR (%s%s).", ec.Model, control)
	p.logf("        Its compute is modelled; its memory is really bounded and its disk reads are real. Every artefact says \"emulated\".")
	if ec.SpillBytes > 0 {
		p.livef("starting the emulator: writing its spill file")
	}
	t := &target{kind: kindEmulator, config: &ec, api: api}
	return t, t.start(ctx, ec)
}

// start runs the emulator in a child and attaches to it.
func (t *target) start(ctx context.Context, ec emulator.Config) error {
	child, err := spark.StartEmulator(ctx, ec)
	if err != nil {
		return err
	}
	e := spark.Endpoint{URL: child.Info.URL, Model: child.Info.Model, API: t.api}
	if mode, err := loadgen.ParseMode(t.api, false); err == nil && mode.Triton {
		e.URL, e.Model = child.Info.TritonURL, ""
	}
	s, err := spark.Attach(ctx, e)
	if err != nil {
		return errors.Join(err, child.Stop())
	}
	t.child, t.server = child, s
	return nil
}

// restart ends the emulator and starts it anew: its memory is empty then. truth
// is its new log.
func (t *target) restart(ctx context.Context, truth string) error {
	if err := t.close(); err != nil {
		return err
	}
	ec := *t.config
	ec.TruthPath = truth
	return t.start(ctx, ec)
}

// model is the model under test: Triton serves it under the name of a pipeline,
// behind which only the emulator's is known.
func (t *target) model() string {
	if t.child != nil {
		return t.child.Info.Model
	}
	return t.server.Endpoint.Model
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
	flavor := cmp.Or(loadgen.Flavor(c.Flavor), t.flavor, t.server.Flavor.Requests())
	return loadgen.Target{
		BaseURL: t.server.Endpoint.URL, Model: t.server.Endpoint.Model,
		Dialect: loadgen.Dialect(t.server.Dialect), Flavor: flavor, LoRASeparator: c.LoRASeparator, Calibration: cal,
		APIKey: c.APIKey, CAFile: c.CAFile,
		// Queue and prefill of a long context on a slow server take minutes.
		HeaderTimeout: 10 * time.Minute, IdleTimeout: 5 * time.Minute,
		Epoch: epoch,
	}
}
