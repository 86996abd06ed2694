package loadgen

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// benchTriton is one event of TensorRT-LLM's ensemble, as benchEvent is one of
// OpenAI's API: with what such servers send of their own accord, and the counts.
const benchTriton = `data: {"batch_index":0,"context_logits":0.0,"cum_log_probs":0.0,"generation_logits":0.0,"model_name":"ensemble","model_version":"1","num_input_tokens":64,"num_output_tokens":1,"output_log_probs":[0.0,0.0,0.0],"sequence_index":0,"text_output":" %019d"}` + "\n\n"

// wireCase is a typical stream of a dialect.
type wireCase struct {
	name    string
	dialect Dialect
	event   string
	end     string
}

var wireCases = []wireCase{
	{"openai", OpenAICompletions, benchEvent, finish + used + done},
	{"triton-trtllm", TritonTRTLLM, benchTriton, ""},
	{"triton-trtllm, 512 numbers", TritonTRTLLM, strings.Replace(benchTriton, "[0.0,", "["+strings.Repeat("-11.8359375,", 512), 1), ""},
	{"triton-vllm", TritonVLLM, `data: {"finish_reason":"None","model_name":"vllm_model","model_version":"1","num_input_tokens":64,"num_output_tokens":1,"text_output":" %019d"}` + "\n\n", ""},
}

// stream is a body of n events.
func (c wireCase) stream(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, c.event, i)
	}
	b.WriteString(c.end)
	return b.Bytes()
}

// reader reads a stream of n events again and again, as a worker does.
func (c wireCase) reader(tb testing.TB, n int) func() {
	body := c.stream(n)
	in := bytes.NewReader(body)
	w := &watch{cancel: func(error) {}, stopped: true} // its one timer is not what is measured
	rec, events := &Record{}, make([]Event, 0, n)
	var s reply
	var seen arrival
	return func() {
		in.Reset(body)
		*rec = Record{Events: events[:0]}
		s.begin(rec, 0, w, wire{c.dialect, true})
		if err := s.read(in, &seen); err != nil || len(rec.Events) != n {
			tb.Fatal(err, len(rec.Events), s.fault, s.broken)
		}
		s.count()
	}
}

// TestReadingDoesNotAllocatePerEvent: a stream of 1,000 events allocates what
// one of 10 does.
func TestReadingDoesNotAllocatePerEvent(t *testing.T) {
	for _, c := range wireCases {
		allocs := func(n int) float64 { return testing.AllocsPerRun(10, c.reader(t, n)) }
		require.Equal(t, allocs(10), allocs(1000), c.name)
		require.LessOrEqual(t, allocs(1000), 4.0, "%s: the counts and the reader's interface", c.name)
	}
}

// BenchmarkReading measures one event from the body's bytes to the record:
//
//	go test -run '^$' -bench 'Reading$' ./loadgen
func BenchmarkReading(b *testing.B) {
	const n = 1000
	for _, c := range wireCases {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.stream(n))))
			read := c.reader(b, n)
			for b.Loop() {
				read()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
		})
	}
}

// BenchmarkReadingTritonOverOpenAI measures how much dearer a typical event of
// Triton's is, by turns in one run, and fails above 1.2:
//
//	go test -run '^$' -bench TritonOverOpenAI -benchtime 1x ./loadgen
func BenchmarkReadingTritonOverOpenAI(b *testing.B) {
	const n, rounds, times = 1000, 41, 20
	openai, triton := wireCases[0].reader(b, n), wireCases[1].reader(b, n)
	runtime.LockOSThread() // whose own processor time is what counts
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var ts unix.Timespec
		require.NoError(b, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts))
		return time.Duration(ts.Nano())
	}
	took := func(read func()) time.Duration {
		begin := used()
		for range times {
			read()
		}
		return used() - begin
	}
	for b.Loop() {
		var ratios, each []float64
		for range rounds {
			o, t := took(openai), took(triton)
			ratios = append(ratios, float64(t)/float64(o))
			each = append(each, float64(t)/n/times)
		}
		ratio := median(ratios)
		b.ReportMetric(ratio, "triton/openai")
		b.ReportMetric(median(each), "ns/event")
		b.ReportMetric(0, "ns/op")
		if ratio > 1.2 {
			b.Fatalf("an event of Triton's costs %.2f times one of OpenAI's", ratio)
		}
	}
}

func median[T cmp.Ordered](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}
