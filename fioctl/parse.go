package fioctl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// What may be wrong with fio's output.
var (
	// ErrNoDocument: the stream ended without any document, as when fio was
	// killed or refused its job. The text quotes the first line of what is there.
	ErrNoDocument = errors.New("no JSON document in fio's output")
	// ErrTruncated: the stream ended inside a document.
	ErrTruncated = errors.New("cut off inside a document")
	// ErrMalformed: a document is no JSON, or a count in it is no count.
	ErrMalformed = errors.New("malformed document")
	// ErrTooLarge: a document is longer than MaxDocument.
	ErrTooLarge = errors.New("document of more than 64 MiB")
)

// MaxDocument bounds the bytes of one document, and with it the memory that
// ParseOutput takes. fio's own have some ten kilobytes a job.
const MaxDocument = 64 << 20

// ParseOutput yields every document in a stream of fio's output, in order:
// --status-interval writes one after the other, each cumulative. Notes and
// warnings before, between and after documents are skipped, as are keys that it
// does not know and JSON that is not fio's. Every version from 3.0 on is read;
// of older ones all but the bins. Output of `fio --client` has no jobs, only
// client_stats, and is not read.
//
// A document is yielded as soon as its last byte is there, so a pipe or a
// growing file can be followed. A bad document yields an error (ErrTruncated,
// ErrMalformed, ErrTooLarge), and the search goes on behind it. A stream without
// documents yields ErrNoDocument; an error of r is yielded last.
func ParseOutput(r io.Reader) iter.Seq2[Result, error] { return parseOutput(r, MaxDocument) }

func parseOutput(r io.Reader, limit int) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		s := &scanner{r: r, limit: limit}
		silent := true
		for s.findDocument() {
			res, ours := parseDocument(s)
			err := s.endDocument()
			if err == nil && !ours {
				continue // JSON, but not fio's
			}
			silent = false
			if err != nil {
				res = Result{}
			}
			if !yield(res, err) {
				return
			}
		}
		switch {
		case s.readErr != nil:
			yield(Result{}, fmt.Errorf("fioctl: read fio's output: %w", s.readErr))
		case silent && s.first == "":
			yield(Result{}, fmt.Errorf("fioctl: %w: it is empty (was fio killed?)", ErrNoDocument))
		case silent:
			yield(Result{}, fmt.Errorf("fioctl: %w, which begins with %q", ErrNoDocument, s.first))
		}
	}
}

// findDocument goes to the next { that begins a line or follows a document, and
// past all else. Behind a bad document only a { in column 0 counts: indented
// ones are inner objects.
func (s *scanner) findDocument() bool {
	for {
		c, ok := s.space()
		if !ok {
			return false
		}
		if c == '{' && (!s.lost || s.column0()) {
			s.lost, s.inDoc, s.start = false, true, s.pos
			s.pos++
			// "{}" and "{word" are notes: fio's documents have members.
			if c, ok = s.space(); c == '"' || !ok {
				if s.err != nil {
					return true // too large, and nothing of it to look at again
				}
				s.ruled = !s.column0()
				s.pos = s.start
				return true
			}
			s.inDoc, s.pos = false, s.start
		}
		s.skipLine()
	}
}

// endDocument leaves the document, and says what was wrong with it.
func (s *scanner) endDocument() error {
	err := s.err
	if err == nil {
		s.inDoc = false
		return nil
	}
	err = fmt.Errorf("fioctl: fio's output, at byte %d: %w", s.base+int64(s.pos), err)
	if errors.Is(err, ErrTruncated) && s.readErr != nil {
		err, s.readErr = fmt.Errorf("%w: %w", err, s.readErr), nil
	}
	s.err, s.inDoc, s.lost = nil, false, true
	return err
}

// skipLine goes past the end of the line. It keeps the beginning of the first
// one for ErrNoDocument.
func (s *scanner) skipLine() {
	for {
		rest := s.buf[s.pos:]
		i := bytes.IndexAny(rest, "\r\n")
		line := rest[:max(i, 0)]
		if i < 0 {
			line = rest
		}
		if line = bytes.TrimSpace(line); s.first == "" && len(line) > 0 {
			s.first = strings.ToValidUTF8(string(line[:min(len(line), 160)]), "?")
		}
		if i >= 0 {
			s.pos += i + 1
			return
		}
		s.pos = len(s.buf)
		if !s.fill() {
			return
		}
	}
}
