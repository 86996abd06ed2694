package loadgen

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrKept means that a load's files are there already. They are never
// overwritten.
var ErrKept = errors.New("there already (choose another directory or run id, or move it away)")

// The files of an Output.
const (
	recordsFile   = "requests.jsonl.zst"
	latenciesFile = "latency.hlog"
	summaryFile   = "summary.json"
)

// Output keeps one load on disk: every request's record as it ends, and at the
// end the latencies as a histogram log and the summary. Make it with
// NewOutput, give Write to Run, and Close it with what Run returned. It is for one
// goroutine at a time.
type Output struct {
	dir, prefix string
	wall        time.Time
	records     *RecordWriter
}

// NewOutput makes the directory, and in it the file of the records. A run id goes
// before the names of all files and an underscore after it; "" stands for none.
// The error wraps ErrKept where one of the files exists.
func NewOutput(dir, runID string, now time.Time) (*Output, error) {
	if strings.ContainsAny(runID, "/\x00\n") || runID == ".." {
		return nil, fmt.Errorf("loadgen: keep load: run id %q cannot begin a file name (leave slashes out)", runID)
	}
	o := &Output{dir: dir, wall: now}
	if runID != "" {
		o.prefix = runID + "_"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("loadgen: keep load: %w", err)
	}
	for _, name := range []string{recordsFile, latenciesFile, summaryFile} {
		switch _, err := os.Lstat(o.path(name)); {
		case err == nil:
			return nil, fmt.Errorf("loadgen: keep load: %s is %w", o.path(name), ErrKept)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("loadgen: keep load: %w", err)
		}
	}
	var err error
	o.records, err = NewRecordWriter(o.path(recordsFile))
	return o, err
}

func (o *Output) path(name string) string { return filepath.Join(o.dir, o.prefix+name) }

// SummaryPath is the file of the summary.
func (o *Output) SummaryPath() string { return o.path(summaryFile) }

// Write keeps one record.
func (o *Output) Write(r *Record) error { return o.records.Write(r) }

// Close writes latencies and summary of a load of p against t. cause is what Run
// returned beside the summary: a load that was cut off is kept too, and says so.
// A load that never began keeps nothing but an empty file of records.
func (o *Output) Close(t Target, p Plan, sum Summary, cause error) error {
	if err := o.records.Close(); err != nil {
		return err
	}
	if sum.Window.Length() <= 0 {
		return nil
	}
	acc, err := Replay(p, sum.Window, ReadRecords(o.path(recordsFile)))
	if err != nil {
		return err
	}
	err = o.create(latenciesFile, func(f *os.File) error {
		return WriteLog(f, o.wall, acc.LogEntries(sum.Window.End)...)
	})
	return errors.Join(err, o.create(summaryFile, func(f *os.File) error {
		enc := json.NewEncoder(f)
		enc.SetIndent("", "  ")
		return enc.Encode(o.summary(t, p, sum, cause))
	}))
}

func (o *Output) create(name string, write func(*os.File) error) error {
	f, err := os.OpenFile(o.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("loadgen: keep load: %w", err)
	}
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("loadgen: keep load: %s: %w", f.Name(), err)
	}
	return nil
}

// keptSummary is a Summary with what it was of, and with the three numbers that
// the results of earlier load generators began with.
type keptSummary struct {
	Schema int `json:"schema"`
	Summary
	RequestsTotal int64    `json:"requests_total"`
	AdmissionPct  *float64 `json:"admission_pct,omitempty"`
	ThroughputRPS *float64 `json:"throughput_rps,omitempty"`
	Meta          keptMeta `json:"meta"`
	Target        Target   `json:"target"`
	Plan          Plan     `json:"plan"`
	PromptHashes  []Hash   `json:"prompt_hashes,omitempty"`
	Error         string   `json:"error,omitempty"`
}

type keptMeta struct {
	RunID     string `json:"run_id,omitempty"`
	APIMode   string `json:"api_mode"`
	TargetURL string `json:"target_url"`
	Generated string `json:"generated_at"`
	Started   string `json:"started_wall"`
}

func (o *Output) summary(t Target, p Plan, sum Summary, cause error) keptSummary {
	k := keptSummary{
		Schema: 1, Summary: sum, RequestsTotal: sum.Requests.Due, Target: t, Plan: p,
		Meta: keptMeta{
			RunID: strings.TrimSuffix(o.prefix, "_"), APIMode: "openai", TargetURL: t.BaseURL,
			Generated: time.Now().UTC().Format(time.RFC3339), Started: o.wall.UTC().Format(time.RFC3339Nano),
		},
	}
	if t.Dialect.Triton() {
		k.Meta.APIMode = "triton"
	}
	if rate := sum.Requests.ErrorRate; rate != nil {
		k.AdmissionPct = new(100 * (1 - *rate))
	}
	if sum.Rates != nil {
		k.ThroughputRPS = &sum.Rates.RequestsPerSec
	}
	// Whole prompts may be megabytes; their hashes are those of the records, but
	// for nonces.
	k.Plan.Workload.Prompts = nil
	for _, text := range p.Workload.Prompts {
		k.PromptHashes = append(k.PromptHashes, hashText(text))
	}
	if cause != nil {
		k.Error = cause.Error()
	}
	return k
}
