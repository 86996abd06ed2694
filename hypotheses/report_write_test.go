package hypotheses

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis/report"
)

// keep copies the recorded run of a hypothesis into results, under a name.
func keep(t *testing.T, results, id, name string) (dir string) {
	t.Helper()
	dir = filepath.Join(results, id, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	require.NoError(t, os.CopyFS(dir, os.DirFS(recorded(t, id))))
	return dir
}

// rewrite changes a file of a run and its checksum, as if it had been measured
// that way.
func rewrite(t *testing.T, dir, name, from, to string) {
	t.Helper()
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(b), from)
	before := sha256.Sum256(b)
	b = []byte(strings.ReplaceAll(string(b), from, to))
	after := sha256.Sum256(b)
	require.NoError(t, os.WriteFile(path, b, 0o644))
	sums := filepath.Join(dir, "SHA256SUMS")
	s, err := os.ReadFile(sums)
	require.NoError(t, err)
	s = []byte(strings.Replace(string(s), hex.EncodeToString(before[:]), hex.EncodeToString(after[:]), 1))
	require.NoError(t, os.WriteFile(sums, s, 0o644))
}

func runsOf(r report.Report) (runs []string) {
	for _, s := range r.Sections {
		runs = append(runs, s.Run)
	}
	return runs
}

func TestReportOfAResultsDirectory(t *testing.T) {
	results := t.TempDir()
	keep(t, results, "H0", "20261123T100000Z-aaaaaa")
	run := keep(t, results, "H6", "20261123T110000Z-bbbbbb")
	paths, err := WriteReport(results)
	require.NoError(t, err)
	page, err := os.ReadFile(paths.HTML)
	require.NoError(t, err)
	require.Contains(t, string(page), `id="H0-20261123T100000Z-aaaaaa"`)
	require.Contains(t, string(page), `id="H6-20261123T110000Z-bbbbbb"`)
	require.Less(t, len(page), 5_000_000)

	md, err := os.ReadFile(paths.Markdown)
	require.NoError(t, err)
	images := regexp.MustCompile(`\]\((H[^)]*)\)`).FindAllStringSubmatch(string(md), -1)
	require.Len(t, images, 2)
	for _, m := range images {
		require.FileExists(t, filepath.Join(results, filepath.FromSlash(m[1])))
	}

	// What was derived is taken as it lies, and gives the same report.
	figure := filepath.Join(run, "derived", "figure.json")
	before, err := os.Stat(figure)
	require.NoError(t, err)
	_, err = WriteReport(results)
	require.NoError(t, err)
	after, err := os.Stat(figure)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "nothing was judged again")
	again, err := os.ReadFile(paths.Markdown)
	require.NoError(t, err)
	stamp := regexp.MustCompile(`Written .* by`)
	require.Equal(t, stamp.ReplaceAllString(string(md), ""), stamp.ReplaceAllString(string(again), ""))
}

// Derived files of another build, another run or a changed run are not used.
func TestStaleDerivedFilesAreDerivedAnew(t *testing.T) {
	results := t.TempDir()
	dir := keep(t, results, "H6", "20261123T110000Z-bbbbbb")
	_, err := Rejudge(H6(), dir)
	require.NoError(t, err)
	by, err := judgedBy()
	require.NoError(t, err)
	fresh := func() error { _, _, err := readDerived(dir, by); return err }
	require.NoError(t, fresh())

	path := filepath.Join(dir, "derived", "figure.json")
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for why, edit := range map[string]func(map[string]any){
		"another build":  func(f map[string]any) { f["judged_by"] = "revision 0" },
		"a newer schema": func(f map[string]any) { f["schema"] = 99 },
		"another run":    func(f map[string]any) { f["sums_sha256"] = "00" },
		"a cut file":     func(f map[string]any) { f["run_bytes"] = 1 },
	} {
		var f map[string]any
		require.NoError(t, json.Unmarshal(good, &f))
		edit(f)
		b, err := json.Marshal(f)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, b, 0o644))
		require.ErrorIs(t, fresh(), errStale, why)
	}
	require.NoError(t, os.WriteFile(path, good[:len(good)/2], 0o644))
	require.ErrorIs(t, fresh(), errStale, "half a file")
	require.NoError(t, os.WriteFile(path, good, 0o644))
	require.NoError(t, fresh())
	later := time.Now().Add(time.Minute)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "plan.json"), later, later))
	require.ErrorIs(t, fresh(), errStale, "a file of the run was touched since")
}

