package hypotheses

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
)

// badInput is one way in which a bundle can be wrong.
type badInput struct {
	name  string
	why   string // what happens to bundles in the world
	spoil func(t *testing.T, dir string)
	// sums says that the checksums stay as they were: else they are written anew,
	// so that the damage gets past them.
	sums bool
	err  error // wrapped by the error that must come; nil: it is judged
	// reason is the code that an INVALID verdict must give, or several with |; "" where it
	// may be any, but SUPPORTED.
	reason string
	// harmless says that a rule need not notice: what was SUPPORTED may stay so.
	harmless bool
}

// spoilt copies the recorded run of a hypothesis, spoils it, and those that it
// rests on in its place where it measured nothing itself. ok is false where no
// run of it was recorded.
func spoilt(t *testing.T, id string, bad badInput) (dir string, ok bool) {
	t.Helper()
	runs, err := bundle.Runs(filepath.Join("testdata", "runs"), id)
	require.NoError(t, err)
	if len(runs) == 0 {
		return "", false
	}
	root := t.TempDir()
	dir = copyNamed(t, root, id+"/"+filepath.Base(runs[0]))
	own := dir
	var sources []analysis.Source
	if text, err := os.ReadFile(filepath.Join(dir, analysis.SourcesFile)); err == nil {
		require.NoError(t, json.Unmarshal(text, &sources))
		for i := range sources {
			from := copyNamed(t, root, sources[i].Run)
			if i == 0 {
				own = from
			}
		}
	}
	bad.spoil(t, own)
	if bad.sums {
		return dir, true
	}
	sumAnew(t, own)
	for i := range sources {
		if sources[i], err = analysis.NewSource(filepath.Join(root, filepath.FromSlash(sources[i].Run))); err != nil {
			return dir, true // nothing left to name: the run says so itself
		}
	}
	if sources != nil {
		require.NoError(t, bundle.WriteJSON(filepath.Join(dir, analysis.SourcesFile), sources))
		sumAnew(t, dir)
	}
	return dir, true
}

// copyNamed copies a recorded run by its name, H2/STAMP.
func copyNamed(t *testing.T, root, run string) string {
	t.Helper()
	to := filepath.Join(root, filepath.FromSlash(run))
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	require.NoError(t, os.CopyFS(to, os.DirFS(filepath.Join("testdata", "runs", filepath.FromSlash(run)))))
	return to
}

// sumAnew writes the checksums of what is there now.
func sumAnew(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return
	}
	var lines bytes.Buffer
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == bundle.SumsFile || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&lines, "%x  %s\n", sha256.Sum256(b), filepath.ToSlash(rel))
		return err
	}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, bundle.SumsFile), lines.Bytes(), 0o644))
}

// judgeSpoilt holds what comes of a spoilt bundle against the row. draw writes
// the derived files too.
func judgeSpoilt(t *testing.T, h Hypothesis, dir string, bad badInput, draw bool) {
	t.Helper()
	var j Judgement
	e, err := analysis.OpenExperiment(dir)
	switch {
	case err == nil && draw:
		require.NotPanics(t, func() { j, err = Rejudge(h, dir) }, bad.why)
	case err == nil:
		require.NotPanics(t, func() { j = h.Judge(e) }, bad.why)
		require.NoError(t, j.Verdict.Validate(), bad.why)
	}
	if h.Gather != nil && (errors.Is(err, analysis.ErrMixed) || errors.Is(err, analysis.ErrSource)) {
		return // one of the runs that it rests on is of something else now, or not what it was
	}
	if bad.err != nil {
		require.ErrorIs(t, err, bad.err, bad.why)
		return
	}
	require.NoError(t, err, bad.why)
	if bad.reason != "" && h.Gather == nil { // a rule on several runs may leave out the bad one

		require.Equal(t, analysis.Invalid, j.Verdict.Outcome, "%s: %s", bad.why, j.Verdict.String())
		named := slices.ContainsFunc(strings.Split(bad.reason, "|"), func(code string) bool { return slices.Contains(j.Verdict.Reasons, code) })
		require.True(t, named, "%s: %s", bad.why, j.Verdict.String())
		return
	}
	before := readVerdict(t, filepath.Join("testdata", "runs", h.ID+".verdict.json"))
	if !bad.harmless || before.Outcome != analysis.Supported {
		require.NotEqual(t, analysis.Supported, j.Verdict.Outcome, "%s: %s", bad.why, j.Verdict.String())
	}
}

