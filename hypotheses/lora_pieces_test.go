package hypotheses

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/pagecache"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

func TestUniformMiss(t *testing.T) {
	for _, c := range []struct {
		why      string
		slots, n int
		want     float64
	}{
		{"a quarter fits", 16, 64, 0.75},
		{"all fit", 64, 64, 0},
		{"more than fit", 64, 4, 0},
		{"nothing is kept", 0, 4, 1},
	} {
		require.InDelta(t, c.want, uniformMiss(c.slots, c.n), 1e-12, c.why)
	}
	// Whatever a cache keeps, a uniform storm misses as much: here the least
	// recently used one goes.
	rng := rand.New(rand.NewPCG(1, 1))
	var kept []int
	missed, asked := 0, 20_000
	for range asked {
		want, at := rng.IntN(64), -1
		for i, k := range kept {
			if k == want {
				at = i
			}
		}
		if at < 0 {
			missed++
			at = 0
			if len(kept) < 12 {
				kept = append(kept, want)
				continue
			}
		}
		kept = append(append(kept[:at:at], kept[at+1:]...), want)
	}
	require.InDelta(t, uniformMiss(12, 64), float64(missed)/float64(asked), 0.02)
}

func TestConditionArms(t *testing.T) {
	e := plantedH5(1, claimedH5)
	e.Arms = append(e.Arms, &analysis.Measured{}) // an arm without adapters is none of theirs
	require.Len(t, conditionArms(e, analysis.ConditionStorm, -1), 24)
	require.Len(t, conditionArms(e, analysis.ConditionStorm, 16), 8)
	require.Len(t, conditionArms(e, analysis.ConditionBase, 0), 8)
	require.Empty(t, conditionArms(e, analysis.ConditionHot, -1))
}

func TestBytesPerRequest(t *testing.T) {
	arm := func(mbPerSec float64, requests int) *analysis.Measured {
		a := &analysis.Measured{TTFT: make([]float64, requests)}
		a.Summary.Window = loadgen.Window{Start: time.Second, End: 3 * time.Second}
		a.Telemetry.ReadMBPerSec = mbPerSec
		return a
	}
	require.InDelta(t, 2e6*(10+30)/(5+15), bytesPerRequest([]*analysis.Measured{arm(10, 5), arm(30, 15)}), 1e-6, "all bytes over all requests")
	require.InDelta(t, 4e6, bytesPerRequest([]*analysis.Measured{arm(10, 5), arm(0, 0)}), 1e-6)
	for why, arms := range map[string][]*analysis.Measured{
		"one arm that nobody saw hides what all read": {arm(10, 5), arm(math.NaN(), 5)},
		"no request": {arm(10, 0)},
		"no arm":     nil,
	} {
		require.True(t, math.IsNaN(bytesPerRequest(arms)), why)
	}
}

func TestCachedBefore(t *testing.T) {
	of := func(p *analysis.ColdProof) float64 {
		return cachedBefore(&analysis.Measured{Arm: analysis.Arm{LoRA: &analysis.LoRA{Cold: p}}})
	}
	require.InDelta(t, 0.25, of(&analysis.ColdProof{Before: &pagecache.Residency{Pages: 8, Resident: 2}}), 1e-12)
	require.True(t, math.IsNaN(of(nil)))
	require.True(t, math.IsNaN(of(&analysis.ColdProof{})), "nobody looked")
	require.True(t, math.IsNaN(of(&analysis.ColdProof{Before: &pagecache.Residency{}})), "no page to look at")
}

func TestLoadsPerRequest(t *testing.T) {
	of := func(ms ...float64) float64 {
		a := &analysis.Measured{}
		for _, v := range ms {
			a.Touches = append(a.Touches, analysis.Touch{LoadMs: v})
		}
		return loadsPerRequest(a)
	}
	require.InDelta(t, 0.5, of(0, 3, 0, 4), 1e-12)
	require.InDelta(t, 1, of(3, math.NaN()), 1e-12, "over those of which it is told")
	require.True(t, math.IsNaN(of(math.NaN())))
	require.True(t, math.IsNaN(of()))
}

func TestLeastOrderP(t *testing.T) {
	pairs := func(n, first int) []analysis.CrossoverPair {
		p := make([]analysis.CrossoverPair, n)
		for i := range first {
			p[i].BFirst = true
		}
		return p
	}
	require.InDelta(t, 2.0/70, leastOrderP(pairs(8, 4)), 1e-12)
	require.Greater(t, leastOrderP(pairs(7, 3)), h6SilentP)
	require.Greater(t, leastOrderP(pairs(8, 1)), h6SilentP, "eight pairs of which one began with the storm")
	require.Greater(t, leastOrderP(nil), h6SilentP)
}

