package fioctl

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model is a device that is no device: a closed queue of which the throughput
// saturates, and a probe whose wait grows with the queue. Time is counted, not
// spent.
type model struct {
	most    float64       // I/Os per second when saturated
	base    time.Duration // of one I/O alone
	noise   float64       // of every figure, as a share
	drift   float64       // of most, per second
	foreign float64       // bytes per second of somebody else
	// foreignFrom is when somebody begins to read 900 MB/s; 0 is never.
	foreignFrom time.Duration

	deaf    bool    // the probe feels nothing
	engine1 bool    // an engine that cannot queue
	pace    float64 // rates come out this much of what was asked; 0 is all
	fail    error   // of the run of that job
	failOf  string

	t    time.Duration
	rng  *rand.Rand
	jobs []Job
}

func (m *model) now() time.Duration { return m.t }

func (m *model) observe(ctx context.Context, job *Job, probe bool, settle, window time.Duration) (observation, error) {
	if ctx.Err() != nil {
		return observation{}, ctx.Err()
	}
	if m.rng == nil {
		m.rng = rand.New(rand.NewPCG(1, 2))
	}
	m.t += settle + window + startAllowance
	o := observation{Device: DeviceActivity{Elapsed: window, ReadBytes: m.foreign * window.Seconds()}}
	if m.foreignFrom > 0 && m.t > m.foreignFrom {
		o.Device.ReadBytes += 900e6 * window.Seconds()
	}
	queue := 0.0
	if job != nil {
		m.jobs = append(m.jobs, *job)
		if job.Name == m.failOf {
			return observation{}, m.fail
		}
		most := m.most * (1 + m.drift*m.t.Seconds())
		depth := float64(job.Depth)
		if m.engine1 {
			depth = 1
		}
		if m.most > 0 {
			o.IOPS = most * (1 - math.Exp(-depth/most/m.base.Seconds())) * m.near()
		}
		queue = depth
		if r := job.RateIOPS * cmp.Or(m.pace, 1); r > 0 && r < o.IOPS {
			o.IOPS, queue = r, min(depth, r*m.base.Seconds()/(1-r/most))
		}
		o.Device.AquSz = queue
		o.Device.RAwait = time.Duration(queue / o.IOPS * 1e9)
		o.CPUCores = o.IOPS * 20e-6
		o.OwnBytes = o.IOPS * window.Seconds() * float64(job.BlockBytes)
		o.Device.ReadBytes += o.OwnBytes
		o.DepthShare = map[int]float64{job.Depth: 1}
	}
	if probe {
		wait := float64(m.base) * (1 + queue/4)
		if m.deaf {
			wait = float64(m.base)
		}
		for due := time.Duration(0); due < window; due += 20 * time.Millisecond * max(1, window/(2*time.Second)) {
			o.Samples = append(o.Samples, Sample{Due: due, Start: due, End: due + time.Duration(wait*m.near())})
		}
		o.Victim = Reduce(slices.Values(o.Samples), 20*time.Millisecond)
	}
	return o, nil
}

func (m *model) near() float64 { return 1 + m.noise*(2*m.rng.Float64()-1) }

func modelled(plan CalibratePlan) CalibrateConfig {
	return CalibrateConfig{
		Plan: plan, Device: "vda", Progress: func(string) {},
		Probe: Probe{Path: "x", SizeBytes: 1 << 30, BlockBytes: KVBlockBytes, PerSec: 50},
	}
}

func disk() *model { return &model{most: 8000, base: 200 * time.Microsecond, noise: 0.01} }

