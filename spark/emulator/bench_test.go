package emulator

import (
	"hash/crc32"
	"strings"
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
	a := &ask{model: cfg.Model, chat: true, stream: true, continuous: true, finish: "length"}
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

func benchTriton(model int) *tritonReply {
	cfg := small()
	cfg.StampEvents = true
	w := &wish{stream: true, inputCount: true, outputCount: true, reason: model > 0}
	a := &ask{stream: true, finish: "length"}
	return newTritonReply(newTritonModels(cfg)[model], w, a, cfg, newFaults(), &seq{prompt: 256}, "", true)
}

func BenchmarkTritonEvent(b *testing.B) {
	r := benchTriton(0)
	var buf []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf = r.appendEvent(buf[:0], event{index: i + 1}, time.Duration(i))
	}
	b.SetBytes(int64(len(buf)))
}

func TestTritonEventsAllocateNothing(t *testing.T) {
	for model := range 3 {
		r := benchTriton(model)
		r.text = make([]byte, 0, 4096)
		buf := make([]byte, 0, 8192)
		require.Zero(t, testing.AllocsPerRun(100, func() { buf = r.appendEvent(buf[:0], event{index: 1}, time.Second) }))
	}
}

// BenchmarkUnderstand reads one request with a prompt of 1,150 tokens on each
// face.
func BenchmarkUnderstand(b *testing.B) {
	cfg, err := Preset("L8B")
	require.NoError(b, err)
	prompt := strings.Repeat(" word", 1150)
	b.Run("openai", func(b *testing.B) {
		body := `{"model":"L8B","prompt":"` + prompt + `","max_tokens":32,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`
		for b.Loop() {
			_, e := understand(cfg, nil, strings.NewReader(body), false, newFaults())
			require.Nil(b, e)
		}
	})
	b.Run("triton", func(b *testing.B) {
		m := newTritonModels(cfg)[0]
		body := `{"text_input":"` + prompt + `","max_tokens":32,"min_tokens":32,"end_id":-1,"stream":true,"return_num_input_tokens":true,"return_num_output_tokens":true}`
		for b.Loop() {
			q, e := parseTriton(m, strings.NewReader(body))
			require.Nil(b, e)
			w, e := m.read(m, cfg, q, newFaults())
			require.Nil(b, e)
			w.ask(cfg)
		}
	})
}