// Damaged, partial and foreign runs are listed and hide nothing; another model
// is a section of its own.
func TestReportListsWhatItCannotJudge(t *testing.T) {
	results := t.TempDir()
	keep(t, results, "H6", "20261123T100000Z-000001")
	keep(t, results, "H6", "20261123T110000Z-000002")
	damaged := keep(t, results, "H6", "20261123T120000Z-000003")
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "plan.json"), []byte(`{"hypothesis":"H6","profile":{"name":"smoke"}}`), 0o644))
	other := keep(t, results, "H6", "20261123T090000Z-000004")
	rewrite(t, other, "manifest.json", `"model": "L8B"`, `"model": "mine\u003c/script\u003e"`)
	torn := keep(t, results, "H0", "20261123T130000Z-000005")
	require.NoError(t, os.WriteFile(filepath.Join(torn, "manifest.json"), []byte(`{"schema`), 0o644))
	partial := keep(t, results, "H0", "20261123T140000Z-000006.partial")
	require.NoError(t, os.WriteFile(filepath.Join(partial, "interrupted.json"), []byte(`{"state":"interrupted","reason":"the disk is full","time":"2026-11-23T14:01:00Z"}`), 0o644))
	keep(t, results, "H0", "20261123T150000Z-000007.partial")
	foreign := filepath.Join(results, "H77", "20261123T160000Z-000008")
	require.NoError(t, os.MkdirAll(filepath.Dir(foreign), 0o755))
	require.NoError(t, os.Rename(keep(t, results, "H1", "x"), foreign))
	require.NoError(t, os.MkdirAll(filepath.Join(results, "notes", "mine"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(results, "calibration.json"), []byte("{}"), 0o644))

	r, err := CollectReport(results)
	require.NoError(t, err)
	require.Equal(t, []string{"H6/20261123T110000Z-000002", "H6/20261123T090000Z-000004"}, runsOf(r), "the newest of each key")
	require.Equal(t, []string{
		"a newer run, H6/20261123T120000Z-000003, cannot be judged and stands at the end",
		"older runs on the same key, not shown: H6/20261123T100000Z-000001",
	}, r.Sections[0].Notes)
	why := map[string]string{}
	for _, u := range r.Unjudged {
		why[u.Run] = u.Reason
	}
	require.Len(t, why, 5)
	require.Contains(t, why["H6/20261123T120000Z-000003"], "plan.json changed since it was measured")
	require.Contains(t, why["H0/20261123T130000Z-000005"], "manifest.json")
	require.Contains(t, why["H0/20261123T140000Z-000006.partial"], "the disk is full")
	require.Contains(t, why["H0/20261123T150000Z-000007.partial"], "still going on, or was killed")
	require.Contains(t, why["H77/20261123T160000Z-000008"], "no hypothesis of that name")
}

func TestReportNeedsAResultsDirectory(t *testing.T) {
	_, err := WriteReport(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err = WriteReport(file)
	require.ErrorContains(t, err, "is no directory")
}

// A report that cannot be written costs a word, never the run.
func TestReportThatFailsIsAWarning(t *testing.T) {
	results := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(results, report.HTMLFile), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(results, report.HTMLFile, "in the way"), nil, 0o644))
	var logged []string
	Progress{Log: func(line string) { logged = append(logged, line) }}.report(results)
	require.Len(t, logged, 1)
	require.Contains(t, logged[0], "WARNING: the run is kept, but the report could not be written")
}
