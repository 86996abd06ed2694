package watch

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/sysmon"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeHub is a hub whose clock stands still until it is moved. It begins at an
// odd CLOCK_MONOTONIC instant, as real ones do.
func fakeHub() (*Hub, *time.Duration) {
	now := 1234567 * time.Second
	at := &now
	return newHub(func() time.Duration { return *at }, time.UnixMilli(1_700_000_000_000)), at
}

// request is a good request, its times in ms since the hub's start.
func request(due, first, end int, tokens ...int) *loadgen.Record {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	r := &loadgen.Record{
		Phase: loadgen.PhaseMeasure, Outcome: loadgen.OutcomeOK,
		Due: loadgen.At(ms(due)), FirstToken: loadgen.At(ms(first)), LastToken: loadgen.At(ms(end)), Close: loadgen.At(ms(end)),
	}
	for i, n := range tokens {
		r.Events = append(r.Events, loadgen.Event{At: ms(first + i*(end-first)/max(len(tokens)-1, 1)), Tokens: n})
	}
	return r
}

// meta describes rows with all columns of the view, and one that it skips.
func meta(epoch time.Duration) sysmon.Meta {
	m := sysmon.Meta{Epoch: epoch, Columns: []sysmon.Column{{Name: "t_mono_ns"}}}
	for _, n := range columnNames() {
		m.Columns = append(m.Columns, sysmon.Column{Name: n})
	}
	return m
}

// telemetry is a row at t with these columns; the others are 0.
func telemetry(t time.Duration, v map[int]float64) sysmon.Row {
	row := sysmon.Row{T: t, Values: make([]float64, columns+1)}
	for i, x := range v {
		row.Values[i+1] = x
	}
	return row
}

// field is one number of the fine bin of a second.
func field(h *Hub, sec int64, name string) float64 {
	for i, f := range fields() {
		if f == name {
			return float64(h.s.fine.bins[sec-h.s.fine.base].values(1)[i])
		}
	}
	panic(name)
}
