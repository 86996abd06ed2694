package sysmon

import (
	"bytes"
	"errors"
	"math"
)

// Parse failures; the reader adds the file's path.
var (
	errFields = errors.New("unexpected number of fields")
	errNumber = errors.New("not a decimal number")
	errShape  = errors.New("unexpected layout")
)

// number takes a decimal number off the front of b, after blanks. The numbers
// of the kernel files here are unsigned; a value over 2⁶⁴−1 is refused. As a
// float64 it is exact up to 2⁵³, that is 9 PB or 285 years of microseconds.
func number(b []byte) (v float64, rest []byte, err error) {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	start, n := i, uint64(0)
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		d := uint64(b[i] - '0')
		if n > (math.MaxUint64-d)/10 {
			return 0, b, errNumber
		}
		n = n*10 + d
	}
	if i == start {
		return 0, b, errNumber
	}
	return float64(n), b[i:], nil
}

// line splits off the first line, without its newline.
func line(b []byte) (first, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// word splits off the first word of one line.
func word(b []byte) (first, rest []byte) {
	b = bytes.TrimLeft(b, " \t")
	if i := bytes.IndexAny(b, " \t"); i >= 0 {
		return b[:i], b[i:]
	}
	return b, nil
}

// blank reports whether only white space is left.
func blank(b []byte) bool { return len(bytes.TrimSpace(b)) == 0 }

// keyed parses files of "key value" or "key: value kB" lines. It learns the
// order in which wanted keys appear, which a running kernel never changes, so
// that a steady read compares each line with one key only.
type keyed struct {
	slots map[string]int // wanted key -> slot; keys sharing a slot are added
	order []wanted       // as last found in the file
}

type wanted struct {
	key  []byte
	slot int
}

func newKeyed(slots map[string]int) *keyed { return &keyed{slots: slots} }

// parse fills dst; slots whose keys the file lacks are NaN.
func (k *keyed) parse(b []byte, dst []float64) error {
	if blank(b) {
		return errShape
	}
	ok, err := k.scan(b, dst)
	if err != nil || ok {
		return err
	}
	k.learn(b)
	_, err = k.scan(b, dst)
	return err
}

// scan reads by the learned order and reports whether all of it was there.
func (k *keyed) scan(b []byte, dst []float64) (bool, error) {
	fillNaN(dst)
	next := 0
	for len(b) > 0 && next < len(k.order) {
		var l []byte
		l, b = line(b)
		w := k.order[next]
		if !hasKey(l, w.key) {
			continue
		}
		v, _, err := number(l[len(w.key)+1:])
		if err != nil {
			return false, err
		}
		if math.IsNaN(dst[w.slot]) {
			dst[w.slot] = v
		} else {
			dst[w.slot] += v
		}
		next++
	}
	return next == len(k.order) && next > 0, nil
}

// hasKey reports whether the line is that key, a separator and more.
func hasKey(l, key []byte) bool {
	return len(l) > len(key) && (l[len(key)] == ' ' || l[len(key)] == ':') && bytes.HasPrefix(l, key)
}

func (k *keyed) learn(b []byte) {
	k.order = k.order[:0]
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		i := bytes.IndexAny(l, " :")
		if i < 0 {
			continue
		}
		if slot, ok := k.slots[string(l[:i])]; ok {
			k.order = append(k.order, wanted{bytes.Clone(l[:i]), slot})
		}
	}
}
