package v25

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spark-harness/harness/analysis"
)

// Result is what a conversion found and wrote.
type Result struct {
	From, Out string // the directories read and written
	Runs      []*Run
	Groups    []*Group
	Files     []string // written, under Out
}

// Problems are the files that could not be read, and what to do.
func (r Result) Problems() (list []error) {
	for _, run := range r.Runs {
		list = append(list, run.Problems...)
	}
	return list
}

// Read reads the runs of a directory of the earlier harness without writing
// anything. It fails with ErrNotV25 where there is none; what is wrong with
// single files stands in their run.
func Read(dir string) (Result, error) {
	at, files, err := find(dir)
	if err != nil {
		return Result{}, err
	}
	r := Result{From: at}
	for _, id := range ids(files) {
		r.Runs = append(r.Runs, readRun(id, files[id]))
	}
	r.Groups = groups(r.Runs)
	return r, nil
}

// Convert reads the results of the earlier harness in dir and writes tables,
// figures, benchmark lines, summaries with a right avg block, and a report.md
// that says which columns are not to be trusted. out must not exist or be empty,
// and must not be dir or inside it (ErrOutput). It is all there or not at all:
// everything is written beside it and renamed. One Convert at a time may write
// to an out.
func Convert(dir, out string) (Result, error) {
	r, err := Read(dir)
	if err != nil {
		return r, err
	}
	if r.Out, err = outside(dir, out); err != nil {
		return r, err
	}
	if err := os.MkdirAll(filepath.Dir(r.Out), 0o777); err != nil {
		return r, fmt.Errorf("v25: write %s: %w", out, err)
	}
	partial, err := os.MkdirTemp(filepath.Dir(r.Out), filepath.Base(r.Out)+".partial-")
	if err != nil {
		return r, fmt.Errorf("v25: write %s: %w", out, err)
	}
	defer os.RemoveAll(partial)
	w := writer{root: partial}
	w.all(&r)
	if w.err != nil {
		return r, fmt.Errorf("v25: write %s: %w", out, w.err)
	}
	if err := os.Chmod(partial, 0o755); err != nil {
		return r, fmt.Errorf("v25: write %s: %w", out, err)
	}
	if err := os.Rename(partial, r.Out); err != nil {
		return r, fmt.Errorf("v25: write %s: %w (name a directory that does not exist yet)", out, err)
	}
	r.Files = w.files
	return r, nil
}

// outside is out as an absolute path, if it may be written.
func outside(dir, out string) (string, error) {
	if strings.TrimSpace(out) == "" {
		return "", fmt.Errorf("v25: write: %w: none given (name one with --out)", ErrOutput)
	}
	from, err := filepath.Abs(dir)
	if err == nil {
		from, err = filepath.EvalSymlinks(from)
	}
	if err != nil {
		return "", fmt.Errorf("v25: read %s: %w", dir, err)
	}
	to, err := filepath.Abs(out)
	if err != nil {
		return "", fmt.Errorf("v25: write %s: %w", out, err)
	}
	// Symlinks are followed as far as the path exists.
	for at, rest := to, ""; ; at, rest = filepath.Dir(at), filepath.Join(filepath.Base(at), rest) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			to = filepath.Join(real, rest)
			break
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	if rel, err := filepath.Rel(from, to); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", fmt.Errorf("v25: write %s: %w: it lies in the directory that is read, which is left as it is (name another)", out, ErrOutput)
	}
	entries, err := os.ReadDir(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", fmt.Errorf("v25: write %s: %w: %v", out, ErrOutput, err)
	case len(entries) > 0:
		return "", fmt.Errorf("v25: write %s: %w: it is not empty, and nothing is overwritten (name another)", out, ErrOutput)
	}
	return to, nil
}

// writer writes files under root and keeps the first error.
type writer struct {
	root  string
	files []string
	err   error
}

func (w *writer) put(name string, data []byte, err error) {
	if w.err == nil {
		w.err = err
	}
	path := filepath.Join(w.root, name)
	if w.err == nil {
		w.err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if w.err == nil {
		w.err = os.WriteFile(path, data, 0o644)
		w.files = append(w.files, name)
	}
}

func (w *writer) json(name string, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	w.put(name, append(b, '\n'), err)
}

func (w *writer) all(r *Result) {
	var bench []byte
	dirs, drawn := map[*Group]string{}, map[*Group]bool{}
	for i, g := range r.Groups {
		dir := fmt.Sprintf("%s-%s", g.Hypothesis, fileName(strings.Fields(g.Model)[0]))
		for _, o := range r.Groups[:i] {
			if dirs[o] == dir {
				dir = fmt.Sprintf("%s-%d", dir, i+1) // the same model elsewhere
				break
			}
		}
		dirs[g] = dir
		table := g.Table()
		csv, err := table.CSV()
		w.put(dir+"/table.csv", csv, err)
		list, err := distrustTable("Not to be trusted", g.Distrust).CSV()
		w.put(dir+"/distrust.csv", list, err)
		w.json(dir+"/verdict.json", g.Verdict)
		if !g.analytical() { // the others' runs again
			lines, err := g.Bench().Bytes()
			w.put(dir+"/bench.txt", lines, err)
			bench = append(bench, lines...)
		}
		if w.figure(dir, g) {
			drawn[g] = true
		}
	}
	w.put("bench.txt", bench, nil)
	for _, run := range r.Runs {
		if run.Summary != nil {
			w.json("summaries/"+fileName(run.ID)+"-"+short(run.ID)+"_summary.json", summaryOf(run))
		}
	}
	runs, err := runsTable(r.Runs).CSV()
	w.put("runs.csv", runs, err)
	numbers, err := numbersTable(r.Runs).CSV()
	w.put("numbers.csv", numbers, err)
	report, err := r.report(dirs, drawn)
	w.put("report.md", []byte(report), err)
}

// figure draws a group and reports whether it has a value to draw: that there
// is none is no error.
func (w *writer) figure(dir string, g *Group) bool {
	f := g.Figure()
	svg, err := f.SVG()
	if errors.Is(err, analysis.ErrFigureEmpty) {
		return false
	}
	w.put(dir+"/figure.svg", svg, err)
	const dpi = 200
	png, err := f.PNG(dpi)
	w.put(dir+"/figure.png", png, err)
	return true
}

// summaryOf is a run's summary under the earlier harness's names: null where a
// number is withheld, and beside it what became of each.
func summaryOf(r *Run) any {
	value := func(name string) *float64 {
		if n := r.Number(name); n.Trust != Withheld {
			return &n.Value
		}
		return nil
	}
	group := func(prefix string, names ...string) map[string]*float64 {
		m := map[string]*float64{}
		for _, n := range names {
			m[n] = value(prefix + n)
		}
		return m
	}
	type fate struct {
		Trust Trust  `json:"trust"`
		How   string `json:"how"`
	}
	fates := map[string]fate{}
	for _, n := range numberNames() {
		v := r.Number(n)
		fates[n] = fate{v.Trust, v.How}
	}
	return map[string]any{
		"run_id": oneLine(r.ID), "hypothesis": r.Hypothesis,
		"requests_total": analysis.Num(r.Summary.Requests), "admission_pct": analysis.Num(r.Summary.AdmissionPct),
		"throughput_rps": value(numThroughput),
		"ttft_ms":        group(firstByte, "p50", "p95", "p99"),
		"latency_ms":     group(latency, "p50", "p90", "p95", "p99", "p99_ci_low", "p99_ci_high"),
		"avg":            r.backfilled(),
		"trust":          fates,
	}
}
