package smart

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
)

// Counter is an unsigned number of 128 bits, as NVMe counts.
type Counter struct{ Hi, Lo uint64 }

// ErrCounter means that a text is not a whole number of at most 128 bits.
var ErrCounter = errors.New("not a whole number of at most 128 bits")

// jsonExact is the largest integer that every JSON reader keeps.
const jsonExact = 1 << 53

// counterOf reads 16 bytes, least significant first.
func counterOf(b []byte) Counter {
	return Counter{Hi: binary.LittleEndian.Uint64(b[8:16]), Lo: binary.LittleEndian.Uint64(b[:8])}
}

// ParseCounter reads a decimal number without sign or exponent.
func ParseCounter(s string) (Counter, error) {
	const mostDigits = 39
	if s == "" || len(s) > mostDigits {
		return Counter{}, fmt.Errorf("smart: read counter: %w: %d digits", ErrCounter, len(s))
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return Counter{}, fmt.Errorf("smart: read counter: %w: %q", ErrCounter, s)
		}
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok || n.BitLen() > 128 {
		return Counter{}, fmt.Errorf("smart: read counter: %w: %q", ErrCounter, s)
	}
	low := new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0)))
	return Counter{Hi: new(big.Int).Rsh(n, 64).Uint64(), Lo: low.Uint64()}, nil
}

// String is the number in decimal.
func (c Counter) String() string {
	n := new(big.Int).Lsh(new(big.Int).SetUint64(c.Hi), 64)
	return n.Or(n, new(big.Int).SetUint64(c.Lo)).String()
}

// Float is the number to the precision of a float64.
func (c Counter) Float() float64 { return float64(c.Hi)*(1<<64) + float64(c.Lo) }

// Since is how much the counter grew since before, exact below 2^53; ok is
// false where it fell, as after a change of disks.
func (c Counter) Since(before Counter) (growth float64, ok bool) {
	lo, borrow := bits.Sub64(c.Lo, before.Lo, 0)
	hi, under := bits.Sub64(c.Hi, before.Hi, borrow)
	if under != 0 {
		return 0, false
	}
	return Counter{hi, lo}.Float(), true
}

// MarshalJSON is a number where every reader keeps it exactly, else a string.
func (c Counter) MarshalJSON() ([]byte, error) {
	if c.Hi == 0 && c.Lo <= jsonExact {
		return []byte(c.String()), nil
	}
	return []byte(`"` + c.String() + `"`), nil
}

// UnmarshalJSON reads a number or a string of digits.
func (c *Counter) UnmarshalJSON(b []byte) (err error) {
	if q, ok := bytes.CutPrefix(b, []byte(`"`)); ok {
		b = bytes.TrimSuffix(q, []byte(`"`))
	}
	*c, err = ParseCounter(string(b))
	return err
}
