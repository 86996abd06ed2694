package hypotheses

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/loadgen"
)

// Rejudge judges the committed run in dir and writes dir/derived anew. It needs
// no machine: any copy of the run will do.
func Rejudge(h Hypothesis, dir string) (Judgement, error) {
	e, j, err := judgeRun(h, dir)
	if err != nil {
		return j, err
	}
	return j, writeDerived(e, j)
}

// judgeRun judges the run in dir and writes nothing.
func judgeRun(h Hypothesis, dir string) (*analysis.Experiment, Judgement, error) {
	e, err := analysis.OpenExperiment(dir)
	if err != nil {
		return nil, Judgement{}, err
	}
	if e.Plan.Hypothesis != h.ID {
		return e, Judgement{}, fmt.Errorf("hypotheses: judge %s: the run is of %s", dir, e.Plan.Hypothesis)
	}
	j := h.Judge(e)
	return e, j, j.Verdict.Validate()
}

// writeDerived writes everything rebuilt from raw into a new directory and puts
// it in the place of an older one.
func writeDerived(e *analysis.Experiment, j Judgement) error {
	final := filepath.Join(e.Dir, "derived")
	tmp := final + ".tmp"
	if err := errors.Join(os.RemoveAll(tmp), os.Mkdir(tmp, 0o755)); err != nil {
		return fmt.Errorf("hypotheses: write derived: %w", err)
	}
	err := errors.Join(
		bundle.WriteJSON(filepath.Join(tmp, "verdict.json"), j.Verdict),
		bundle.WriteJSON(filepath.Join(tmp, "summary.json"), summarize(e)),
		writeArtefacts(tmp, e.Plan.Hypothesis, j),
		writeFigureFile(tmp, e.Dir, j),
	)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(final); err != nil {
		return fmt.Errorf("hypotheses: replace derived: %w", err)
	}
	if err := os.Rename(tmp, final); err != nil {
		return fmt.Errorf("hypotheses: write derived: %w", err)
	}
	return nil
}

// writeArtefacts writes the figure, the table and the benchmark lines; a run
// that could not be fitted has none.
func writeArtefacts(dir, id string, j Judgement) error {
	if len(j.Figure.Panels) == 0 {
		return nil
	}
	svg, svgErr := j.Figure.SVG()
	png, pngErr := j.Figure.PNG(300)
	csv, csvErr := j.Table.CSV()
	bench, benchErr := j.Bench.Bytes()
	if err := errors.Join(svgErr, pngErr, csvErr, benchErr); err != nil {
		return err
	}
	for name, b := range map[string][]byte{id + ".svg": svg, id + ".png": png, id + ".csv": csv, "bench.txt": bench} {
		if err := bundle.WriteFile(filepath.Join(dir, name), b); err != nil {
			return err
		}
	}
	return nil
}

// armSummary is one arm in summary.json: the load generator's summary with the
// telemetry averages under the names that earlier results used.
type armSummary struct {
	Name          string `json:"name"`
	Block         int    `json:"block"`
	Users         int    `json:"users"`
	ContextTokens int    `json:"context_tokens"`
	loadgen.Summary
	Avg averages `json:"avg"`
}

type averages struct {
	IOWaitPct  *float64 `json:"io_wait_pct,omitempty"`
	ReadAwait  *float64 `json:"r_await_ms,omitempty"`
	AquSz      *float64 `json:"qu_sz,omitempty"`
	ReadMBps   *float64 `json:"rd_MBps,omitempty"`
	WriteMBps  *float64 `json:"wr_MBps,omitempty"`
	CPUBusy    *float64 `json:"cpu_busy_cores,omitempty"`
	TickShare  *float64 `json:"telemetry_completeness,omitempty"`
	ServerRead *float64 `json:"server_page_in_bytes,omitempty"`
}

func summarize(e *analysis.Experiment) map[string]any {
	return map[string]any{"schema": 1, "hypothesis": e.Plan.Hypothesis, "target": e.Target(), "arms": armSummaries(e)}
}

func armSummaries(e *analysis.Experiment) (arms []armSummary) {
	for _, a := range e.Arms {
		t := a.Telemetry
		arms = append(arms, armSummary{
			Name: a.Name, Block: a.Block, Users: a.Users, ContextTokens: a.ContextTokens, Summary: a.Summary,
			Avg: averages{
				IOWaitPct: analysis.Num(t.IOWaitPct), ReadAwait: analysis.Num(t.ReadAwaitMs), AquSz: analysis.Num(t.AquSz),
				ReadMBps: analysis.Num(t.ReadMBPerSec), WriteMBps: analysis.Num(t.WriteMBPerSec),
				CPUBusy: analysis.Num(t.CPUBusyCores), TickShare: analysis.Num(t.Completeness), ServerRead: analysis.Num(a.DiskInBytes()),
			},
		})
	}
	return arms
}
