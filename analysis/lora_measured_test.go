package analysis

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// Ten touches a second from 1 s to 3 s: the i-th asks for one of two adapters
// or none, and the server tells what it waited for every third.
func touchedRecords() []*loadgen.Record {
	records := tinyRecords()
	for i, r := range records {
		r.Turn = i
		r.Adapter = []string{"", "ada", "bob"}[i%3]
		if i%3 == 1 {
			load := time.Duration(i) * time.Millisecond
			r.AdapterLoad = &load
		}
	}
	return records
}

func TestTouches(t *testing.T) {
	records := touchedRecords()
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	m := measuredOf(t, records)
	require.Len(t, m.Touches, 20, "due in the measured window")
	for k, touch := range m.Touches {
		i := 10 + k
		require.Equal(t, i, touch.Turn, "in due order, whenever they ended")
		require.Equal(t, time.Duration(i)*tinyEvery, touch.Due)
		require.Equal(t, []string{"", "ada", "bob"}[i%3], touch.Adapter)
		require.InDelta(t, 20, touch.TTFTMs, 1e-9)
		if i%3 == 1 {
			require.InDelta(t, i, touch.LoadMs, 1e-9)
		} else {
			require.True(t, math.IsNaN(touch.LoadMs), "absent, not 0")
		}
	}
}

func TestOnlyGoodTouchesOfTheWindow(t *testing.T) {
	for _, row := range []struct {
		why  string
		edit func(*loadgen.Record)
		want int
	}{
		{"a resident adapter waits 0, which is told", func(r *loadgen.Record) { r.AdapterLoad = new(time.Duration) }, 20},
		{"a failure touches nothing that could be timed", func(r *loadgen.Record) {
			if r.ID%2 == 0 {
				r.Outcome = loadgen.OutcomeTruncated
			}
		}, 10},
		{"nothing succeeded", func(r *loadgen.Record) { r.Outcome = loadgen.OutcomeRefused }, 0},
		{"the warm-up is no touch", func(r *loadgen.Record) { r.Phase = loadgen.PhaseWarmup }, 0},
	} {
		records := touchedRecords()
		for _, r := range records {
			row.edit(r)
		}
		m := measuredOf(t, records)
		require.Len(t, m.Touches, row.want, row.why)
		require.Len(t, m.TTFT, row.want, "%s: as many as latencies", row.why)
		if row.want == 20 {
			require.Zero(t, m.Touches[0].LoadMs, row.why)
		}
	}
}

func TestBytesOfAdapters(t *testing.T) {
	m := &Measured{}
	m.Summary.Window = loadgen.Window{Start: time.Second, End: 3 * time.Second}
	m.Telemetry.ReadMBPerSec = 20
	require.InDelta(t, 40e6, m.WindowReadBytes(), 1e-3, "20 MB/s for 2 s")
	m.Telemetry.ReadMBPerSec = math.NaN()
	require.True(t, math.IsNaN(m.WindowReadBytes()), "no disk was watched")

	require.True(t, math.IsNaN(m.AdapterInBytes()), "absent, not 0")
	require.True(t, math.IsNaN(m.AdapterLoads()))
	m.Server = spark.Counters{AdapterInBytes: new(0.0), AdapterLoads: new(3.0)}
	require.Zero(t, m.AdapterInBytes(), "nothing was loaded, says the server")
	require.Equal(t, 3.0, m.AdapterLoads())
}

// The window's bytes are the device's, 20 MB/s in the telemetry of a tiny run,
// and arm.json's lora is read back; a run without either keeps reading.
func TestMeasureReadsLoRA(t *testing.T) {
	r := newTinyRun()
	r.arms[1].LoRA = &LoRA{Condition: ConditionStorm, Adapters: 16, AdapterBytes: 33 << 20, Slots: 8, Cold: &ColdProof{Means: "unload", ReadBytesPerSec: 2e9}}
	r.before = func(t *testing.T, dir string) {
		path := filepath.Join(dir, "raw", r.arms[1].Name, "requests.jsonl.zst")
		require.NoError(t, os.Remove(path))
		writeRecords(t, path, touchedRecords())
	}
	e, err := OpenExperiment(r.commit(t))
	require.NoError(t, err)
	require.Nil(t, e.Arms[0].LoRA)
	require.Empty(t, e.Arms[0].Touches[0].Adapter)
	require.Equal(t, r.arms[1].LoRA, e.Arms[1].LoRA)
	require.Equal(t, "ada", e.Arms[1].Touches[0].Adapter)
	for _, a := range e.Arms {
		require.InDelta(t, 40e6, a.WindowReadBytes(), 1)
	}
}