func TestQuickCalibrationOfAModel(t *testing.T) {
	m := disk()
	cal, err := calibrate(t.Context(), modelled(QuickPlan()), m)
	require.NoError(t, err)
	require.Equal(t, 8, cal.Plateau, "1 − exp(−0.625·8) is 99.3 % of all")
	require.Equal(t, 32, cal.Max.Depth, "deep enough to contend")
	require.InEpsilon(t, 8000, cal.Max.IOPS, 0.03)
	require.Len(t, cal.Sweep, 8)
	require.Len(t, cal.Levels, 3)

	base, moderate, heavy := cal.Levels[0], cal.Levels[1], cal.Levels[2]
	require.Nil(t, base.Job)
	require.Equal(t, cal.Idle, base.Victim, "a level without load is the idle probe")
	require.InEpsilon(t, 0.4*cal.Max.IOPS, moderate.Job.RateIOPS, 0.05)
	require.GreaterOrEqual(t, moderate.Job.Depth, 8)
	require.Zero(t, heavy.Job.RateIOPS)
	require.GreaterOrEqual(t, heavy.Job.Depth, 32)
	for _, l := range cal.Levels {
		require.LessOrEqual(t, l.Miss, 0.05, l.Name)
		if l.Job != nil {
			require.NoError(t, l.Job.Validate())
		}
	}
	require.Less(t, base.Victim.P50, moderate.Victim.P50)
	require.Less(t, moderate.Victim.P50, heavy.Victim.P50)
	require.Less(t, cal.Took, 50*time.Second)
	got, ok := cal.Level("HEAVY")
	require.True(t, ok)
	require.Equal(t, heavy, got)
	_, ok = cal.Level("heavy")
	require.False(t, ok)

	again := disk()
	same, err := calibrate(t.Context(), modelled(QuickPlan()), again)
	require.NoError(t, err)
	require.Equal(t, cal, same, "the seed decides the order")
	require.NotEqual(t, 1, m.jobs[0].Depth, "depths are shuffled")
}

func TestFullCalibrationOfAModel(t *testing.T) {
	cal, err := calibrate(t.Context(), modelled(FullPlan()), disk())
	require.NoError(t, err)
	require.Len(t, cal.Levels, 5)
	for i, l := range cal.Levels[1:] {
		require.LessOrEqual(t, l.Miss, 0.05)
		require.Greater(t, l.Victim.P50, cal.Levels[i].Victim.P50)
	}
	require.Less(t, cal.Took, 10*time.Minute)
}

func TestCalibrationFollowsADeviceThatDrifts(t *testing.T) {
	m := disk()
	m.drift = 0.004 // a sixth within the calibration
	cal, err := calibrate(t.Context(), modelled(QuickPlan()), m)
	require.NoError(t, err)
	require.LessOrEqual(t, cal.Levels[1].Miss, 0.05, "the share is of what the device does now")
	require.Less(t, cal.Took, 50*time.Second)
}

func TestCalibrationReachesOtherAims(t *testing.T) {
	plan := FullPlan()
	plan.Goals = []Goal{
		{"BASELINE", Aim{}},
		{"X2", Aim{ProbeMultiple: 2}},
		{"Q6", Aim{AquSz: 6.5}},
		{"X8", Aim{ProbeMultiple: 8}},
	}
	cal, err := calibrate(t.Context(), modelled(plan), disk())
	require.NoError(t, err)
	for _, l := range cal.Levels {
		require.LessOrEqual(t, l.Miss, plan.Tolerance, l.Name)
	}
	require.InEpsilon(t, 6.5, cal.Levels[2].AquSz, 0.05)
	require.InEpsilon(t, 2*cal.Idle.P50, cal.Levels[1].Victim.P50, 0.06)
	require.InEpsilon(t, 8*cal.Idle.P50, cal.Levels[3].Victim.P50, 0.06)
}

func TestCalibrationRaisesTheDepthForARate(t *testing.T) {
	// A device that sweeps well at depth 8 but holds a rate back there.
	m, plan := &stubborn{model: *disk(), deep: 24}, QuickPlan()
	plan.Budget = 0
	cal, err := calibrate(t.Context(), modelled(plan), m)
	require.NoError(t, err)
	require.Equal(t, 32, cal.Levels[1].Job.Depth)
	require.LessOrEqual(t, cal.Levels[1].Miss, 0.05)
}

// stubborn brings rates only from a depth on.
type stubborn struct {
	model
	deep int
}

func (s *stubborn) observe(ctx context.Context, job *Job, probe bool, settle, window time.Duration) (observation, error) {
	s.pace = 0
	if job != nil && job.RateIOPS > 0 && job.Depth < s.deep {
		s.pace = 0.8
	}
	return s.model.observe(ctx, job, probe, settle, window)
}

