package fioctl

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReduce(t *testing.T) {
	const period = 50 * ms
	read := func(k int, late, took time.Duration) Sample {
		due := time.Duration(k) * period
		return Sample{Due: due, Start: due + late, End: due + late + took}
	}
	hundred := make([]Sample, 100)
	for i := range hundred {
		hundred[i] = read(i, 0, time.Duration(i+1)*time.Microsecond)
	}
	us := time.Microsecond
	for _, row := range []struct {
		why     string
		samples []Sample
		want    Victim
	}{
		{"nothing", nil, Victim{}},
		{"one read is every quantile", []Sample{read(3, 0, ms)}, Victim{Reads: 1, P50: ms, P95: ms, P99: ms, Mean: ms, Trimmed: ms}},
		{"nearest ranks of 1 to 100", hundred, Victim{Reads: 100, P50: 50 * us, P95: 95 * us, P99: 99 * us, Mean: 50500 * time.Nanosecond, Trimmed: 48 * us}},
		{"a late start is not part of the latency", []Sample{read(0, 0, ms), read(1, 51*ms, ms)}, Victim{Reads: 2, Late: 1, P50: ms, P95: ms, P99: ms, Mean: ms, Trimmed: ms}},
		{
			"a slow read covers periods: they are missed",
			[]Sample{read(0, 0, 170*ms), read(3, 20*ms, ms), read(4, 0, ms)},
			Victim{Reads: 3, Missed: 2, P50: ms, P95: 170 * ms, P99: 170 * ms, Mean: 172 * ms / 3, Trimmed: 172 * ms / 3},
		},
	} {
		t.Run(row.why, func(t *testing.T) {
			got := Reduce(slices.Values(row.samples), period)
			require.InDelta(t, row.want.Mean, got.Mean, 1)
			got.Mean = row.want.Mean
			require.Equal(t, row.want, got)
			back := slices.Clone(row.samples)
			slices.Reverse(back)
			got = Reduce(slices.Values(back), period)
			got.Mean = row.want.Mean
			require.Equal(t, row.want, got, "order does not matter")
		})
	}
}

func TestBetweenCutsByDue(t *testing.T) {
	all := []Sample{{Due: 1, Start: 9, End: 10}, {Due: 2, Start: 2, End: 3}, {Due: 3, Start: 3, End: 4}, {Due: 4}}
	require.Equal(t, all[1:3], slices.Collect(Between(slices.Values(all), 2, 4)))
	for range Between(slices.Values(all), 0, 9) {
		break // stopping early must not panic
	}
}
