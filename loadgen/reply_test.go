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
func readReply(body io.Reader) (*Record, Outcome) {
	rec := &Record{}
	var s reply
	w := &watch{cancel: func(error) {}}
	defer w.stop()
	s.begin(rec, 0, w)
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
	s.begin(rec, 0, w)
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
			s.begin(rec, 0, w)
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