func TestCalibrationRefuses(t *testing.T) {
	broken := errors.New("fio was killed")
	goals := func(g ...Goal) func(*CalibratePlan) { return func(p *CalibratePlan) { p.Goals = g } }
	for _, row := range []struct {
		why   string
		model func(*model)
		plan  func(*CalibratePlan)
		err   error
		says  string
	}{
		{"somebody reads 50 MB/s", func(m *model) { m.foreign = 50e6 }, nil, ErrBusyDevice, "50.0 MB/s"},
		{"somebody starts to read when the levels are measured", func(m *model) { m.foreignFrom = 25 * time.Second }, nil, ErrBusyDevice, "900 MB/s are not ours"},
		{"the probe feels nothing", func(m *model) { m.deaf = true }, nil, ErrLevelsAlike, "BASELINE and MODERATE"},
		{"levels in the wrong order", nil, goals(Goal{"HEAVY", Aim{Share: 1}}, Goal{"MODERATE", Aim{Share: 0.4}}), ErrLevelsAlike, "HEAVY and MODERATE"},
		{"two levels are one", nil, goals(Goal{"A", Aim{Share: 0.5}}, Goal{"B", Aim{Share: 0.5}}), ErrLevelsAlike, "A and B"},
		{"depth is 1 whatever is asked", func(m *model) { m.engine1 = true }, nil, ErrUnreachable, "queue is 1.0 at depth"},
		{"a rate is never reached", func(m *model) { m.pace = 0.8 }, nil, ErrUnreachable, "level MODERATE"},
		{"a queue deeper than all depths", nil, goals(Goal{"Q", Aim{AquSz: 500}}), ErrUnreachable, "level Q"},
		{"fio fails in the sweep", func(m *model) { m.fail, m.failOf = broken, "depth-16" }, nil, broken, "sweep, depth 16"},
		{"fio fails in a level", func(m *model) { m.fail, m.failOf = broken, "moderate" }, nil, broken, "level MODERATE"},
		{"fio fails when saturated", func(m *model) { m.fail, m.failOf = broken, "heavy" }, nil, broken, "level HEAVY"},
		{"nothing flows", func(m *model) { m.most = 0 }, nil, ErrUnreachable, "no reads"},
		{"too few idle reads", nil, func(p *CalibratePlan) { p.Idle = 100 * time.Millisecond }, ErrProbe, "reads in 100ms"},
	} {
		t.Run(row.why, func(t *testing.T) {
			m, plan := disk(), QuickPlan()
			if row.model != nil {
				row.model(m)
			}
			if row.plan != nil {
				row.plan(&plan)
			}
			_, err := calibrate(t.Context(), modelled(plan), m)
			require.ErrorIs(t, err, row.err)
			require.ErrorContains(t, err, row.says)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := calibrate(ctx, modelled(QuickPlan()), disk())
	require.ErrorIs(t, err, context.Canceled)
}

func TestCalibrateRefusesItsConfiguration(t *testing.T) {
	good := modelled(QuickPlan())
	require.NoError(t, good.Validate())
	for why, row := range map[string]struct {
		spoil func(*CalibrateConfig)
		err   error
	}{
		"no device":          {func(c *CalibrateConfig) { c.Device = "" }, ErrNoCounters},
		"unknown device":     {func(c *CalibrateConfig) { c.Device, c.ProcRoot = "nvme9n9", t.TempDir() }, ErrNoCounters},
		"in memory":          {func(c *CalibrateConfig) { c.Target.Memory = true }, ErrTarget},
		"probe":              {func(c *CalibrateConfig) { c.Probe.PerSec = 0 }, ErrProbe},
		"block":              {func(c *CalibrateConfig) { c.Plan.BlockBytes = 1000 }, ErrPlan},
		"depths descend":     {func(c *CalibrateConfig) { c.Plan.Depths = []int{8, 4} }, ErrPlan},
		"depth twice":        {func(c *CalibrateConfig) { c.Plan.Depths = []int{4, 4} }, ErrPlan},
		"no depth":           {func(c *CalibrateConfig) { c.Plan.Depths = nil }, ErrPlan},
		"depth 0":            {func(c *CalibrateConfig) { c.Plan.Depths = []int{0, 4} }, ErrPlan},
		"no levels":          {func(c *CalibrateConfig) { c.Plan.Goals = nil }, ErrPlan},
		"a level twice":      {func(c *CalibrateConfig) { c.Plan.Goals = append(c.Plan.Goals, c.Plan.Goals[0]) }, ErrPlan},
		"level without name": {func(c *CalibrateConfig) { c.Plan.Goals = []Goal{{}} }, ErrPlan},
		"two aims":           {func(c *CalibrateConfig) { c.Plan.Goals[1].Aim.AquSz = 2 }, ErrPlan},
		"share above 1":      {func(c *CalibrateConfig) { c.Plan.Goals[1].Aim.Share = 1.1 }, ErrPlan},
		"share not a number": {func(c *CalibrateConfig) { c.Plan.Goals[1].Aim.Share = math.NaN() }, ErrPlan},
		"multiple below 1":   {func(c *CalibrateConfig) { c.Plan.Goals[1].Aim = Aim{ProbeMultiple: 0.5} }, ErrPlan},
		"no window":          {func(c *CalibrateConfig) { c.Plan.LevelWindow = 0 }, ErrPlan},
		"gain":               {func(c *CalibrateConfig) { c.Plan.Gain = math.NaN() }, ErrPlan},
		"backstop":           {func(c *CalibrateConfig) { c.Plan.Backstop = time.Second }, ErrPlan},
	} {
		c := modelled(QuickPlan())
		row.spoil(&c)
		_, err := Calibrate(t.Context(), c)
		require.ErrorIs(t, err, row.err, why)
	}
	_, err := Calibrate(t.Context(), CalibrateConfig{})
	require.Greater(t, strings.Count(err.Error(), "fioctl:"), 5, "all that is wrong is said at once")
}

func TestPlateau(t *testing.T) {
	for _, row := range []struct {
		why   string
		iops  []float64
		want  int
		found bool
	}{
		{"rises, then flat", []float64{1, 2, 4, 8, 8.1, 8.2, 8.3}, 3, true},
		{"a doubling that gains nothing and one that does", []float64{1, 2, 2, 4, 4, 4}, 3, true},
		{"gains more than 3 % in two steps", []float64{100, 102, 104, 104.1, 104.2}, 1, true},
		{"falls after its best", []float64{4, 8, 6, 5}, 1, true},
		{"still rising", []float64{1, 2, 4, 8}, 3, false},
		{"flat from the start", []float64{5, 5, 5}, 0, true},
		{"one depth", []float64{5}, 0, false},
		{"two depths", []float64{5, 4}, 0, false},
		{"nothing", []float64{0, 0, 0}, 0, false},
	} {
		var sweep []Depth
		for i, x := range row.iops {
			sweep = append(sweep, Depth{Depth: 1 << i, IOPS: x})
		}
		i, found := plateau(sweep, 0.03)
		require.Equal(t, row.want, i, row.why)
		require.Equal(t, row.found, found, row.why)
	}
}

func TestSlowerP(t *testing.T) {
	reads := func(took ...float64) (s []Sample) {
		for _, x := range took {
			s = append(s, Sample{End: time.Duration(x)})
		}
		return s
	}
	// 70 ways to choose four; two have the least sum, for two reads are equal.
	require.InDelta(t, 2.0/70, slowerP(reads(10, 20, 30, 40), reads(40, 50, 60, 70)), 0.01)
	require.Less(t, slowerP(reads(1, 2, 3, 4, 5, 6, 7, 8), reads(11, 12, 13, 14, 15, 16, 17, 18)), 0.002)
	require.Greater(t, slowerP(reads(10, 11, 12, 10, 11, 12, 10, 11), reads(10, 11, 12, 10, 11, 12, 10, 11000)), 0.01, "a hiccup is no load")
	require.Greater(t, slowerP(reads(11, 12, 13, 14, 15), reads(1, 2, 3, 4, 5)), 0.99)
	require.InDelta(t, 1, slowerP(reads(5, 5, 5), reads(5, 5, 5)), 1e-9)
	require.InDelta(t, 1, slowerP(nil, reads(1)), 1e-9)
	require.InDelta(t, 1, slowerP(reads(1), nil), 1e-9)
}
