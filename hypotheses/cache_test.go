package hypotheses

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// probe is a test of a module of its own. It opens a file of the module, as a
// measurement does, and passes; with the stamp it first does what run does.
const probe = `package hypotheses

import (
	"os"
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	if %t {
		if err := DefeatTestCache("."); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.ReadFile("go.mod"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(%d)
}
`

// The go command caches a passing test by the files that it opened, as they
// are when it ends, and leaves out files younger than 2 s: a probe that ends at
// once would not be cached for that reason alone. Measurements take minutes.
func TestGoTestMeasuresAgain(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("SKIPPED: no go command on PATH: whether go test would print (cached) is not tested: %v", err)
	}
	if strings.Contains(os.Getenv("GOFLAGS"), "-count") {
		t.Skip("SKIPPED: GOFLAGS holds -count, with which nothing is ever cached")
	}
	for _, c := range []struct {
		why   string
		stamp bool
		takes time.Duration
		again bool // measured again by a second go test
	}{
		{"without a stamp it is cached: this test can fail", false, 0, false},
		{"a stamped test that ends at once", true, 0, true},
		{"a stamped test that takes longer than the go command looks back", true, 2100 * time.Millisecond, true},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			dir := probeModule(t, c.stamp, c.takes)
			require.NotContains(t, goTest(t, dir), "(cached)", "the first run measures")
			if c.again {
				require.NotContains(t, goTest(t, dir), "(cached)")
			} else {
				require.Contains(t, goTest(t, dir), "(cached)")
			}
		})
	}
}

// probeModule is a module that holds this package's stamp.go and the probe. It
// is small, so that go test is fast, and its stamp is nobody else's.
func probeModule(t *testing.T, stamp bool, takes time.Duration) (dir string) {
	t.Helper()
	dir = t.TempDir()
	source, err := os.ReadFile("stamp.go")
	require.NoError(t, err)
	old := time.Now().Add(-time.Hour) // files that a test opens must not be new
	for name, text := range map[string]string{
		"go.mod": "module probe\n\ngo 1.26\n", "stamp.go": string(source), "probe_test.go": fmt.Sprintf(probe, stamp, takes),
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		require.NoError(t, os.Chtimes(path, old, old))
	}
	return dir
}

// goTest runs the probe as a user runs a hypothesis.
func goTest(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-run", "^TestProbe$", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "PWD="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "ok", "the probe passes")
	return string(out)
}
