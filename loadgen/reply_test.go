package loadgen

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// readReply reads a body whose bytes all arrived at one instant.
func readReply(body io.Reader) (*Record, Outcome) { return readReplyAs(body, OpenAICompletions) }

func readReplyAs(body io.Reader, d Dialect) (*Record, Outcome) {
	rec := &Record{}
	var s reply
	w := &watch{cancel: func(error) {}}
	defer w.stop()
	s.begin(rec, 0, w, wire{d, true})
	var seen arrival
	seen.note(time.Second, false)
	err := s.read(body, &seen)
	s.count()
	rec.Outcome, rec.Error = s.outcome(err)
	return rec, rec.Outcome
}

func TestReadsThatMergeEventsAreCounted(t *testing.T) {
	var seen arrival
	rec := &Record{}
	var s reply
	w := &watch{cancel: func(error) {}}
	defer w.stop()
	s.begin(rec, 0, w, wire{OpenAICompletions, true})
	pieces := []string{text("a") + text("b"), text("c"), ": ping\n\n", text("d") + text("e") + finish + done}
	body := readerFunc(func(p []byte) (int, error) {
		if len(pieces) == 0 {
			return 0, io.EOF
		}
		seen.note(time.Duration(10-len(pieces)), false)
		n := copy(p, pieces[0])
		pieces = pieces[1:]
		return n, nil
	})
	require.NoError(t, s.read(body, &seen))
	require.Equal(t, 3, rec.Reads, "of five events, in three reads")
	require.Equal(t, []Event{{At: 6}, {At: 6}, {At: 7}, {At: 9}, {At: 9}}, rec.Events)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReplyDoesNotAllocatePerEvent(t *testing.T) {
	rec := &Record{}
	var s reply
	w := &watch{cancel: func(error) {}}
	defer w.stop()
	var seen arrival
	events := make([]Event, 0, 2000)
	run := func(n int) float64 {
		body := []byte(strings.Repeat(text(" word"), n) + finish + used + done)
		in := bytes.NewReader(body)
		return testing.AllocsPerRun(10, func() {
			in.Reset(body)
			*rec = Record{Events: events[:0]}
			s.begin(rec, 0, w, wire{OpenAICompletions, true})
			if err := s.read(in, &seen); err != nil || len(rec.Events) != n {
				t.Fatal(err, len(rec.Events))
			}
		})
	}
	w.stopped = true // its one timer is not what is counted here
	require.Equal(t, run(10), run(1000))
	require.LessOrEqual(t, run(1000), 1.0)
}

func FuzzReply(f *testing.F) {
	for _, c := range goodStreams {
		if len(c.body) < 10_000 {
			f.Add([]byte(c.body))
		}
	}
	f.Add([]byte("event: error\n: boom\n\n"))
	f.Add([]byte("{\"error\":1}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		whole, outcome := readReply(bytes.NewReader(body))
		require.NotEmpty(t, outcome)
		require.Equal(t, outcome == OutcomeOK, whole.Error == "")
		requireAnswer(t, whole)
		if outcome == OutcomeOK {
			require.Contains(t, string(body), "[DONE]")
			require.NotEmpty(t, whole.Events)
			require.NotEmpty(t, whole.Finish)
			require.Positive(t, *whole.OutputTokens)
		}
		require.LessOrEqual(t, len(whole.Error), 2*maxErrorText)
		split, _ := readReply(iotest.OneByteReader(bytes.NewReader(body)))
		split.Reads, split.BytesIn = whole.Reads, whole.BytesIn // reading stops at the first fault
		require.Equal(t, whole, split, "where reads end does not matter")
		cut, _ := readReply(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF)))
		if !bytes.Contains(body, []byte("[DONE]")) {
			require.NotEqual(t, OutcomeOK, cut.Outcome)
		}
	})
}

// requireAnswer: an answer is hashed if it has a text, and only then.
func requireAnswer(t *testing.T, r *Record) {
	t.Helper()
	if !r.FirstVisible.IsZero() {
		require.NotZero(t, r.AnswerHash)
	}
	if r.Cumulative {
		require.GreaterOrEqual(t, len(r.Events), 3)
	}
	if r.AdapterLoad != nil {
		require.GreaterOrEqual(t, *r.AdapterLoad, time.Duration(0))
	}
}

func FuzzTritonReply(f *testing.F) {
	for _, c := range fixtures(f, "triton") {
		if len(c.body) < 10_000 {
			f.Add([]byte(c.body), c.target.Dialect == TritonLLMAPI)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, cumulative bool) {
		d := TritonTRTLLM
		if cumulative {
			d = TritonLLMAPI
		}
		whole, outcome := readReplyAs(bytes.NewReader(body), d)
		require.NotEmpty(t, outcome)
		require.Equal(t, outcome == OutcomeOK, whole.Error == "")
		requireAnswer(t, whole)
		if outcome == OutcomeOK {
			require.NotEmpty(t, whole.Events)
			require.Positive(t, *whole.OutputTokens)
			sum := 0
			for _, e := range whole.Events {
				sum += e.Tokens
			}
			if !whole.TokensEstimated {
				require.Equal(t, min(sum, maxTotal), *whole.OutputTokens)
			}
		}
		require.LessOrEqual(t, len(whole.Error), 2*maxErrorText)
		split, _ := readReplyAs(iotest.OneByteReader(bytes.NewReader(body)), d)
		split.Reads, split.BytesIn = whole.Reads, whole.BytesIn // reading stops at the first fault
		require.Equal(t, whole, split, "where reads end does not matter")
		if bytes.Contains(body, []byte("[DONE]")) {
			return
		}
		cut, _ := readReplyAs(io.MultiReader(bytes.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF)), d)
		require.NotEqual(t, OutcomeOK, cut.Outcome, "nothing but the body's end proves it whole")
	})
}
