package fioctl

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/clock"
)

func TestReadBetween(t *testing.T) {
	const s = time.Second
	r := Run{Status: []Status{{T: 1 * s, ReadBytes: 100, ReadIOs: 1}, {T: 2 * s, ReadBytes: 300, ReadIOs: 3}, {T: 4 * s, ReadBytes: 300, ReadIOs: 3}}}
	for _, row := range []struct {
		why        string
		from, to   time.Duration
		bytes, ios float64
		ok         bool
	}{
		{"all of it", 1 * s, 4 * s, 200, 2, true},
		{"between statuses", 1500 * time.Millisecond, 3 * s, 100, 1, true},
		{"inside one interval", 1250 * time.Millisecond, 1750 * time.Millisecond, 100, 1, true},
		{"nothing was read", 2 * s, 4 * s, 0, 0, true},
		{"no time", 2 * s, 2 * s, 0, 0, true},
		{"from before the first", 0, 2 * s, 0, 0, false},
		{"to after the last", 1 * s, 5 * s, 0, 0, false},
		{"backwards", 2 * s, 1 * s, 0, 0, false},
	} {
		bytes, ios, ok := r.ReadBetween(row.from, row.to)
		require.Equal(t, row.ok, ok, row.why)
		require.InDelta(t, row.bytes, bytes, 1e-9, row.why)
		require.InDelta(t, row.ios, ios, 1e-9, row.why)
	}
	_, _, ok := Run{}.ReadBetween(0, s)
	require.False(t, ok, "nothing is known")
}

func TestTake(t *testing.T) {
	p := &Process{flowing: make(chan struct{})}
	p.clk = clock.New()
	doc := func(ago time.Duration, ios int64, ran time.Duration) Result {
		return Result{At: time.Now().Add(-ago), Read: Direction{IOs: ios, Bytes: ios * 10, Runtime: ran}}
	}
	p.take(doc(400*time.Millisecond, 0, 0))
	require.Zero(t, p.run.Flowing, "no I/O yet")
	p.take(doc(300*time.Millisecond, 5, 100*time.Millisecond))
	require.NotZero(t, p.run.Flowing)
	p.take(doc(250*time.Millisecond, 4, 50*time.Millisecond))
	require.Len(t, p.run.Status, 2, "less than before is no account of this run")
	p.take(doc(300*time.Millisecond, 6, 100*time.Millisecond))
	require.Equal(t, int64(6), p.run.Result.Read.IOs)
	require.LessOrEqual(t, len(p.run.Status), 3, "of one instant the newer counts")
	for _, off := range []time.Duration{-time.Hour, time.Hour, 400 * time.Millisecond} {
		n, before := len(p.run.Status), p.now()
		p.take(doc(off, int64(100+n), time.Duration(100+n)*time.Millisecond))
		last := p.run.Status[len(p.run.Status)-1]
		require.Equal(t, int64(100+n), last.ReadIOs)
		require.GreaterOrEqual(t, last.T, before, "a wall clock that was set is not believed")
	}
	p.run.Status = append(p.run.Status[:2:2], Status{T: p.run.Status[1].T + time.Second})
	p.ran = 100 * time.Millisecond
	p.stampEnd()
	require.Equal(t, 100*time.Millisecond, p.run.Status[2].T-p.run.Status[1].T, "the end is where fio's threads ended")
}

func TestThin(t *testing.T) {
	var s []Status
	for i := range maxStatus + 1 {
		s = thin(append(s, Status{T: time.Duration(i)}))
	}
	require.LessOrEqual(t, len(s), maxStatus/2+2)
	require.Equal(t, time.Duration(0), s[0].T)
	require.Equal(t, time.Duration(maxStatus), s[len(s)-1].T)
}

func TestFioWords(t *testing.T) {
	for _, row := range []struct{ why, said, want string }{
		{"nothing", "", ""},
		{"our own signal is no news", "\nfio: terminating on signal 2\n", ""},
		{"documents are not words", "fio: a\n{\n  \"x\" : {\n  }\n}\nb\n", "fio: a | b"},
		{"words inside a document", "{\n  \"x\" : 1,\nfio: c\n}\n", "fio: c"},
		{"no text at all", "\xff\n", "?"},
	} {
		require.Equal(t, row.want, fioWords(row.said), row.why)
	}
	w := &wordFilter{to: &tail{limit: 100}}
	for _, part := range []string{"{\n fi", "o: no\nfi", "o: yes\n", "fio\nfiox\n", "fio: unended"} {
		_, err := w.Write([]byte(part))
		require.NoError(t, err)
	}
	require.Equal(t, "fio: yes\n", w.to.String())
}
