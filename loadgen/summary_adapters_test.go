package loadgen

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asked is a success for an adapter with a given TTFT and load.
func asked(id int64, adapter string, ttft time.Duration, load *time.Duration) *Record {
	r := streamed(id, 6*time.Second, 2)
	r.Adapter, r.AdapterLoad = adapter, load
	r.FirstToken = At(r.Due.since + ttft)
	return r
}

func TestAdaptersAreSummedUpApart(t *testing.T) {
	cold, resident := new(300*ms), new(time.Duration(0))
	acc := NewAccumulator(planOf(Users(1)), 0)
	records := []*Record{
		asked(0, "b", 700*ms, cold),
		asked(1, "b", 200*ms, resident),
		asked(2, "b", 300*ms, resident),
		asked(3, "a", 100*ms, nil),
		asked(4, "", 50*ms, nil),
		asked(5, "c", 400*ms, cold),
		asked(6, "c", 900*ms, cold),
		asked(7, "d", 100*ms, cold),
	}
	records[6].Outcome = OutcomeReset
	records[7].Phase = PhaseWarmup
	for _, r := range records {
		acc.Add(r)
	}
	of := func(values ...time.Duration) *Latency { return histOf(values...).Summarize(0) }
	require.Equal(t, []AdapterSummary{
		{Name: "a", Due: 1, OK: 1, TTFT: of(100 * ms)},
		{Name: "b", Due: 3, OK: 3, TTFT: of(700*ms, 200*ms, 300*ms), Cold: of(700 * ms), Resident: of(200*ms, 300*ms)},
		{Name: "c", Due: 2, OK: 1, TTFT: of(400 * ms), Cold: of(400 * ms)},
	}, acc.Summary(25*time.Second).Adapters)
}

func TestSummaryWithoutAdaptersHasNone(t *testing.T) {
	p := planOf(Users(1))
	p.Workload.Adapters.List = adapterList(4)
	acc := NewAccumulator(p, 0)
	acc.Add(streamed(0, 6*time.Second, 2))
	s := acc.Summary(25 * time.Second)
	require.Nil(t, s.Adapters)
	b, err := json.Marshal(s)
	require.NoError(t, err)
	require.NotContains(t, string(b), "adapter")
}

// TestOneAdapterIsTheWhole gives every request to one adapter: its row must say
// what the summary says.
func TestOneAdapterIsTheWhole(t *testing.T) {
	s := newDraws(61, 99, 0)
	acc := NewAccumulator(planOf(Users(1)), 0)
	for i := range int64(2000) {
		acc.Add(asked(i, "a", time.Duration(s.exponential()*float64(time.Second)), new(time.Duration(s.below(2)))))
	}
	sum := acc.Summary(25 * time.Second)
	require.Len(t, sum.Adapters, 1)
	require.Equal(t, sum.TTFT, sum.Adapters[0].TTFT)
	require.Equal(t, sum.TTFT.N, sum.Adapters[0].Cold.N+sum.Adapters[0].Resident.N)
}

func TestAdaptersPastTheBoundArePooled(t *testing.T) {
	p := planOf(Users(1))
	p.Workload.Adapters.List = adapterList(MaxAdapterRows + 40)
	for _, order := range [][]int{rand.Perm(MaxAdapterRows + 40), rand.Perm(MaxAdapterRows + 40)} {
		acc := NewAccumulator(p, 0)
		for i, a := range order {
			acc.Add(asked(int64(i), p.Workload.Adapters.List[a].Name, 100*ms, nil))
		}
		got := acc.Summary(25 * time.Second).Adapters
		require.Len(t, got, MaxAdapterRows+1)
		for i, row := range got[:MaxAdapterRows] {
			require.Equal(t, p.Workload.Adapters.List[i].Name, row.Name, "the list's first have their own, whatever came first")
			require.EqualValues(t, 1, row.Due)
		}
		require.Equal(t, RestOfAdapters, got[MaxAdapterRows].Name)
		require.EqualValues(t, 40, got[MaxAdapterRows].Due)
		require.EqualValues(t, 40, got[MaxAdapterRows].TTFT.N)
	}
}

func TestReplayKeepsTheAdapters(t *testing.T) {
	p := planOf(Users(4))
	p.Workload.Adapters.List = adapterList(300)
	path := filepath.Join(t.TempDir(), "r.jsonl.zst")
	w, err := NewRecordWriter(path)
	require.NoError(t, err)
	acc := NewAccumulator(p, 0)
	d := Workload{Adapters: Adapters{List: p.Workload.Adapters.List, Choice: AdapterRandom}}.dealer(1)
	for i := range 3000 {
		load := []*time.Duration{nil, new(time.Duration(0)), new(40 * ms)}[i%3]
		r := asked(int64(i), p.Workload.Adapters.List[d.adapter(i, 0)].Name, time.Duration(100+i)*ms, load)
		acc.Add(r)
		require.NoError(t, w.Write(r))
	}
	require.NoError(t, w.Close())
	want := acc.Summary(25 * time.Second)
	require.Len(t, want.Adapters, MaxAdapterRows+1)
	again, err := Replay(p, want.Window, ReadRecords(path))
	require.NoError(t, err)
	require.Equal(t, want, again.Summary(want.Window.End))
}

// addAllocs is how many allocations a record of adapter i costs, once the
// accumulator has met all of them.
func addAllocs(adapters int) float64 {
	acc := NewAccumulator(planOf(Users(1)), 0)
	var records []*Record
	for i := range adapters {
		records = append(records, asked(int64(i), fmt.Sprintf("lora-%04d", i), 100*ms, new(time.Duration(i%2))))
		acc.Add(records[i])
	}
	i := 0
	return testing.AllocsPerRun(1000, func() {
		acc.Add(records[i%len(records)])
		i++
	})
}

func TestAddingARecordAllocatesNothing(t *testing.T) {
	for _, n := range []int{1, 64, MaxAdapterRows + 100} {
		require.Zero(t, addAllocs(n), "%d adapters", n)
	}
}

func BenchmarkAccumulatorAdd(b *testing.B) {
	for _, n := range []int{0, 64, MaxAdapterRows} {
		b.Run(fmt.Sprintf("adapters=%d", n), func(b *testing.B) {
			acc := NewAccumulator(planOf(Users(1)), 0)
			records := []*Record{streamed(0, 6*time.Second, 32)}
			for i := range n {
				r := streamed(int64(i), 6*time.Second, 32)
				r.Adapter, r.AdapterLoad = fmt.Sprintf("lora-%04d", i), new(time.Duration(i%2))
				records = append(records, r)
			}
			for _, r := range records {
				acc.Add(r)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				acc.Add(records[i%len(records)])
			}
		})
	}
}
