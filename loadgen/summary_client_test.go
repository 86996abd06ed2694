package loadgen

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEstimatedTokensStandApart(t *testing.T) {
	acc := NewAccumulator(planOf(Users(1)), 0)
	counted := streamed(0, 6*time.Second, 10)
	guessed := streamed(1, 6*time.Second, 10)
	guessed.TokensEstimated = true
	unknown := streamed(2, 6*time.Second, 10)
	unknown.OutputTokens = nil
	for i := range unknown.Events {
		guessed.Events[i].Tokens, unknown.Events[i].Tokens = 0, 0
	}
	for _, r := range []*Record{counted, guessed, unknown} {
		acc.Add(r)
	}
	s := acc.Summary(25 * time.Second)
	require.EqualValues(t, 10, s.Tokens.Output)
	require.EqualValues(t, 10, s.Tokens.Estimated)
	require.InDelta(t, 0.5, s.Rates.OutputTokensPerSec, 1e-9)
	require.InDelta(t, 1.0, *s.Rates.EstimatedTokensPerSec, 1e-9)
	require.EqualValues(t, 9, s.ITL.N, "no per-token gap without per-event counts")
	require.EqualValues(t, 27, s.ICL.N)
	require.EqualValues(t, 1, s.TPOT.N)
}

func TestLengthsAreComparedWithWhatWasAsked(t *testing.T) {
	p := planOf(Users(1)) // asks 32
	acc := NewAccumulator(p, 0)
	for i, row := range []struct{ in, out int }{{256, 32}, {261, 32}, {262, 32}, {128, 31}, {256, 16}} {
		r := streamed(int64(i), 6*time.Second, 4)
		r.PromptTokens, r.OutputTokens = new(row.in), new(row.out)
		if i < 2 {
			r.CachedTokens = new(100 * i)
		}
		acc.Add(r)
	}
	got := acc.Summary(25 * time.Second).Tokens
	require.EqualValues(t, 2, got.InputOff, "262 and 128 of 256")
	require.EqualValues(t, 2, got.OutputOff, "31 and 16 of 32")
	require.EqualValues(t, 1163, got.Input)
	require.InDelta(t, 1163.0/5, *got.InputMean, 1e-9)
	require.EqualValues(t, 100, *got.Cached)
}

func TestClientHonesty(t *testing.T) {
	acc := NewAccumulator(planOf(Users(1)), 0)
	for i := range int64(10) {
		r := streamed(i, 6*time.Second, 10)
		if i < 2 {
			r.Dispatched = At(r.Due.since + 11*ms)
			r.ReusedConn = false
		}
		if i == 0 {
			r.Reads = 5 // two events in each read
			r.Stamp = StampUser
		}
		acc.Add(r)
	}
	c := acc.Summary(25 * time.Second).Client
	require.EqualValues(t, 2, c.Late)
	require.Equal(t, map[StampSource]int64{StampKernel: 9, StampUser: 1}, c.Stamps)
	require.InDelta(t, 100.0/95, *c.EventsPerRead, 1e-12)
	require.InDelta(t, 0.1, *c.MergedShare, 1e-12)
	require.InDelta(t, 0.8, *c.ReusedShare, 1e-12)
	require.InEpsilon(t, 11, float64(c.Lag.Max), 0.001)
}

func TestUsageGrowsWithWork(t *testing.T) {
	before, err := ReadUsage()
	require.NoError(t, err)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		after, err := ReadUsage()
		require.NoError(t, err)
		if used := after.Since(before); used.CPU > 2*ms {
			require.Positive(t, used.PeakRSSBytes)
			return
		}
	}
	t.Fatal("no CPU time was counted in 5 s")
}
