package watch

import (
	"encoding/json"
	"net/http"
	"time"
)

// writeWithin is how long a reader may take to accept one event. One who is
// slower is let go, and finds the whole run again on coming back.
const writeWithin = 10 * time.Second

// maxReaders bounds the pages open at once.
const maxReaders = 32

// events streams the run to one reader: the run so far, then once a second what
// is new. A reader who is slow gets fewer and fuller events: nothing is kept
// for it but how far it is.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if s.readers.Add(1) > maxReaders {
		s.readers.Add(-1)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many pages are open on this run", http.StatusServiceUnavailable)
		return
	}
	defer s.readers.Add(-1)
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	var c cursor
	for over := false; ; {
		m, more := s.hub.message(&c)
		m.Over = over
		if err := send(w, out, m); err != nil || over {
			return
		}
		select {
		case <-more:
		case <-s.drained: // all is known: one last event
			over = true
		case <-r.Context().Done():
			return
		}
	}
}

// send writes one event; the page asks again a second after losing the stream.
func send(w http.ResponseWriter, out *http.ResponseController, m message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := out.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	for _, part := range [][]byte{[]byte("retry: 1000\ndata: "), b, []byte("\n\n")} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return out.Flush()
}
