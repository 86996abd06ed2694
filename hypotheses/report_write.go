package hypotheses

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/analysis/report"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/spark"
)

// WriteReport writes report.html and report.md into a results directory: for
// every hypothesis the newest committed run of each key (machine, server, model,
// control, profile). What was derived from a run is taken as it lies where it
// fits the run and this build, else the run is judged again. A run that cannot
// be judged is listed with the reason and stops nothing. It needs no machine.
func WriteReport(results string) (report.Paths, error) {
	info, err := os.Stat(results)
	if err != nil {
		return report.Paths{}, fmt.Errorf("hypotheses: write report: %w (name a results directory)", err)
	}
	if !info.IsDir() {
		return report.Paths{}, fmt.Errorf("hypotheses: write report: %s is no directory (name a results directory)", results)
	}
	r, err := CollectReport(results)
	if err != nil {
		return report.Paths{}, err
	}
	return report.Write(results, r)
}

// CollectReport gathers what WriteReport writes.
func CollectReport(results string) (report.Report, error) {
	by, err := judgedBy()
	if err != nil {
		return report.Report{}, err
	}
	r := report.Report{Made: time.Now(), Build: spark.ReadBuild()}
	if r.Results, err = filepath.Abs(results); err != nil {
		return r, fmt.Errorf("hypotheses: write report: %w", err)
	}
	entries, err := os.ReadDir(results)
	if err != nil {
		return r, fmt.Errorf("hypotheses: write report: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		sections, unjudged, err := collectRuns(results, e.Name(), by)
		if err != nil {
			return r, err
		}
		r.Sections, r.Unjudged = append(r.Sections, sections...), append(r.Unjudged, unjudged...)
	}
	return r, nil
}

// collectRuns goes through the runs of one hypothesis from the newest, and
// keeps the first of each key that can be judged.
func collectRuns(results, id, by string) (sections []report.Section, unjudged []report.Unjudged, err error) {
	dirs, partial, err := runsAndPartial(results, id)
	if err != nil {
		return nil, nil, err
	}
	h, known := ByID(id)
	latest := map[analysis.Key]int{} // index into sections
	damaged := map[analysis.Key][]string{}
	for _, dir := range slices.Backward(dirs) {
		run := id + "/" + filepath.Base(dir)
		if !known {
			unjudged = append(unjudged, report.Unjudged{Run: run, Reason: "this build knows no hypothesis of that name"})
			continue
		}
		f, err := findRun(dir)
		if err != nil {
			unjudged = append(unjudged, report.Unjudged{Run: run, Reason: err.Error()})
			continue
		}
		if i, have := latest[f.Key()]; have {
			sections[i].Notes = addOlder(sections[i].Notes, run)
			continue
		}
		s, err := section(h, f, by)
		if err != nil {
			unjudged = append(unjudged, report.Unjudged{Run: run, Reason: err.Error()})
			damaged[f.Key()] = append(damaged[f.Key()], run)
			continue
		}
		s.Run = run
		for _, newer := range damaged[f.Key()] {
			s.Notes = append(s.Notes, "a newer run, "+newer+", cannot be judged and stands at the end")
		}
		latest[f.Key()] = len(sections)
		sections = append(sections, s)
	}
	return sections, append(unjudged, partial...), nil
}

const olderNote = "older runs on the same key, not shown: "

func addOlder(notes []string, run string) []string {
	if i := slices.IndexFunc(notes, func(n string) bool { return strings.HasPrefix(n, olderNote) }); i >= 0 {
		notes[i] += ", " + run
		return notes
	}
	return append(notes, olderNote+run)
}

// runsAndPartial are the directories of a hypothesis: committed runs, oldest
// first, and those that never were committed. A directory that holds neither a
// plan nor a manifest is none of ours.
func runsAndPartial(results, id string) (dirs []string, partial []report.Unjudged, err error) {
	entries, err := os.ReadDir(filepath.Join(results, id))
	if err != nil {
		return nil, nil, fmt.Errorf("hypotheses: write report: %w", err)
	}
	_, known := ByID(id)
	for _, e := range entries {
		dir := filepath.Join(results, id, e.Name())
		switch {
		case !e.IsDir() || !known && !isRun(dir):
		case strings.HasSuffix(e.Name(), bundle.PartialSuffix):
			partial = append(partial, report.Unjudged{Run: id + "/" + e.Name(), Reason: whyPartial(dir)})
		default:
			dirs = append(dirs, dir)
		}
	}
	return dirs, partial, nil
}

func isRun(dir string) bool {
	_, plan := os.Stat(filepath.Join(dir, "plan.json"))
	_, manifest := os.Stat(filepath.Join(dir, "manifest.json"))
	return plan == nil && manifest == nil
}

// whyPartial says why a run was never committed, as far as it could say so.
func whyPartial(dir string) string {
	var note struct{ Reason, Time string }
	switch err := readInto(filepath.Join(dir, bundle.InterruptedFile), &note); {
	case err == nil:
		return fmt.Sprintf("interrupted at %s: %s", note.Time, note.Reason)
	case errors.Is(err, fs.ErrNotExist):
		return "never committed: it is still going on, or was killed"
	default:
		return "never committed: " + err.Error()
	}
}

// section is a run with what is derived from it. Where the derived files cannot
// be written, as on a read-only disk, it is judged all the same.
func section(h Hypothesis, f Found, by string) (report.Section, error) {
	s := report.Section{Head: f.Head, Manifest: f.Manifest}
	if err := readInto(filepath.Join(f.Dir, analysis.SourcesFile), &s.Sources); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	derived := filepath.Join(f.Dir, "derived")
	v, file, err := readDerived(f.Dir, by)
	if err == nil && sourcesStand(f.Dir, s.Sources) {
		var sum struct {
			Arms []armSummary `json:"arms"`
		}
		bench, benchErr := os.ReadFile(filepath.Join(derived, "bench.txt"))
		if errors.Is(benchErr, fs.ErrNotExist) { // a run that could not be fitted has none
			benchErr = nil
		}
		if err = errors.Join(benchErr, readInto(filepath.Join(derived, "summary.json"), &sum)); err == nil {
			s.PNG, _ = os.ReadFile(filepath.Join(derived, h.ID+".png")) // without it, it is drawn
			s.Verdict, s.Figure, s.Table, s.Bench, s.Arms = v, file.Figure, file.Table, bench, armTable(sum.Arms)
			return s, nil
		}
	}
	e, j, err := judgeRun(h, f.Dir)
	if err != nil {
		return s, err
	}
	if err := writeDerived(e, j); err != nil {
		s.Notes = append(s.Notes, "judged for this report alone: "+err.Error())
	}
	s.Verdict, s.Figure, s.Table, s.Arms = j.Verdict, j.Figure, j.Table, armTable(armSummaries(e))
	if len(j.Figure.Panels) > 0 {
		s.Bench, err = j.Bench.Bytes()
	}
	return s, err
}

// sourcesStand reports whether the runs that a run rests on are what they were.
func sourcesStand(dir string, sources []analysis.Source) bool {
	for _, want := range sources {
		if !filepath.IsLocal(want.Run) {
			return false
		}
		got, err := analysis.NewSource(filepath.Join(filepath.Dir(filepath.Dir(dir)), filepath.FromSlash(want.Run)))
		if err != nil || got.Sums != want.Sums {
			return false // judging says what is wrong
		}
	}
	return true
}

// armTable is what each arm did, for people.
func armTable(arms []armSummary) analysis.Table {
	if len(arms) == 0 {
		return analysis.Table{}
	}
	t := analysis.Table{Title: "arms", Columns: []analysis.TableColumn{
		{Name: "arm"},
		{Name: "block"},
		{Name: "users"},
		{Name: "context", Unit: "tokens"},
		{Name: "requests"},
		{Name: "good"},
		{Name: "p50 TTFT", Unit: "ms"},
		{Name: "p95 TTFT", Unit: "ms"},
		{Name: "p99 TTFT", Unit: "ms"},
		{Name: "p99 latency", Unit: "ms"},
		{Name: "output", Unit: "tokens/s"},
		{Name: "device read", Unit: "MB/s"},
		{Name: "r_await", Unit: "ms"},
		{Name: "aqu-sz"},
		{Name: "iowait", Unit: "%"},
		{Name: "CPU busy", Unit: "cores"},
	}}
	for _, a := range arms {
		row := []any{a.Name, a.Block, a.Users, a.ContextTokens, a.Requests.Due, a.Requests.OK, nil, nil, nil, nil, nil, a.Avg.ReadMBps, a.Avg.ReadAwait, a.Avg.AquSz, a.Avg.IOWaitPct, a.Avg.CPUBusy}
		if a.TTFT != nil {
			row[6], row[7] = float64(a.TTFT.P50), float64(a.TTFT.P95)
			if a.TTFT.P99Flag != "n<368" { // too few for any interval: withheld
				row[8] = float64(a.TTFT.P99)
			}
		}
		if a.E2E != nil && a.E2E.P99Flag != "n<368" {
			row[9] = float64(a.E2E.P99)
		}
		if a.Rates != nil {
			row[10] = a.Rates.OutputTokensPerSec
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// report writes the report of all runs so far. The run that was just judged is
// safe, so a report that cannot be written is only worth a word.
func (p Progress) report(results string) {
	p.livef("writing the report")
	paths, err := WriteReport(results)
	if err != nil {
		p.logf("WARNING: the run is kept, but the report could not be written: %v", err)
		return
	}
	p.logf("report: %s", paths.HTML)
}
