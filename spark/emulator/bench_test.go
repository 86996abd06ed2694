package emulator

import (
	"hash/crc32"
	"testing"
)

func BenchmarkFill(b *testing.B) {
	buf := make([]byte, 128<<10)
	b.SetBytes(int64(len(buf)))
	for i := uint64(0); b.Loop(); i++ {
		fillRandom(buf, i)
	}
}

func BenchmarkChecksum(b *testing.B) {
	buf := make([]byte, 128<<10)
	t := crc32.MakeTable(crc32.Castagnoli)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		crc32.Checksum(buf, t)
	}
}
