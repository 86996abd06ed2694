package v25

import (
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

// requireGolden holds got against testdata/golden/name; UPDATE_GOLDEN=1 writes
// it.
func requireGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			files[strings.TrimPrefix(path, dir)] = string(b)
		}
		return err
	}))
	return files
}

// One directory with the runs of all scripts: tables, distrust lists, benchmark
// lines and summaries as they were looked at; the old directory as it was.
func TestConvertGolden(t *testing.T) {
	dir := whole(t)
	before := contents(t, dir)
	require.True(t, Recognise(dir))
	out := filepath.Join(t.TempDir(), "new", "out")
	r, err := Convert(dir, out)
	require.NoError(t, err)
	require.Empty(t, r.Problems())
	require.Equal(t, before, contents(t, dir), "the old directory is left as it is")
	require.Len(t, r.Groups, 9)
	files := contents(t, r.Out)
	require.Len(t, files, len(r.Files))
	for _, g := range r.Groups {
		dir := "/" + g.Hypothesis + "-L70B/"
		require.Contains(t, files[dir+"figure.svg"], "earlier harness (v2.5)")
		require.Contains(t, files[dir+"figure.svg"], "iostat_", "the figure itself names what is not trusted")
		require.Contains(t, files, dir+"figure.png")
		require.Equal(t, analysis.Invalid, g.Verdict.Outcome)
		require.NoError(t, g.Verdict.Validate())
		require.Equal(t, "EARLIER_HARNESS", g.Verdict.Reasons[0])
		var v analysis.Verdict
		require.NoError(t, json.Unmarshal([]byte(files[dir+"verdict.json"]), &v))
		for _, name := range []string{"table.csv", "distrust.csv"} {
			_, err := csv.NewReader(strings.NewReader(files[dir+name])).ReadAll()
			require.NoError(t, err)
		}
	}
	requireGolden(t, "report.md", []byte(files["/report.md"]))
	requireGolden(t, "bench.txt", []byte(files["/bench.txt"]))
	for name, text := range files {
		if strings.Contains(name, "H4_L70B_HEAVY_U64_r1") {
			requireGolden(t, "summary.json", []byte(text))
		}
	}
}

// one is a directory with runs of one script; mend changes them.
func one(t *testing.T, n int, mend func(i int, p *planted)) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		p := planted{
			hyp: "H0", tag: "L8B", handle: "nvidia/Llama-3.3-8B-Instruct-FP4", sha: sha208, users: 8, maxTokens: 32, repeat: i + 1,
			good: 2000, ms: 900, layout: Layout121, reads: 5, free: 60, api: "openai", serial: "S1",
		}
		if mend != nil {
			mend(i, &p)
		}
		p.write(t, dir)
	}
	return dir
}

func read(t *testing.T, dir string) Result {
	t.Helper()
	r, err := Read(dir)
	require.NoError(t, err)
	return r
}

