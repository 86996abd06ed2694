package bundle

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var when = time.Date(2026, 11, 23, 10, 15, 2, 0, time.UTC)

func filled(t *testing.T, root string) *Run {
	t.Helper()
	r, err := Create(root, "H0", when)
	require.NoError(t, err)
	require.NoError(t, r.WriteJSON("plan.json", map[string]int{"a": 1}))
	arm, err := r.Arm("000-u1")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(arm, "x.csv"), []byte("1\n"), 0o644))
	return r
}

func TestCommitRenamesAndVerifies(t *testing.T) {
	root := t.TempDir()
	r := filled(t, root)
	require.Contains(t, r.Dir(), PartialSuffix)
	runs, err := Runs(root, "H0")
	require.NoError(t, err)
	require.Empty(t, runs, "a partial run is not a run")

	dir, err := r.Commit()
	require.NoError(t, err)
	require.NoError(t, Verify(dir))
	runs, err = Runs(root, "H0")
	require.NoError(t, err)
	require.Equal(t, []string{dir}, runs)

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "derived"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "derived", "v.json"), nil, 0o644))
	require.NoError(t, Verify(dir), "derived files are rebuilt at will")
}

func TestVerifyNamesTheDamage(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
	}{
		{"a flipped byte", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "raw/000-u1/x.csv"), []byte("2\n"), 0o644))
		}, "x.csv changed"},
		{"a lost file", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "plan.json"))) }, "plan.json is missing"},
		{"a file slipped in", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "raw/extra"), nil, 0o644))
		}, "raw/extra is not in"},
		{"no sums at all", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, SumsFile))) }, "has no SHA256SUMS"},
		{"sums of garbage", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, SumsFile), []byte("zz\n"), 0o644))
		}, "line 1 is not a checksum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := filled(t, t.TempDir()).Commit()
			require.NoError(t, err)
			c.damage(t, dir)
			err = Verify(dir)
			require.ErrorIs(t, err, ErrCorrupt)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestNothingIsOverwrittenOrWrittenOutside(t *testing.T) {
	r := filled(t, t.TempDir())
	require.ErrorIs(t, r.WriteJSON("plan.json", 1), os.ErrExist)
	require.Error(t, r.WriteJSON("../plan.json", 1))
	_, err := r.Arm("../x")
	require.Error(t, err)
	_, err = r.Arm("000-u1")
	require.ErrorIs(t, err, os.ErrExist)

	require.NoError(t, os.Mkdir(r.final, 0o755)) // same stamp, somehow
	_, err = r.Commit()
	require.ErrorIs(t, err, os.ErrExist)
}

func TestInterruptedRunStaysReadable(t *testing.T) {
	r := filled(t, t.TempDir())
	require.NoError(t, r.Interrupt("interrupt signal", when))
	b, err := os.ReadFile(filepath.Join(r.Dir(), InterruptedFile))
	require.NoError(t, err)
	require.JSONEq(t, `{"state":"interrupted","reason":"interrupt signal","time":"2026-11-23T10:15:02Z"}`, string(b))
}

func TestUnwritableRootSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err := Create(file, "H0", when)
	require.ErrorContains(t, err, "SPARK_RESULTS")
}
