package emulator

import (
	"context"
	"sync"
)

// event is one thing that happened to a sequence.
type event struct {
	index int
	last  bool
	mark  *stepMark
	err   error // the sequence failed; nothing follows
}

// stream carries a sequence's events from the engine to its connection. The
// engine never waits: what a slow client has not taken yet piles up here, at
// most one event per token asked for.
type stream struct {
	mu     sync.Mutex
	queue  []event
	notify chan struct{}
}

func newStream() *stream { return &stream{notify: make(chan struct{}, 1)} }

func (s *stream) token(index int, last bool, m *stepMark) {
	s.put(event{index: index, last: last, mark: m})
}

func (s *stream) fail(err error) { s.put(event{err: err}) }

func (s *stream) put(e event) {
	s.mu.Lock()
	s.queue = append(s.queue, e)
	s.mu.Unlock()
	select {
	case s.notify <- struct{}{}:
	default:
	}
}

// next waits for events and returns all there are, in spare's memory's stead.
func (s *stream) next(ctx context.Context, spare []event) ([]event, error) {
	for {
		s.mu.Lock()
		got := s.queue
		if len(got) > 0 {
			s.queue = spare[:0]
			s.mu.Unlock()
			return got, nil
		}
		s.mu.Unlock()
		select {
		case <-s.notify:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
