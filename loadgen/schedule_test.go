package loadgen

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func planOf(a Arrivals) Plan {
	return Plan{
		Arrivals: a,
		Workload: Workload{PromptTokens: 256, OutputTokens: 32},
		Warmup:   5 * time.Second, Measure: 20 * time.Second, Drain: 5 * time.Second,
		Seed: 42,
	}
}

func duesOf(p Plan, n int) []time.Duration {
	var dues []time.Duration
	for a := range p.Schedule() {
		dues = append(dues, a.Due)
		if len(dues) == n {
			break
		}
	}
	return dues
}

// The expected numbers were computed on amd64; any machine must give the same.
// GOAMD64=v3 lets the compiler fuse multiplications and additions as arm64 does,
// so running this test under it shows that none of them is.
func TestGoldenDueTimes(t *testing.T) {
	long := func(a Arrivals) Plan {
		p := planOf(a)
		p.Measure = time.Hour
		return p
	}
	for _, row := range []struct {
		name  string
		plan  Plan
		first []time.Duration
		hash  uint64 // FNV-1a of the first 10,000 dues as little-endian int64
	}{
		{"constant 3/s", long(Constant(3)), []time.Duration{0, 333333333, 666666667, 1000000000}, 0xd05c4b1910d17130},
		{"poisson 100/s", long(Poisson(100)), []time.Duration{13025292, 18769820, 27423352, 57052473}, 0x4064ce75b4cb4122},
		{"gamma 100/s, bursty", long(Gamma(100, 0.25)), []time.Duration{743498, 912493, 2801749, 2894003}, 0xde3d8e38b0a0cf6},
		{"gamma 100/s, even", long(Gamma(100, 4)), []time.Duration{3277961, 9810688, 35797723, 47074517}, 0xb3747789f77a39b0},
		{"ramp up", long(Ramp(1, 10)), []time.Duration{0, 1000000000, 2000000000}, 0x9f0a51d33e46aae2},
		{"ramp down", long(Ramp(10, 1)), []time.Duration{0, 100000000, 200000000}, 0x8939648d2bfca288},
	} {
		t.Run(row.name, func(t *testing.T) {
			dues := duesOf(row.plan, 10_000)
			require.Equal(t, row.first, dues[:len(row.first)])
			h := fnv.New64a()
			for _, d := range dues {
				require.NoError(t, binary.Write(h, binary.LittleEndian, int64(d)))
			}
			require.Equal(t, row.hash, h.Sum64(), "first dues %v", dues[:6])
		})
	}
}

func TestConstantGapsAreEven(t *testing.T) {
	for _, perSec := range []float64{0.1, 1, 3, 7, 1000.0 / 3, 12345.678} {
		dues := duesOf(func() Plan { p := planOf(Constant(perSec)); p.Measure = 12 * time.Hour; return p }(), 4000)
		for i, due := range dues {
			exact := float64(i) * 1e9 / perSec
			require.InDelta(t, exact, float64(due), 0.51, "arrival %d at %v/s", i, perSec)
		}
	}
}

func TestSchedulesKeepTheirRate(t *testing.T) {
	for _, row := range []struct {
		name string
		a    Arrivals
		cv   float64 // coefficient of variation of the gaps
	}{
		{"constant", Constant(100), 0},
		{"poisson", Poisson(100), 1},
		{"gamma bursty", Gamma(100, 0.25), 2},
		{"gamma even", Gamma(100, 16), 0.25},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := planOf(row.a)
			p.Measure = 300 * time.Second
			want := 100 * p.Horizon().Seconds()
			n := float64(len(duesOf(p, -1)))
			sd := row.cv * math.Sqrt(want)
			require.InDelta(t, want, n, 3*sd+1, "arrivals over %v", p.Horizon())
		})
	}
}

func TestSchedulesAreOrderedAndRepeatable(t *testing.T) {
	trace := []time.Duration{0, time.Second, time.Second, 9 * time.Second, time.Hour}
	for _, a := range []Arrivals{
		Users(10), Constant(50), Poisson(50), Gamma(50, 0.3), Gamma(50, 3),
		Ramp(0, 50), Ramp(50, 0), Ramp(20, 20), Trace(trace),
	} {
		t.Run(string(a.Kind), func(t *testing.T) {
			p := planOf(a)
			require.NoError(t, p.Validate())
			var last Arrival
			n := 0
			for got := range p.Schedule() {
				require.EqualValues(t, n, got.ID)
				require.GreaterOrEqual(t, got.Due, last.Due)
				require.Less(t, got.Due, p.Horizon())
				last = got
				n++
			}
			require.Positive(t, n)
			require.Equal(t, duesOf(p, -1), duesOf(p, -1), "the same plan twice")
		})
	}
}

func TestSeedsGiveDifferentSchedules(t *testing.T) {
	p := planOf(Poisson(10))
	a := duesOf(p, 100)
	p.Seed++
	require.NotEqual(t, a, duesOf(p, 100))
}

