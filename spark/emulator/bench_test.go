package emulator

import (
	"hash/crc32"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func BenchmarkFill(b *testing.B) {
	buf := make([]byte, 128<<10)
	b.SetBytes(int64(len(buf)))
	for i := uint64(0); b.Loop(); i++ {
		fillRandom(buf, i)
	}
}

func BenchmarkChecksum(b *testing.B) {
	buf := make([]byte, 128<<10)
	t := crc32.MakeTable(crc32.Castagnoli)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		crc32.Checksum(buf, t)
	}
}

func benchReply() *reply {
	cfg := small()
	cfg.StampEvents = true
	a := &ask{chat: true, stream: true, continuous: true, finish: "length"}
	return newReply(cfg, a, newFaults(), &seq{prompt: 256}, "chatcmpl-1", time.Unix(1, 0))
}

func BenchmarkEvent(b *testing.B) {
	r := benchReply()
	var buf []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf = r.appendEvent(buf[:0], event{index: i + 1}, time.Duration(i))
	}
	b.SetBytes(int64(len(buf)))
}

func TestEventsAllocateNothing(t *testing.T) {
	r := benchReply()
	buf := make([]byte, 0, 1024)
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = r.appendEvent(buf[:0], event{index: 1}, time.Second) }))
}

// BenchmarkStep is one engine step at the queue knee: 16 users of 256 tokens in
// and 32 out.
func BenchmarkStep(b *testing.B) {
	cfg, err := Preset("L8B")
	require.NoError(b, err)
	s := newSched(cfg)
	name := uint32(0)
	submit := func() {
		name++
		s.submit(newSeq(cfg, prompt(name, 256), 32))
	}
	for range 16 {
		submit()
	}
	var fills []fill
	var out []emission
	b.ReportAllocs()
	for b.Loop() {
		s.admit(0)
		_, fills = s.plan(fills[:0])
		out = s.advance(0, out[:0])
		for _, e := range out {
			if e.last {
				submit()
			}
		}
	}
}