func TestAvgIsFilledIn(t *testing.T) {
	r := read(t, one(t, 1, nil)).Runs[0]
	avg := r.backfilled()
	require.InDelta(t, 3.1033, *avg["io_wait_pct"], 0.001, "mpstat, all the time")
	require.InDelta(t, 0.07, *avg["r_await_ms"], 1e-9, "median of what column iostat_rMBps holds")
	require.InDelta(t, 5, *avg["rps_storage"], 0.01, "SMART over 300 s")
	require.Nil(t, avg["qu_sz"], "not among the columns that were kept")
	require.InDelta(t, (2000.0-8)/300, *avg["rps"], 1e-9, "each user's last request taken off")
	require.InDelta(t, 93.5, *avg["gpu_util_pct"], 0.3)

	dir := one(t, 1, nil)
	require.NoError(t, os.Remove(filepath.Join(dir, r.ID+"_mpstat.log")))
	r = read(t, dir).Runs[0]
	require.Equal(t, Converted, r.Number(numIOWait).Trust)
	require.InDelta(t, 3.5, r.Number(numIOWait).Value, 1e-9, "vmstat's whole percents instead")
	require.NoError(t, os.Remove(filepath.Join(dir, r.ID+"_telemetry.csv")))
	r = read(t, dir).Runs[0]
	require.Equal(t, Withheld, r.Number(numIOWait).Trust, "the summary has none either")
	require.Equal(t, []string{"telemetry.csv", "mpstat.log"}, r.Missing)

	// SMART's logs enclose more than the load.
	r = read(t, one(t, 1, func(_ int, p *planted) { p.hyp = "H5"; p.wait = 5 })).Runs[0]
	require.Equal(t, Withheld, r.Number(numStorageRPS).Trust)
	require.Contains(t, r.Number(numReadMBps).How, "600 s apart, the load took 300 s")
	require.Equal(t, Converted, r.Number(numReadBytes).Trust, "bytes are bytes")

	// H5's mpstat ran before the load.
	r = read(t, one(t, 1, func(_ int, p *planted) { p.hyp = "H5" })).Runs[0]
	require.InDelta(t, 3.5, r.Number(numIOWait).Value, 1e-9)
	require.Equal(t, Withheld, r.Number(numCPUBusy).Trust)
}

func TestFailedRequestsWithholdWhatTheyAreIn(t *testing.T) {
	r := read(t, one(t, 1, func(_ int, p *planted) { p.failed = 1 }))
	run := r.Runs[0]
	require.Equal(t, Withheld, run.Number("ttft_ms.p99").Trust)
	require.Equal(t, Withheld, run.Number(numThroughput).Trust)
	require.Contains(t, run.Number(numThroughput).How, "between 6.64 and 6.667")
	require.Equal(t, Trusted, run.Number("latency_ms.p99").Trust, "successes only")
	require.Contains(t, r.Groups[0].Verdict.Reasons, "TTFT_COUNTS_FAILURES")
	require.NotContains(t, r.Groups[0].Verdict.Reasons, "ERRORS")
	require.Equal(t, Withheld, run.Number("latency_ms.p99_ci_low").Trust, "always")

	for _, counts := range []string{`"requests_total": 10`, `"admission_pct": 100`, `"requests_total": 10, "admission_pct": 150`, `"requests_total": -3, "admission_pct": 100`, `"requests_total": 1e300, "admission_pct": 100`} {
		dir := one(t, 1, nil)
		path := filepath.Join(dir, read(t, dir).Runs[0].ID+"_summary.json")
		require.NoError(t, os.WriteFile(path, []byte(`{`+counts+`, "ttft_ms": {"p50": 5}, "latency_ms": {"p50": 50}}`), 0o644))
		run := read(t, dir).Runs[0]
		require.Containsf(t, run.Number("ttft_ms.p50").How, "not recorded", counts)
		require.Equalf(t, Withheld, run.Number("latency_ms.p50").Trust, counts)
		require.Containsf(t, run.Number(numThroughput).How, "not recorded", counts)
	}

	all := read(t, one(t, 2, func(_ int, p *planted) { p.good, p.failed = 0, 500 }))
	g := all.Groups[0]
	require.Equal(t, []string{"EARLIER_HARNESS", "NO_REQUESTS", "ERRORS", "TTFT_COUNTS_FAILURES"}, g.Verdict.Reasons[:4])
	for _, q := range []string{"p50", "p99"} {
		require.True(t, math.IsNaN(g.Runs[0].Number("latency_ms."+q).Value))
	}
}

