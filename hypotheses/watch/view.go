package watch

import "time"

// message is one event of the stream. The first of a connection is whole, with
// the run so far; later ones hold what is new.
type message struct {
	Reset  bool          `json:"reset,omitempty"`  // forget everything before
	Over   bool          `json:"over,omitempty"`   // the run is over: nothing follows
	Now    float64       `json:"now"`              // s
	WallMs int64         `json:"wall_ms"`          // Unix time of second 0
	Settle float64       `json:"settled"`          // s: before it no request is still to be added
	Drop   int64         `json:"dropped"`          // what the view lacks
	Fields []string      `json:"fields,omitempty"` // of bins
	Fine   *binsMessage  `json:"fine,omitempty"`
	Whole  *binsMessage  `json:"whole,omitempty"`
	Spans  []span        `json:"spans,omitempty"`
	Logs   []string      `json:"logs,omitempty"`
	State  *stateMessage `json:"state,omitempty"`
}

type binsMessage struct {
	Step  int64   `json:"step"`
	Base  int64   `json:"base"`            // bins before this one are forgotten
	Reset bool    `json:"reset,omitempty"` // the step changed: all bins follow
	Index []int64 `json:"index"`
	Bins  [][]num `json:"bins"`
}

type stateMessage struct {
	Queue []string `json:"queue,omitempty"`
	Live  string   `json:"live"`
	Phase string   `json:"phase"`
	Runs  []run    `json:"runs"`
}

// cursor is how far one reader is.
type cursor struct {
	begun       bool
	version     int64
	fine, whole int64 // bins before these were complete when sent
	wholeStep   int64
	spans, logs int // of those ever
}

// message is what is new for the reader, and what closes when there is more.
func (h *Hub) message(c *cursor) (message, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.s
	m := message{Now: secs(h.now() - h.start), WallMs: s.wall.UnixMilli(), Settle: s.settled(), Drop: s.dropped, Reset: !c.begun}
	if !c.begun {
		m.Fields = fields()
	}
	sec := int64(s.latest / time.Second) // the second at hand is not complete
	m.Fine = s.fine.since(&c.fine, sec, c.version)
	if resized := c.wholeStep != s.whole.step; resized {
		c.whole, c.wholeStep = 0, s.whole.step
		m.Whole = s.whole.since(&c.whole, sec, 0)
		m.Whole.Reset = true
	} else {
		m.Whole = s.whole.since(&c.whole, sec, c.version)
	}
	m.Spans = tail(s.spans, s.spanned-c.spans)
	m.Logs = tail(s.logs, s.logged-c.logs)
	c.spans, c.logs = s.spanned, s.logged
	if !c.begun || s.edited >= c.version {
		m.State = s.view()
	}
	c.begun = true
	// What is touched from now on, even before the next publication, is new.
	s.version++
	c.version = s.version
	return m, h.wake
}

func tail[T any](list []T, n int) []T {
	n = min(max(n, 0), len(list))
	return append([]T(nil), list[len(list)-n:]...)
}

// since are the complete bins that are new or were touched at or after a version.
func (s *series) since(sent *int64, sec, version int64) *binsMessage {
	m := &binsMessage{Step: s.step, Base: s.base, Index: []int64{}, Bins: [][]num{}}
	complete := sec / s.step // bins below it are
	for k := range s.bins {
		i, b := s.base+int64(k), &s.bins[k]
		if i >= complete || i < *sent && b.version < version {
			continue
		}
		m.Index, m.Bins = append(m.Index, i), append(m.Bins, b.values(float64(s.step)))
	}
	*sent = max(*sent, complete)
	return m
}

// settled is the time before which the curves of requests are whole: a request
// is known only once it has ended, so that newer seconds still fill.
func (s *state) settled() float64 {
	var slow time.Duration
	for i := range s.fine.bins {
		slow = max(slow, s.fine.bins[i].slow)
	}
	return secs(s.latest - slow)
}

// view is a copy that the lock need not guard.
func (s *state) view() *stateMessage {
	v := &stateMessage{Queue: s.queue, Live: s.live, Phase: s.phaseNow(), Runs: make([]run, len(s.runs))}
	for i, r := range s.runs {
		v.Runs[i] = *r
		v.Runs[i].Arms = append([]arm{}, r.Arms...)
	}
	return v
}
