package spark

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spark-harness/harness/spark/emulator"
)

// ManifestSchema is the version of Manifest that this package writes. Readers
// refuse a greater one.
const ManifestSchema = 1

// Manifest says what a run was measured on and against. It holds no secret: an
// API key is in none of its types' JSON.
type Manifest struct {
	Schema  int           `json:"schema"`
	Started time.Time     `json:"started_wall"`  // the one wall time of a run
	Epoch   time.Duration `json:"epoch_mono_ns"` // CLOCK_MONOTONIC instant that all others count from

	Target  Target  `json:"target"`
	Facts   Facts   `json:"facts"`             // of the server, by the server
	Control string  `json:"control,omitempty"` // the emulator's planted null, such as "no-paging"
	Machine Machine `json:"machine"`
	Build   Build   `json:"build"`

	Emulator *emulator.Config `json:"emulator,omitempty"`
	Process  *EmulatorProcess `json:"emulator_process,omitempty"`
	Plan     json.RawMessage  `json:"plan,omitempty"` // what was asked, if not stored beside
}

// Target is the server under test as a manifest keeps it.
type Target struct {
	Kind     string   `json:"kind"` // "emulator" or "attached"
	URL      string   `json:"url"`
	Model    string   `json:"model"`
	Emulated bool     `json:"emulated"`
	Flavor   Flavor   `json:"flavor"`
	Evidence string   `json:"flavor_evidence"`
	Dialect  string   `json:"dialect"`
	Models   []string `json:"models,omitempty"`
	Metrics  string   `json:"metrics,omitempty"` // path of its counters, "" without any

	FirstToken time.Duration `json:"first_token_ns"` // of the readiness probe
}

// Target describes the server for a manifest.
func (s *Server) Target() Target {
	kind := "attached"
	if s.Emulated() {
		kind = "emulator"
	}
	return Target{
		Kind: kind, URL: s.Endpoint.URL, Model: s.Endpoint.Model, Emulated: s.Emulated(),
		Flavor: s.Flavor, Evidence: s.Evidence, Dialect: s.Dialect, Models: s.Models,
		Metrics: s.metrics.path, FirstToken: s.FirstToken,
	}
}

// GOARCH is the architecture measured on, as Go names it.
func (m Manifest) GOARCH() string { return m.Machine.GOARCH }

// Platform names machine and first disk in a few words that stay the same from
// run to run, to key results that hold for one platform only.
func (m Manifest) Platform() string {
	name := m.Machine.Product
	if name == "" {
		name = fmt.Sprintf("%s %d x %s", m.Machine.GOARCH, m.Machine.CPUs, cmp.Or(strings.Join(m.Machine.CPUModels, "+"), "unknown CPU"))
	}
	for _, p := range m.Machine.Places {
		if p.Disk != nil {
			return name + ", " + cmp.Or(p.Disk.Model, p.Disk.Name)
		}
	}
	return name
}

// Build says which code measured.
type Build struct {
	Go       string `json:"go"`
	Module   string `json:"module,omitempty"`
	Version  string `json:"version,omitempty"`
	Revision string `json:"vcs_revision,omitempty"` // absent in test binaries
	Modified bool   `json:"vcs_modified,omitempty"` // built with changes beyond the revision
	Race     bool   `json:"race,omitempty"`
	Cover    bool   `json:"cover,omitempty"`
	CGO      bool   `json:"cgo,omitempty"`
}

// ReadBuild reads what the go command wrote into this binary.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{}
	}
	b := Build{Go: info.GoVersion, Module: info.Main.Path, Version: info.Main.Version}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "-race":
			b.Race = s.Value == "true"
		case "-cover":
			b.Cover = s.Value == "true"
		case "CGO_ENABLED":
			b.CGO = s.Value == "1"
		}
	}
	return b
}
