package adapters

import "encoding/binary"

// weightType is how a weight is made of random bits: its sign, its mantissa and
// the two low bits of its exponent are kept, and the rest of the exponent set.
// In every type that gives magnitudes from 2^-11 to 2^-7, neither infinite nor
// denormal, small enough to change a model's answers little.
type weightType struct {
	name      string
	bytes     int64
	keep, set uint64 // repeated over 64 bits
}

func weightTypes() []weightType {
	return []weightType{
		{"BF16", 2, 0x81ff_81ff_81ff_81ff, 0x3a00_3a00_3a00_3a00},
		{"F16", 2, 0x8fff_8fff_8fff_8fff, 0x1000_1000_1000_1000},
		{"F32", 4, 0x81ff_ffff_81ff_ffff, 0x3a00_0000_3a00_0000},
	}
}

// stream is the weights of one adapter, by SplitMix64 (Steele, Lea, Flood,
// OOPSLA 2014), of which any word can be had without those before it. One core
// makes 1.7 to 3 GB/s, and every writer makes its own, so the disk sets the pace.
type stream struct {
	start     uint64
	keep, set uint64
}

func (p plan) stream(n int) stream {
	var s stream
	for _, w := range weightTypes() {
		if w.name == p.dtype.name {
			s.keep, s.set = w.keep, w.set
		}
	}
	// Mixed twice, so that near seeds and numbers do not give shifted copies.
	s.start = mix64(mix64(p.seed) + uint64(n))
	return s
}

const gamma = 0x9e3779b97f4a7c15

// fill writes the weights at off of the file into b; both are multiples of 8.
func (s stream) fill(b []byte, off int64) {
	x := s.start + uint64(off/8)*gamma
	for i := 0; i+8 <= len(b); i += 8 {
		x += gamma
		binary.LittleEndian.PutUint64(b[i:], mix64(x)&s.keep|s.set)
	}
}

func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