func TestQuantilesNeedRequests(t *testing.T) {
	for _, c := range []struct {
		good []int
		q    string
	}{{[]int{368, 400}, "p99"}, {[]int{367, 400}, "p95"}, {[]int{10, 400}, "p99"}, {[]int{10, 71}, "p50"}} {
		r := read(t, one(t, 2, func(i int, p *planted) { p.good = c.good[i] }))
		require.Equalf(t, c.q, r.Groups[0].Quantile, "%v", c.good)
	}
	few := read(t, one(t, 2, func(i int, p *planted) { p.good = []int{10, 400}[i] }))
	require.Contains(t, few.Groups[0].Verdict.Reasons, "TOO_FEW_REQUESTS")
	require.Contains(t, few.Runs[0].Number("latency_ms.p99").How, "10 successes, p99 needs 368")
}

func TestMixturesStandApart(t *testing.T) {
	r := read(t, one(t, 6, func(i int, p *planted) {
		p.ms = 100 * float64(i+1)
		switch i {
		case 1:
			p.tag, p.handle = "L70B", "nvidia/Llama-3.3-70B-Instruct-FP4"
		case 2:
			p.serial = "S2"
		case 3:
			p.api = "triton"
		case 4:
			p.layout = Layout11
		}
	}))
	require.Len(t, r.Groups, 4, "two models, two disks, two APIs")
	for _, g := range r.Groups {
		table := g.Table()
		if len(g.Runs) == 3 {
			require.InDelta(t, 500*2.2, table.Rows[0][4], 1e-9, "median of 100, 500 and 600 × 2.2: of its own runs alone")
		}
		require.NotContains(t, strings.ToLower(g.Machine), "s1", "serial numbers are not told")
	}
	// Each run by its own columns.
	require.InDelta(t, 0.07, r.Runs[0].Number(numReadAwait).Value, 0.01)
	require.Equal(t, Layout11, runOf(r, "r5").Layout)
}

func runOf(r Result, suffix string) *Run {
	for _, run := range r.Runs {
		if strings.HasSuffix(run.ID, suffix) {
			return run
		}
	}
	return nil
}

// fio ended in the second repeat: the later ones are not the phase's.
func TestContentionIsNotAveraged(t *testing.T) {
	dir := t.TempDir()
	for _, p := range wholePlan() {
		if p.hyp == "H4" {
			if p.phase == "HEAVY" {
				p.reads = 30 // fio failed, unnoticed
			}
			p.write(t, dir)
		}
	}
	r := read(t, dir)
	g := r.Groups[0]
	var labels []string
	for _, a := range g.Arms {
		labels = append(labels, a.Label)
	}
	require.Equal(t, []string{"BASELINE", "MODERATE", "HEAVY unproven", "MODERATE after fio", "HEAVY after fio"}, labels)
	require.Len(t, g.Arms[1].Runs, 1)
	require.False(t, g.Arms[1].Unproven)
	require.Contains(t, g.Arms[1].Cells[1], "yes: 5280 reads/s more")
	require.True(t, g.Arms[2].Unproven, "SMART shows no reads of fio")
	require.Contains(t, g.Verdict.Reasons, "CONTENTION_LOST")
}

func TestPromptsAreToldByTheirHash(t *testing.T) {
	r := read(t, one(t, 2, func(i int, p *planted) {
		p.hyp, p.context, p.sha = "H2", []string{"512_tokens_gen512", "1024_tokens_gen512"}[i], sha404
		p.maxTokens = 512
	}))
	require.Len(t, r.Groups[0].Arms, 1, "one file under two names")
	require.Equal(t, 404, r.Runs[0].Tokens)
	unknown := read(t, one(t, 1, func(_ int, p *planted) { p.hyp, p.context, p.sha = "H2", "2k_tokens_gen384", "00" }))
	require.Zero(t, unknown.Runs[0].Tokens)
	require.Contains(t, unknown.Groups[0].Verdict.Reasons, "LENGTH_NOT_MEASURED")
	other := read(t, one(t, 1, func(_ int, p *planted) { p.hyp, p.handle = "H2", "openai/gpt-oss-120b" }))
	require.Zero(t, other.Runs[0].Tokens, "another tokenizer")
}
