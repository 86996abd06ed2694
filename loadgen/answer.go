package loadgen

import "bytes"

// FNV-1a, 64 bits.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func fnvAdd(h uint64, text []byte) uint64 {
	for _, c := range text {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return h
}

// answer follows the text of one stream, as its JSON spells it: its hash, and
// whether each event carries the whole text so far or a new piece.
type answer struct {
	whole bool // the dialect says that events carry the whole text

	pieces uint64 // hash of all texts, one after the other; 0 before the first
	last   []byte // the newest text, while each text has extended the one before
	grew   int    // how often a text was longer than the one before
	apart  bool   // some text did not extend the one before
}

// begin prepares for another stream, keeping a buffer of usual size.
func (a *answer) begin(whole bool) {
	last := a.last[:0]
	if cap(last) > 64<<10 {
		last = nil
	}
	*a = answer{whole: whole, last: last}
}

// add takes in the text of one event, which is not empty, and reports whether it
// is new: text that the stream has had already brings no token.
func (a *answer) add(text []byte) bool {
	first := a.pieces == 0
	if first {
		a.pieces = fnvOffset
	}
	if !a.whole || a.apart { // wanted only where texts are pieces
		a.pieces = fnvAdd(a.pieces, text)
	}
	switch {
	case a.apart:
		return true
	case first:
	case len(text) == len(a.last) && string(text) == string(a.last):
		return !a.cumulative()
	case a.extended(text):
		a.grew++
	default:
		a.apart = true
		if a.whole { // it was not as the dialect says
			a.pieces = fnvAdd(fnvAdd(fnvOffset, a.last), text)
		}
		return true
	}
	a.last = append(a.last[:0], text...)
	return true
}

// extended reports whether a text goes on from the last one, of which something
// must be left to go on from where the dialect does not say so.
func (a *answer) extended(text []byte) bool {
	base := settled(a.last)
	return bytes.HasPrefix(text, base) && (len(base) > 0 || a.whole)
}

// settled is a text without the replacement characters at its end: they stand
// for a character whose bytes are not all there yet.
func settled(text []byte) []byte {
	for {
		cut := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\uFFFD")), []byte(`\ufffd`))
		if len(cut) == len(text) {
			return text
		}
		text = cut
	}
}

// cumulative reports whether events carry the whole text so far. Without the
// dialect's word it takes three texts to tell.
func (a *answer) cumulative() bool { return !a.apart && (a.whole && a.pieces != 0 || a.grew >= 2) }

// hash is that of the whole answer, 0 without text.
func (a *answer) hash() Hash {
	if a.cumulative() {
		return Hash(fnvAdd(fnvOffset, a.last))
	}
	return Hash(a.pieces)
}