// Every third row against one hypothesis, which one going round, is what a quick
// test has time for; all against all with their figures is
//
//	go test -tags scale -run TestBadInputOfAll ./hypotheses
func TestBadInput(t *testing.T) {
	var all []Hypothesis
	for _, h := range All() {
		if runs, _ := bundle.Runs(filepath.Join("testdata", "runs"), h.ID); len(runs) > 0 {
			all = append(all, h)
		}
	}
	for i, bad := range badInputs() {
		if i%3 != 0 {
			continue
		}
		h := all[i/3%len(all)]
		t.Run(bad.name+" "+h.ID, func(t *testing.T) {
			t.Parallel()
			dir, ok := spoilt(t, h.ID, bad)
			require.True(t, ok)
			judgeSpoilt(t, h, dir, bad, false)
		})
	}
}

// badInputs is the matrix of what can be wrong with a bundle.
func badInputs() []badInput {
	return slices.Concat(badFiles(), badRecords(), badTelemetry(), badNumbers(), badStrings())
}

func badFiles() []badInput {
	rows := []badInput{
		{name: "no sums", why: "the run was copied without them", spoil: spoilRemove(bundle.SumsFile), sums: true, err: bundle.ErrCorrupt},
		{name: "a changed byte", why: "a disk fails, or somebody helps", spoil: eachArm("telemetry.csv.zst", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), sums: true, err: bundle.ErrCorrupt},
		{name: "no plan", why: "half a copy", spoil: spoilRemove("plan.json"), err: bundle.ErrCorrupt},
		{name: "no manifest", why: "half a copy", spoil: spoilRemove("manifest.json"), err: bundle.ErrCorrupt},
		{name: "no raw", why: "half a copy", spoil: spoilRemove("raw"), err: bundle.ErrCorrupt},
		{name: "half the arms", why: "a copy that ran out of room", spoil: halfTheArms, err: bundle.ErrCorrupt},
		{name: "a pipe", why: "an archive may hold anything; opening a pipe waits for ever", spoil: spoilPipe, err: bundle.ErrCorrupt},
		{name: "an arm too many", why: "a directory was copied twice", spoil: armTwice, err: bundle.ErrCorrupt},
		{name: "plan cut", why: "the disk was full", spoil: spoilText("plan.json", firstHalf), err: bundle.ErrCorrupt},
		{name: "manifest cut", why: "the disk was full", spoil: spoilText("manifest.json", firstHalf), err: bundle.ErrCorrupt},
		{name: "a newer manifest", why: "written by a later harness", spoil: spoilJSON("manifest.json", setMember("schema", 99)), err: analysis.ErrSchema},
		{name: "a newer arm", why: "written by a later harness", spoil: spoilArms(setMember("schema", 99)), err: analysis.ErrSchema},
		{name: "plan of null", why: "JSON all the same", spoil: spoilText("plan.json", fixedText("null")), err: bundle.ErrCorrupt},
	}
	for _, name := range []string{"arm.json", "requests.jsonl.zst", "telemetry.csv.zst"} {
		rows = append(rows,
			badInput{name: "no " + name, why: "half a copy", spoil: eachArmFile(name, os.Remove), err: bundle.ErrCorrupt},
			badInput{name: name + " empty", why: "a crash before anything was written", spoil: eachArm(name, func([]byte) []byte { return nil }), err: emptyErr(name), reason: emptyReason(name)},
		)
	}
	return append(rows,
		badInput{name: "records cut", why: "a crash in the middle", spoil: eachArm("requests.jsonl.zst", firstHalf), err: bundle.ErrCorrupt},
		badInput{name: "arm.json cut", why: "a crash in the middle", spoil: eachArm("arm.json", firstHalf), err: bundle.ErrCorrupt},
		badInput{name: "telemetry cut", why: "the sampler died: what is there is good, the rest is missing", spoil: eachArm("telemetry.csv.zst", spoilLines(func(l []string) []string { return l[:len(l)-12] })), reason: "TELEMETRY_HOLES"},
		badInput{name: "no server counters", why: "the server has none", spoil: eachArmFile("server.jsonl.zst", os.Remove), harmless: true},
		badInput{name: "records of garbage", why: "another program wrote there", spoil: eachArm("requests.jsonl.zst", fixedText("\x00\xff garbage")), err: bundle.ErrCorrupt},
		badInput{name: "an endless line", why: "a bomb: 17 MB of one line in a few kB", spoil: eachArm("requests.jsonl.zst", spoilLines(func([]string) []string { return []string{strings.Repeat("[", 17<<20)} })), err: bundle.ErrCorrupt},
		badInput{name: "an endless telemetry line", why: "likewise", spoil: eachArm("telemetry.csv.zst", spoilLines(func(l []string) []string { return append(l, strings.Repeat(",", 2<<20)) })), err: bundle.ErrCorrupt},
	)
}

