//go:build scale

package hypotheses

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What judging and drawing a run of full size may take on two processors.
const (
	scaleWall = 10 * time.Second
	scaleRSS  = 500 << 10 // kB
)

// fullSize is 1 million requests of 80 token events on average, and 6 hours of
// telemetry.
var fullSize = bigSize{requests: 1_000_000, length: 6 * time.Hour, events: 80}

// A run of full size is judged and drawn in 10 s and 500 MB, in a process of its
// own. SPARK_SCALE_DIR keeps the bundles between runs; SPARK_SCALE_PROFILE takes
// a CPU profile of each child.
//
//	go test -tags scale -run TestFullSizeIsJudged -v ./hypotheses
func TestFullSizeIsJudged(t *testing.T) {
	for _, c := range []struct {
		id   string
		make func(*testing.T, string, bigSize) string
	}{{"H2", bigH2}, {"H4", bigH4}} {
		t.Run(c.id, func(t *testing.T) {
			dir := keptBundle(t, c.id, func(root string) string { return c.make(t, root, fullSize) })
			files, bytes := weigh(t, dir)
			t.Logf("%s: %d files, %.0f MB on disk", filepath.Base(dir), files, float64(bytes)/1e6)
			for range 3 {
				took := judgeInChild(t, c.id, dir)
				t.Logf("%s", took)
				if took.wall <= scaleWall && took.rssKB <= scaleRSS {
					return
				}
			}
			t.Errorf("over %v or %d MB in each of three tries (%s)", scaleWall, scaleRSS>>10, "a busy machine is not the judge's fault: look at the processor time")
		})
	}
}

// Memory does not grow with the events of a request: ten times as many leave the
// peak where it was.
//
//	go test -tags scale -run TestMemoryIsFlatInEvents -v ./hypotheses
func TestMemoryIsFlatInEvents(t *testing.T) {
	var peak [2]int
	for i, events := range []int{64, 640} {
		dir := bigH2(t, t.TempDir(), bigSize{requests: 20_000, length: 20 * time.Minute, events: events})
		_, bytes := weigh(t, dir)
		took := judgeInChild(t, "H2", dir)
		t.Logf("%d events a request, %.0f MB on disk: %s", events, float64(bytes)/1e6, took)
		peak[i] = took.rssKB
	}
	require.Less(t, float64(peak[1]), 1.25*float64(peak[0]))
}

// keptBundle makes a bundle, or finds the one made before.
func keptBundle(t *testing.T, id string, build func(root string) string) string {
	root := os.Getenv("SPARK_SCALE_DIR")
	if root == "" {
		return build(t.TempDir())
	}
	if found, _ := filepath.Glob(filepath.Join(root, id, "*", "SHA256SUMS")); len(found) > 0 {
		return filepath.Dir(found[0])
	}
	return build(root)
}

func weigh(t *testing.T, dir string) (files int, bytes int64) {
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		files++
		bytes += info.Size()
		return err
	}))
	return files, bytes
}

// cost is what a child took.
type cost struct {
	wall, cpu time.Duration
	rssKB     int // VmHWM
	says      string
}

func (c cost) String() string {
	return fmt.Sprintf("%.2f s, processor time %.2f s, peak RSS %d MB: %s", c.wall.Seconds(), c.cpu.Seconds(), c.rssKB>>10, c.says)
}

var childSays = regexp.MustCompile(`CHILD (\S+) VmHWM (\d+)`)

// judgeInChild judges a run in a process of its own, start-up included.
func judgeInChild(t *testing.T, id, dir string) cost {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestScaleChild$", "-test.v")
	cmd.Env = append(os.Environ(), "SPARK_SCALE_CHILD="+id+" "+dir)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	took := cost{wall: time.Since(start)}
	require.NoError(t, err, "%s", out)
	took.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m := childSays.FindSubmatch(out)
	require.NotNil(t, m, "%s", out)
	took.says = string(m[1])
	_, err = fmt.Sscan(string(m[2]), &took.rssKB)
	require.NoError(t, err)
	return took
}

// TestScaleChild is what judgeInChild runs.
func TestScaleChild(t *testing.T) {
	id, dir, ok := strings.Cut(os.Getenv("SPARK_SCALE_CHILD"), " ")
	if !ok {
		t.Skip("only as a child of TestFullSizeIsJudged")
	}
	if path := os.Getenv("SPARK_SCALE_PROFILE"); path != "" {
		f, err := os.Create(path + "." + id)
		require.NoError(t, err)
		require.NoError(t, pprof.StartCPUProfile(f))
		defer pprof.StopCPUProfile()
	}
	h, ok := ByID(id)
	require.True(t, ok)
	j, err := Rejudge(h, dir)
	require.NoError(t, err)
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, hwm, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Printf("CHILD %s,%s VmHWM %s\n", j.Verdict.Outcome, strings.Join(j.Verdict.Reasons, "+"), strings.Fields(hwm)[0])
}
