package watch

import (
	"testing"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// The hot path: what one request and one telemetry tick pay for being watched.
// The channel is emptied outside of the clock, as the drain would.

func BenchmarkTapRecord(b *testing.B) {
	h, _ := fakeHub()
	sink := h.Records(h.start, keep)
	rec := request(0, 10, 500, make([]int, 128)...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_ = sink(rec)
		if i%recordsAhead == recordsAhead-1 {
			b.StopTimer()
			for range len(h.records) {
				<-h.records
			}
			b.StartTimer()
		}
	}
}

func BenchmarkTapRow(b *testing.B) {
	h, _ := fakeHub()
	m := meta(h.start)
	sink := h.Rows(m, keepRow)
	row := telemetry(time.Second, nil)
	b.ReportAllocs()
	for b.Loop() {
		_ = sink(row)
		<-h.rows
	}
}

// BenchmarkUnwatched is the price of a nil Hub.
func BenchmarkUnwatched(b *testing.B) {
	var h *Hub
	sink := h.Records(0, keep)
	rec := request(0, 10, 500)
	b.ReportAllocs()
	for b.Loop() {
		_ = sink(rec)
	}
}

// BenchmarkDrain is what one request costs off the hot path, with its 128
// events over half a second.
func BenchmarkDrain(b *testing.B) {
	h, now := fakeHub()
	*now += 10 * time.Second
	h.drain()
	rec := request(0, 10, 500, make([]int, 128)...)
	b.ReportAllocs()
	for b.Loop() {
		h.s.addRecord(rec, 0)
	}
}

// BenchmarkNews is what a second costs per open page.
func BenchmarkNews(b *testing.B) {
	h, now := fakeHub()
	var c cursor
	h.Begin("H2", "", "")
	for range 200 {
		*now += time.Second
		h.drain()
	}
	h.message(&c)
	b.ReportAllocs()
	for b.Loop() {
		*now += time.Second
		h.records <- arrival{&loadgen.Record{Outcome: loadgen.OutcomeOK, Due: loadgen.At(*now - h.start)}, h.start}
		h.drain()
		h.message(&c)
	}
}
