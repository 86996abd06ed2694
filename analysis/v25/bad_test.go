package v25

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRecognise(t *testing.T) {
	require.True(t, Recognise(one(t, 1, nil)))
	root := t.TempDir()
	require.False(t, Recognise(root))
	require.False(t, Recognise(filepath.Join(root, "missing")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "manifest.json"), []byte("{}"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "x_mpstat.log"), nil, 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(root, "y_summary.json"), 0o755))
	require.False(t, Recognise(root), "a bundle of ours, somebody's mpstat and a folder are none")
	require.NoError(t, os.Mkdir(filepath.Join(root, "results"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "results", "a_manifest.json"), nil, 0o644))
	require.True(t, Recognise(root), "the harness's own folder above its results")

	_, err := Read(t.TempDir())
	require.ErrorIs(t, err, ErrNotV25)
	_, err = Convert(filepath.Join(root, "missing"), t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestOutputLiesOutsideAndIsNew(t *testing.T) {
	dir := one(t, 1, nil)
	before := contents(t, dir)
	used := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(used, "mine"), nil, 0o644))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	for why, out := range map[string]string{
		"the same": dir, "inside": filepath.Join(dir, "a", "b"), "through a link": filepath.Join(link, "a"),
		"not empty": used, "none": " ", "a file": filepath.Join(used, "mine"),
	} {
		_, err := Convert(dir, out)
		require.ErrorIsf(t, err, ErrOutput, "%s", why)
	}
	require.Equal(t, before, contents(t, dir))
	entries, err := os.ReadDir(used)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// Each broken file is named with what to do, and the rest is still read.
func TestBrokenFiles(t *testing.T) {
	for _, c := range []struct {
		why, file, text string
		says            string
	}{
		{"manifest cut short", "_manifest.json", `{"run_id": "x", "hyp`, "cut short while it was written?"},
		{"empty summary", "_summary.json", "", "the file is empty"},
		{"telemetry without rows", "_telemetry.csv", telemetryHeader + "\n", "no row that could be read (0 broken)"},
		{"telemetry of zeros", "_telemetry.csv", "\x00\x00\x00", "not a header that begins with ms_since_t0"},
		{"SMART without rights", "_smartctl_pre.txt", "Smartctl open device: /dev/nvme0n1 failed: Permission denied", "it needs root"},
		{"empty SMART", "_smartctl_post.txt", "", "not an NVMe disk"},
		{"empty mpstat", "_mpstat.log", "", "mpstat was not installed"},
	} {
		t.Run(c.why, func(t *testing.T) {
			dir := one(t, 2, nil)
			id := read(t, dir).Runs[0].ID
			path := filepath.Join(dir, id+c.file)
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o644))
			r := read(t, dir)
			require.Len(t, r.Problems(), 1)
			require.ErrorIs(t, r.Problems()[0], ErrMalformed)
			require.ErrorContains(t, r.Problems()[0], c.says)
			require.ErrorContains(t, r.Problems()[0], path, "the place")
			require.Len(t, r.Runs, 2)
			require.Equal(t, "H0", r.Runs[0].Hypothesis, "by the name, where the manifest is gone")
			require.Equal(t, 8, r.Runs[0].Manifest.Users)
		})
	}
}

// Whatever is left of a directory, there is a report or a named error.
func TestHalfADirectory(t *testing.T) {
	for k := range kinds {
		dir := one(t, 1, nil)
		id := read(t, dir).Runs[0].ID
		for other := range kinds {
			if other != k {
				require.NoError(t, os.Remove(filepath.Join(dir, id+other.suffix())))
			}
		}
		r, err := Convert(dir, filepath.Join(t.TempDir(), "out"))
		if k > telemetryFile {
			require.ErrorIs(t, err, ErrNotV25)
			continue
		}
		require.NoErrorf(t, err, "%s alone", k.suffix())
		require.Contains(t, r.Files, "report.md")
		require.Len(t, r.Runs[0].Missing, int(kinds)-1)
	}
	big := one(t, 1, nil)
	id := read(t, big).Runs[0].ID
	require.NoError(t, os.Truncate(filepath.Join(big, id+"_summary.json"), 5<<20))
	require.ErrorContains(t, read(t, big).Problems()[0], "at most 4194304")
}

// Strings of a manifest are text in every output, never markup or paths.
func TestHostileStrings(t *testing.T) {
	const evil = "../../<script>alert(1)</script>|`x`](javascript:1)\x1b[31m\u202e\nBenchmarkX 1 2 ns"
	dir := one(t, 1, func(_ int, p *planted) { p.handle, p.serial = evil, evil })
	for k := range kinds { // a hostile name of the run, too
		old := filepath.Join(dir, read(t, dir).Runs[0].ID+k.suffix())
		if k == manifestFile {
			b, err := os.ReadFile(old)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "<img src=x>|`\n_H7_manifest.json"), []byte(strings.ReplaceAll(string(b), "L8B", `H7\n..`)), 0o644))
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	r, err := Convert(dir, out)
	require.NoError(t, err)
	files := contents(t, r.Out)
	for name, text := range files {
		require.NotContainsf(t, name, "..", "%s", name)
		if strings.HasSuffix(name, ".png") {
			continue
		}
		require.NotContainsf(t, text, "\x1b", "%s", name)
		require.NotContainsf(t, text, "\u202e", "%s", name)
		require.NotContainsf(t, text, "\nBenchmarkX", "%s", name)
		if strings.HasSuffix(name, ".md") || strings.HasSuffix(name, ".svg") {
			require.NotContainsf(t, text, "<script", "%s", name)
			require.NotContainsf(t, text, "<img", "%s", name)
		}
	}
}

func FuzzTelemetry(f *testing.F) {
	f.Add(telemetryHeader + "\n0," + goodRow + ",96,[N/A],[N/A],45.0\n")
	f.Add("\ufeffms_since_t0,vm_wa\r\n1,2\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		tel, err := ReadTelemetry(strings.NewReader(text))
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		for _, c := range tel.Columns {
			require.Len(t, tel.Column(c), tel.Rows)
		}
		l, _ := DetectLayout(tel)
		readIO(tel, l)
	})
}

func FuzzMpstat(f *testing.F) {
	f.Add("Linux (20 CPU)\n10:46:01 PM  CPU %usr %iowait %idle\n10:46:02 PM all 1,00 2,00 97,00\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ReadMpstat(strings.NewReader(text))
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		for i := range m.IOWait {
			require.True(t, percent(m.IOWait[i]) && percent(m.Busy[i]))
		}
	})
}

func FuzzSmart(f *testing.F) {
	f.Add("Data Units Read: 1,234 [1 GB]\nHost Read Commands: 5\nLocal Time is: Thu Nov 13 22:46:01 2025 UTC\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSmart(strings.NewReader(text))
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		d, err := s.Delta(s)
		require.NoError(t, err)
		require.False(t, d.ReadBytes > 0)
	})
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"requests_total": NaN, "a": "\"NaN`)
	f.Add("{\"os\":{\"driver\":\"1\n2\"}, \"prompts_sha256\": [1]}")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSummary(strings.NewReader(text))
		if err == nil {
			_ = s.Good()
		}
		_, err2 := ReadManifest(strings.NewReader(text))
		require.Equal(t, err == nil, err2 == nil)
	})
}
