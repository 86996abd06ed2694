package hypotheses

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/loadgen"
)

// calibrationSchema is the version of calibration.json.
const calibrationSchema = 1

// Handover is what one hypothesis leaves for the next, for one platform, server
// and model. Zero fields were not found.
type Handover struct {
	Platform string `json:"platform"` // machine and disk
	Server   string `json:"server"`   // kind of server, such as "emulator" or "vllm"
	Model    string `json:"model"`

	UWorkUsers int    `json:"u_work_users,omitzero"`
	UWorkRun   string `json:"u_work_run,omitzero"` // the H0 run it came from
	CkTokens   int    `json:"ck_tokens,omitzero"`
	CkRun      string `json:"ck_run,omitzero"` // the H2 run it came from

	Updated time.Time `json:"updated"`
}

// SavedPrompts is a prompt calibration kept for one server and model.
type SavedPrompts struct {
	Server      string              `json:"server"`
	Model       string              `json:"model"`
	Calibration loadgen.Calibration `json:"calibration"`
}

// CalibrationFile is results/calibration.json.
type CalibrationFile struct {
	Schema    int            `json:"schema"`
	Handovers []Handover     `json:"handovers"`
	Prompts   []SavedPrompts `json:"prompts,omitempty"`
}

// LoadCalibration reads results/calibration.json. A missing file is an empty
// one; a damaged or newer one is an error, because falling back in silence
// would change what is measured.
func LoadCalibration(results string) (CalibrationFile, error) {
	path := filepath.Join(results, "calibration.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return CalibrationFile{Schema: calibrationSchema}, nil
	}
	if err != nil {
		return CalibrationFile{}, fmt.Errorf("hypotheses: read calibration: %w (choose a results directory with SPARK_RESULTS)", err)
	}
	var c CalibrationFile
	if err := json.Unmarshal(b, &c); err != nil {
		return CalibrationFile{}, fmt.Errorf("hypotheses: read %s: %w (remove it to start afresh)", path, err)
	}
	if c.Schema > calibrationSchema {
		return CalibrationFile{}, fmt.Errorf("hypotheses: %s has schema %d, this build reads up to %d (update the harness, or remove the file)", path, c.Schema, calibrationSchema)
	}
	return c, nil
}

// Save writes the file atomically.
func (c CalibrationFile) Save(results string) error {
	c.Schema = calibrationSchema
	return bundle.WriteJSON(filepath.Join(results, "calibration.json"), c)
}

// Find returns the handover for exactly this platform, server and model that
// satisfies has, else one of another model of the same server and platform;
// exact says which.
func (c CalibrationFile) Find(platform, server, model string, has func(Handover) bool) (h Handover, exact, ok bool) {
	for _, cand := range c.Handovers {
		if cand.Platform != platform || cand.Server != server || !has(cand) {
			continue
		}
		if cand.Model == model {
			return cand, true, true
		}
		if !ok || cand.Updated.After(h.Updated) {
			h, ok = cand, true
		}
	}
	return h, false, ok
}

// Put merges what is set in h into the entry of the same key.
func (c *CalibrationFile) Put(h Handover) {
	for i := range c.Handovers {
		have := &c.Handovers[i]
		if have.Platform != h.Platform || have.Server != h.Server || have.Model != h.Model {
			continue
		}
		if h.UWorkUsers > 0 {
			have.UWorkUsers, have.UWorkRun = h.UWorkUsers, h.UWorkRun
		}
		if h.CkTokens > 0 {
			have.CkTokens, have.CkRun = h.CkTokens, h.CkRun
		}
		have.Updated = h.Updated
		return
	}
	c.Handovers = append(c.Handovers, h)
}

// prompts finds the prompt calibration of a server and model.
func (c CalibrationFile) prompts(server, model string) (loadgen.Calibration, bool) {
	for _, p := range c.Prompts {
		if p.Server == server && p.Model == model {
			return p.Calibration, true
		}
	}
	return loadgen.Calibration{}, false
}

func (c *CalibrationFile) putPrompts(p SavedPrompts) {
	for i := range c.Prompts {
		if c.Prompts[i].Server == p.Server && c.Prompts[i].Model == p.Model {
			c.Prompts[i] = p
			return
		}
	}
	c.Prompts = append(c.Prompts, p)
}