func TestRampFollowsItsIntegral(t *testing.T) {
	for _, row := range []struct{ from, to float64 }{{0, 30}, {30, 0}, {5, 25}, {25, 5}, {8, 8}} {
		p := planOf(Ramp(row.from, row.to))
		w, m := p.Warmup.Seconds(), p.Measure.Seconds()
		expected := func(t float64) float64 { // arrivals in (0,t]
			in := min(max(t-w, 0), m)
			return row.from*min(t, w) + row.from*in + (row.to-row.from)*in*in/(2*m) + row.to*max(t-w-m, 0)
		}
		for i, due := range duesOf(p, -1) {
			require.InDelta(t, float64(i), expected(due.Seconds()), 1e-4, "arrival %d of ramp %v", i, row)
		}
		require.InDelta(t, expected(p.Horizon().Seconds()), float64(len(duesOf(p, -1))), 1.01, "ramp %v", row)
	}
}

func TestUsersOfSchedules(t *testing.T) {
	take := func(a Arrivals, n int) (got []Arrival) {
		for x := range planOf(a).Schedule() {
			if len(got) == n {
				return got
			}
			got = append(got, x)
		}
		return got
	}
	closed := Users(4)
	closed.StartSpread = 2 * time.Second
	require.Equal(t, []Arrival{
		{0, 0, 0, 0}, {1, 1, 0, 500 * time.Millisecond}, {2, 2, 0, time.Second}, {3, 3, 0, 1500 * time.Millisecond},
	}, take(closed, 9), "a closed loop yields each user's start, evenly spread")

	require.Equal(t, []Arrival{{0, 0, 0, 0}, {1, 1, 0, 1e9}, {2, 2, 0, 2e9}}, take(Constant(1), 3),
		"an open loop without users makes each arrival its own")

	dealt := Constant(1)
	dealt.Users = 2
	require.Equal(t, []Arrival{{0, 0, 0, 0}, {1, 1, 0, 1e9}, {2, 0, 1, 2e9}, {3, 1, 1, 3e9}}, take(dealt, 4),
		"with users they are dealt in turn")
}

func TestThinkTimes(t *testing.T) {
	p := planOf(Users(2))
	require.Zero(t, p.ThinkTime(0, 1), "none")

	p.Arrivals.Think = Think{Kind: ThinkConstant, Mean: time.Second}
	require.Zero(t, p.ThinkTime(0, 0), "the first question needs no thought")
	require.Equal(t, time.Second, p.ThinkTime(1, 7))

	p.Arrivals.Think.Kind = ThinkExponential
	require.Equal(t, 2531049434*time.Nanosecond, p.ThinkTime(3, 5), "golden, the same on any machine")
	var sum time.Duration
	const n = 20_000
	for turn := range n {
		sum += p.ThinkTime(0, turn+1)
	}
	require.InDelta(t, 1, (sum / n).Seconds(), 0.03, "mean")
}

func TestScheduleStopsWithItsConsumer(t *testing.T) {
	for _, a := range []Arrivals{Users(5), Constant(1e6), Poisson(1e6), Gamma(1e6, 0.5), Ramp(1e6, 1e6), Trace(make([]time.Duration, 9))} {
		require.Len(t, duesOf(planOf(a), 3), 3, string(a.Kind))
	}
}

func TestNanosSaturates(t *testing.T) {
	for _, v := range []float64{math.Inf(1), math.NaN(), 1e300, 1 << 61} {
		require.Equal(t, time.Duration(1<<61), nanos(v))
	}
	require.Equal(t, time.Duration(2), nanos(1.5))
}

func BenchmarkSchedulePoisson(b *testing.B) {
	p := planOf(Poisson(1e6))
	p.Measure = MaxPlanned
	b.ReportAllocs()
	n := 0
	for range p.Schedule() {
		if n++; n == b.N {
			return
		}
	}
}

// Whatever the answers take, as long as they take less than pace and thought,
// every turn is due at the same instant; a late one moves the rest.
func TestPacedUsersAskAtTheSameInstants(t *testing.T) {
	p := Plan{Seed: 3, Arrivals: Users(2)}
	p.Arrivals.Think = Think{Kind: ThinkExponential, Mean: 100 * time.Millisecond, Pace: 50 * time.Millisecond}
	dues := func(answer func(turn int) time.Duration) (out []time.Duration) {
		a := Arrival{User: 1}
		for range 20 {
			out = append(out, a.Due)
			a = p.next(a, a.Due+answer(a.Turn))
		}
		return out
	}
	fast := dues(func(int) time.Duration { return time.Millisecond })
	slow := dues(func(int) time.Duration { return 50 * time.Millisecond })
	require.Equal(t, fast, slow)
	const late = 3 * time.Millisecond
	hiccup := dues(func(turn int) time.Duration {
		if turn == 7 {
			return fast[8] - fast[7] + late
		}
		return time.Millisecond
	})
	require.Equal(t, fast[:8], hiccup[:8])
	for i := 8; i < len(fast); i++ {
		require.Equal(t, fast[i]+late, hiccup[i], "nobody hurries to catch up")
	}
	p.Arrivals.Think.Pace = 0
	require.Equal(t, 7*time.Second+p.ThinkTime(1, 1), p.next(Arrival{User: 1}, 7*time.Second).Due, "without a pace the thought begins at the answer")
}