func TestSizesOfTheLoRADesigns(t *testing.T) {
	thin := Profile{Thin: true, Repeats: 1}
	require.Equal(t, []int{4, 16, 64}, h5Sets(Profile{}, 64))
	require.Equal(t, []int{4, 16}, h5Sets(Profile{}, 63))
	require.Equal(t, []int{4}, h5Sets(Profile{}, 15), "too few for H5, which says so")
	require.Equal(t, []int{4, 64}, h5Sets(thin, 64))

	require.Equal(t, 10, h1Repeats(Profile{Repeats: 5}))
	require.Equal(t, 12, h1Repeats(Profile{Repeats: 12}))
	require.Equal(t, 1, h1Repeats(thin))
	require.Equal(t, 8, blocksOfEight(Profile{Repeats: 5}))
	require.Equal(t, 1, blocksOfEight(thin))
	for repeats, want := range map[int]int{1: 10, 10: 10, 11: 12} {
		require.Equal(t, want, h6Repeats(Profile{Repeats: repeats}), "an even number, so that both orders occur equally often")
	}
	require.Equal(t, 2, h6Repeats(thin))
}

// The designs that measure so often are enough for the rules that judge them.
func TestDesignsAreLargeEnoughForTheirRules(t *testing.T) {
	for _, name := range []string{"quick", "full"} {
		p, err := ProfileByName(name)
		require.NoError(t, err)
		require.GreaterOrEqual(t, h1Repeats(p), h1CycleLeast)
		require.GreaterOrEqual(t, h1Repeats(p)*h1Adapters, h1LoadsLeast)
		pairs := make([]analysis.CrossoverPair, h6Repeats(p))
		for i := range pairs {
			pairs[i].BFirst = i%2 == 0
		}
		require.Less(t, leastOrderP(pairs), h6SilentP)
	}
}

// H5 deals its cells as williams says: each once in every block.
func TestCellsOfH5ByWilliams(t *testing.T) {
	const cells = 7 // the base model, and sticky users and a storm over three sets
	orders := williams(cells, 8, rand.New(rand.NewPCG(3, 4)))
	require.Len(t, orders, 8)
	follows := map[[2]int]int{}
	for _, order := range orders {
		require.ElementsMatch(t, []int{0, 1, 2, 3, 4, 5, 6}, order)
		for i := 1; i < cells; i++ {
			follows[[2]int{order[i-1], order[i]}]++
		}
	}
	for pair, n := range follows {
		require.LessOrEqual(t, n, 2, "no cell keeps following another: %v", pair)
	}
}

// loraRig can make arms and nothing else.
func loraRig(t *testing.T) *Rig {
	t.Helper()
	p, err := ProfileByName("quick")
	require.NoError(t, err)
	r := &Rig{Config: Config{Seed: 5}, Profile: p, lora: &lora{}}
	for i := range plantedAdapters {
		r.lora.list = append(r.lora.list, loadgen.Adapter{Name: "a" + strconv.Itoa(i)})
	}
	r.lora.setup = analysis.LoRASetup{AdapterBytes: plantedSize, Slots: plantedSlots, ReadBytesPerSec: plantedRate}
	return r
}

var loraPilot = Pilot{Alone: PilotLevel{Users: 1, CycleMean: 50 * time.Millisecond}}

func TestArmsOfH1(t *testing.T) {
	r := loraRig(t)
	order := []int{3, 0, 2, 1}
	cold := h1Arm(r, loraPilot, 1, order, analysis.ConditionCold)
	warm := h1Arm(r, loraPilot, 1, order, analysis.ConditionWarm)
	for _, a := range []Arm{cold, warm} {
		require.NoError(t, a.Load.Validate())
		require.Equal(t, 1, a.Users)
		require.Equal(t, loadgen.AdapterInOrder, a.Load.Workload.Adapters.Choice)
		require.Equal(t, len(order), a.Load.Arrivals.Turns, "each once")
		require.Equal(t, len(order), a.Load.MinRequests)
		require.Zero(t, a.Load.Warmup, "the first touch counts")
		require.Zero(t, a.TouchAdapters, "nothing is loaded before it")
		var names []string
		for _, l := range a.Load.Workload.Adapters.List {
			names = append(names, l.Name)
		}
		require.Equal(t, []string{"a3", "a0", "a2", "a1"}, names)
	}
	require.True(t, cold.Restart)
	require.Positive(t, cold.TouchBase)
	require.False(t, warm.Restart)
	require.NotEqual(t, cold.Load.Seed, warm.Load.Seed, "no prompt is asked twice")
}

