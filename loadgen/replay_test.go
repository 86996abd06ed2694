package loadgen

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// errOpen is what a body's reader gives where a server would say no more: a
// reader of events must not ask.
var errOpen = errors.New("read past an error event")

// replayable reports whether a fixture is a stream, whose reading does not hang
// on a clock.
func (f fixture) replayable() bool {
	stream := f.status == 200 && f.kind == "text/event-stream"
	return stream && f.how != "gzip" && f.how != "stall" && f.how != "close" && f.want != OutcomePromptTruncated
}

// replay reads a fixture's body in pieces that end at the given offsets, piece n
// arriving at n+1 nanoseconds.
func (f fixture) replay(ends ...int) *Record {
	rec := &Record{Adapter: f.adapter}
	var s reply
	w := &watch{cancel: func(error) {}, stopped: true}
	end := io.EOF
	switch f.how {
	case "cut":
		end = io.ErrUnexpectedEOF
	case "reset":
		end = syscall.ECONNRESET
	case "linger":
		end = errOpen
	}
	s.begin(rec, 0, w, wire{f.target.Dialect, f.how != "http10" && f.how != "length"})
	var seen arrival
	rest, at := f.body, 0
	ends = append(ends, len(f.body))
	body := readerFunc(func(p []byte) (int, error) {
		for len(ends) > 0 && at == ends[0] {
			ends = ends[1:]
		}
		if len(rest) == 0 {
			return 0, end
		}
		n := copy(p, rest[:ends[0]-at])
		seen.note(time.Duration(len(f.body)-len(rest)+n), false)
		rest = rest[n:]
		at += n
		return n, nil
	})
	err := s.read(body, &seen)
	if err == io.EOF {
		err = nil
	}
	s.count()
	rec.Outcome, rec.Error = s.outcome(err)
	return rec
}

// dataEnds are the offsets at which the events with data are complete, by
// another way of reading than the parser's.
func dataEnds(body string) []int {
	var ends []int
	start, data := 0, false
	for i := 0; i < len(body); i++ {
		if body[i] != '\n' && body[i] != '\r' {
			continue
		}
		switch line := body[start:i]; {
		case strings.HasPrefix(line, "data:"):
			data = true
		case line == "" && data:
			ends = append(ends, i+1)
			data = false
		}
		if body[i] == '\r' && i+1 < len(body) && body[i+1] == '\n' {
			i++
		}
		start = i + 1
	}
	return ends
}

// offsets are where a body is split: everywhere, but of long lines' insides only
// at some.
func offsets(n int) []int {
	var at []int
	for i := 0; i <= n; i++ {
		at = append(at, i)
		if n > 16<<10 && i > 128 && i < n-600 {
			i += 4001
		}
	}
	return at
}

func TestFixturesSplitAnywhere(t *testing.T) {
	for _, family := range families() {
		for _, f := range fixtures(t, family) {
			if !f.replayable() {
				continue
			}
			t.Run(family+"/"+f.name(), func(t *testing.T) {
				whole := f.replay()
				f.check(t, whole)
				complete := 0
				if f.first > 0 {
					complete = dataEnds(f.body)[f.first-1]
				}
				for _, cut := range offsets(len(f.body)) {
					r := f.replay(cut)
					requireSameButTimes(t, whole, r)
					if got, _ := r.FirstToken.Get(); complete > 0 && cut >= complete && int(got) > cut || int(got) < complete {
						require.Failf(t, "first token at the wrong byte", "split at %d: at %d, and event %d ends at %d", cut, got, f.first, complete)
					}
				}
				if len(f.body) < 16<<10 {
					f.replayBytes(t, whole, complete)
				}
			})
		}
	}
}

// replayBytes replays byte by byte, where the first token's moment is exact.
func (f fixture) replayBytes(t *testing.T, whole *Record, complete int) {
	t.Helper()
	var every []int
	for i := 1; i < len(f.body); i++ {
		every = append(every, i)
	}
	r := f.replay(every...)
	requireSameButTimes(t, whole, r)
	if f.invisible == "first" {
		require.NotEqual(t, r.FirstToken, r.FirstVisible)
	}
	if complete > 0 {
		got, _ := r.FirstToken.Get()
		require.Equal(t, time.Duration(complete), got, "the first token is in event %d", f.first)
	}
}

// requireSameButTimes compares records of one stream but for when its parts
// arrived.
func requireSameButTimes(t *testing.T, want, got *Record) {
	t.Helper()
	timeless := func(r Record) string {
		r.FirstToken, r.FirstVisible, r.LastToken = Instant{}, Instant{}, Instant{}
		r.Reads, r.BytesIn = 0, 0 // reading stops at the first fault
		events := make([]Event, len(r.Events))
		for i, e := range r.Events {
			events[i].Tokens = e.Tokens
		}
		r.Events = events
		return string(appendRecord(nil, &r))
	}
	if a, b := timeless(*want), timeless(*got); a != b {
		require.Equal(t, a, b)
	}
}