// An empty file of records is a run without requests as far as its text goes,
// but no stream of zstd holds nothing.
func emptyErr(name string) error {
	if name == "requests.jsonl.zst" {
		return nil
	}
	return bundle.ErrCorrupt
}

func emptyReason(name string) string {
	if name == "requests.jsonl.zst" {
		return "TOO_FEW_REQUESTS|NO_FIT"
	}
	return ""
}

// Spoilers.

func spoilRemove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, name))) }
}

func firstHalf(b []byte) []byte { return b[:len(b)/2] }

func fixedText(s string) func([]byte) []byte { return func([]byte) []byte { return []byte(s) } }

func spoilText(name string, change func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) { spoilFile(t, filepath.Join(dir, name), change) }
}

func spoilFile(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, change(b), 0o644))
}

func armDirs(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "raw"))
	require.NoError(t, err)
	var arms []string
	for _, e := range entries {
		if e.IsDir() {
			arms = append(arms, filepath.Join(dir, "raw", e.Name()))
		}
	}
	return arms
}

// eachArm rewrites a file of every arm that has it.
func eachArm(name string, change func([]byte) []byte) func(*testing.T, string) {
	return eachArmFile(name, func(path string) error {
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(b), 0o644)
		}
		return err
	})
}

func eachArmFile(name string, do func(path string) error) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, arm := range armDirs(t, dir) {
			path := filepath.Join(arm, name)
			if _, err := os.Stat(path); err == nil {
				require.NoError(t, do(path))
			}
		}
	}
}

// spoilLines edits the lines of a compressed file.
func spoilLines(change func([]string) []string) func([]byte) []byte {
	return func(b []byte) []byte {
		r, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
		defer r.Close()
		w, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		defer w.Close()
		plain, err := r.DecodeAll(b, nil)
		if err != nil {
			panic(err)
		}
		out := change(strings.Split(strings.TrimSuffix(string(plain), "\n"), "\n"))
		return w.EncodeAll([]byte(strings.Join(out, "\n")+"\n"), nil)
	}
}

// spoilJSON edits a JSON object.
func spoilJSON(name string, change func(map[string]any)) func(*testing.T, string) {
	return spoilText(name, asJSON(change))
}

func spoilArms(change func(map[string]any)) func(*testing.T, string) {
	return eachArm("arm.json", asJSON(change))
}

func asJSON(change func(map[string]any)) func([]byte) []byte {
	return func(b []byte) []byte {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber() // seeds have more digits than a float64
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			panic(err)
		}
		change(m)
		out, err := json.Marshal(m)
		if err != nil {
			panic(err)
		}
		return out
	}
}

// setMember sets a member, a.b being b of a; a nil deletes it.
func setMember(path string, v any) func(map[string]any) {
	return func(m map[string]any) {
		keys := strings.Split(path, ".")
		for _, k := range keys[:len(keys)-1] {
			next, ok := m[k].(map[string]any)
			if !ok {
				return
			}
			m = next
		}
		if last := keys[len(keys)-1]; v == nil {
			delete(m, last)
		} else {
			m[last] = v
		}
	}
}

func allOf(changes ...func(map[string]any)) func(map[string]any) {
	return func(m map[string]any) {
		for _, c := range changes {
			c(m)
		}
	}
}

func halfTheArms(t *testing.T, dir string) {
	arms := armDirs(t, dir)
	for _, arm := range arms[len(arms)/2:] {
		require.NoError(t, os.RemoveAll(arm))
	}
}

func armTwice(t *testing.T, dir string) {
	arm := armDirs(t, dir)[0]
	require.NoError(t, os.CopyFS(arm+"-copy", os.DirFS(arm)))
}