func TestArmsOfH5AndH6(t *testing.T) {
	r := loraRig(t)
	seeds := map[uint64]string{}
	for _, c := range []struct {
		arm     Arm
		choice  loadgen.AdapterChoice
		n       int
		restart bool
		touches int
	}{
		{h5Arm(r, loraPilot, 0, 9, 0, h5Cell{analysis.ConditionBase, 0}), "", 0, true, 0},
		{h5Arm(r, loraPilot, 0, 9, 1, h5Cell{analysis.ConditionSticky, 16}), loadgen.AdapterSticky, 16, true, 9},
		{h5Arm(r, loraPilot, 0, 9, 2, h5Cell{analysis.ConditionStorm, 4}), loadgen.AdapterRandom, 4, true, 4},
		{h5Arm(r, loraPilot, 0, 9, 3, h5Cell{analysis.ConditionStorm, 64}), loadgen.AdapterRandom, 64, true, plantedSlots},
		{h6Arm(r, loraPilot, 9, 9, analysis.ConditionBase, 0), "", 0, false, 0},
		{h6Arm(r, loraPilot, 9, 9, analysis.ConditionHot, 1), loadgen.AdapterHotOne, 1, false, 1},
		{h6Arm(r, loraPilot, 9, 9, analysis.ConditionStorm, 64), loadgen.AdapterRandom, 64, false, plantedSlots},
	} {
		a, why := c.arm, c.arm.Name
		require.NoError(t, a.Load.Validate(), why)
		require.Equal(t, c.choice, a.Load.Workload.Adapters.Choice, why)
		require.Len(t, a.Load.Workload.Adapters.List, c.n, why)
		require.Equal(t, c.n, a.LoRA.Adapters, why)
		require.Equal(t, c.restart, a.Restart, why)
		require.Equal(t, c.touches, a.TouchAdapters, why)
		require.Equal(t, loadgen.Nonce{Position: loadgen.NonceStart, Scope: loadgen.ScopeRequest}, a.Load.Workload.Nonce, why)
		require.Empty(t, seeds[a.Load.Workload.PromptSeed], "%s has prompts of its own", why)
		seeds[a.Load.Workload.PromptSeed] = why
		// If every request read its adapter the disk would be busy for about a third of
		// the time.
		cycle := loraPilot.Alone.CycleMean + a.Load.Arrivals.Think.Mean
		busy := 9 * plantedReadMs / 1e3 / cycle.Seconds()
		require.InDelta(t, loraDiskShare, busy, 0.02, why)
		require.Equal(t, loraPilot.Alone.CycleMean, a.Load.Arrivals.Think.Pace, why)
	}
}

func TestStormReasons(t *testing.T) {
	up := effect{ratio: analysis.Estimate{Value: 2, Lo: 1.5, Hi: 3}}
	known, unknown := analysis.LoRASetup{Slots: 4, AdapterBytes: 100}, analysis.LoRASetup{AdapterBytes: 100}
	for _, c := range []struct {
		why   string
		setup analysis.LoRASetup
		fits  bool
		bytes float64
		tail  effect
		want  []string
	}{
		{"reads as it should", known, false, 80, up, nil},
		{"all fits", known, true, 80, up, []string{"FITS"}},
		{"nobody knows whether all fits", unknown, true, 80, up, []string{"SLOTS_UNKNOWN"}},
		{"nobody counted", known, false, math.NaN(), up, []string{"READS_UNKNOWN"}},
		{"reads nothing", known, false, 4, effect{ratio: absent()}, []string{"NO_READS"}},
		{"less than nothing, beyond what the base model reads", known, false, -7, effect{ratio: absent()}, []string{"NO_READS"}},
		{"reads nothing, and the tail rises", known, false, 4, up, []string{"NOT_STORAGE"}},
		{"of unknown slots, reads nothing", unknown, false, 4, up, []string{"NOT_STORAGE"}},
	} {
		require.Equal(t, c.want, stormReasons(c.setup, c.fits, c.bytes, c.tail), c.why)
	}
}

// Only arms that must be cold need a proof.
func TestAdaptersColdLooksAtTheConditionsNamed(t *testing.T) {
	e := plantedH1(1, claimedH1())
	require.True(t, adaptersCold(e, analysis.ConditionCold).Holds, "warm windows are warm, and that is right")
	require.False(t, adaptersCold(e, analysis.ConditionCold, analysis.ConditionWarm).Holds)
	require.False(t, adaptersCold(e, analysis.ConditionStorm).Holds, "no arm, no proof")
	e.Arms[0].LoRA.Cold.Means = spark.MeansUnload
	require.True(t, adaptersCold(e, analysis.ConditionCold).Holds, "whatever the means")
}
