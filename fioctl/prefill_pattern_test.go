package fioctl

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

func TestPatternIsSplitMix64(t *testing.T) {
	b := make([]byte, 24) // shorter than a header
	header{}.fill(b, 0)
	// The reference implementation's first outputs from state 0.
	for i, want := range []uint64{0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f} {
		require.Equal(t, want, binary.LittleEndian.Uint64(b[8*i:]))
	}
}

func TestPatternDependsOnSeedAndOffsetAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	h := header{Seed: 9, Size: 4 << 20}
	whole := make([]byte, 2<<20)
	h.fill(whole, 0)
	for range 200 {
		off := r.Int64N(int64(len(whole))/512) * 512
		b := make([]byte, 512*(1+r.IntN(16)))
		b = b[:min(int64(len(b)), int64(len(whole))-off)]
		h.fill(b, off)
		require.Equal(t, whole[off:off+int64(len(b))], b)
	}
	other := make([]byte, 1<<20)
	header{Seed: 10, Size: 4 << 20}.fill(other, 1<<20)
	same := 0
	for i, c := range other {
		if whole[1<<20+i] == c {
			same++
		}
	}
	require.InDelta(t, len(other)/256, same, 600, "another seed's bytes agree by chance alone")
}

func TestPatternDoesNotCompress(t *testing.T) {
	b := make([]byte, 1<<20)
	header{Seed: 0, Size: 1 << 20}.fill(b, 0)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	require.NoError(t, err)
	defer enc.Close()
	require.Greater(t, len(enc.EncodeAll(b, nil)), len(b)-1024)
}

func FuzzHeader(f *testing.F) {
	b := make([]byte, 4096)
	header{Seed: 1, Size: 1 << 20}.fill(b, 0)
	f.Add(b)
	f.Add(b[:headerBytes-1])
	f.Add([]byte(headerMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			require.ErrorIs(t, err, errNoHeader)
			require.Zero(t, h)
			return
		}
		require.GreaterOrEqual(t, h.Size, int64(chunkBytes))
		again := make([]byte, headerBytes)
		h.encode(again)
		require.Equal(t, b[:headerBytes], again, "what is understood is written back the same")
	})
}

func TestHeaderRefusesEveryFlippedBit(t *testing.T) {
	b := make([]byte, headerBytes)
	want := header{Seed: 1<<63 + 5, Size: 50 << 30}
	want.encode(b)
	h, err := parseHeader(b)
	require.NoError(t, err)
	require.Equal(t, want, h)
	for bit := range 8 * headerBytes {
		b[bit/8] ^= 1 << (bit % 8)
		_, err := parseHeader(b)
		require.ErrorIs(t, err, errNoHeader, "bit %d", bit)
		b[bit/8] ^= 1 << (bit % 8)
	}
}

func BenchmarkPattern(b *testing.B) {
	buf := make([]byte, chunkBytes)
	h := header{Seed: 1, Size: 1 << 30}
	b.SetBytes(chunkBytes)
	for b.Loop() {
		h.fill(buf, 1<<20)
	}
}
