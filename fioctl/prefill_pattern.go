package fioctl

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// header is the start of every target: who made it, and from what. Whoever
// finds the file can tell the bytes that belong in it.
type header struct {
	Seed uint64
	Size int64
}

// The header's layout, little endian: magic, version of the pattern, CRC-32C of
// all other bytes of the header, seed, size.
const (
	headerMagic   = "spark fio target"
	headerVersion = 1
	headerBytes   = 40
)

var errNoHeader = errors.New("no header of a target")

func (h header) encode(b []byte) {
	copy(b, headerMagic)
	binary.LittleEndian.PutUint32(b[16:], headerVersion)
	binary.LittleEndian.PutUint64(b[24:], h.Seed)
	binary.LittleEndian.PutUint64(b[32:], uint64(h.Size))
	binary.LittleEndian.PutUint32(b[20:], headerSum(b))
}

func headerSum(b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(b[:20], table), table, b[24:headerBytes])
}

// parseHeader reads the start of a file.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerBytes || string(b[:len(headerMagic)]) != headerMagic ||
		binary.LittleEndian.Uint32(b[16:]) != headerVersion || binary.LittleEndian.Uint32(b[20:]) != headerSum(b) {
		return header{}, errNoHeader
	}
	h := header{binary.LittleEndian.Uint64(b[24:]), int64(binary.LittleEndian.Uint64(b[32:]))}
	if h.Size < chunkBytes || h.Size > maxTargetSize || h.Size%chunkBytes != 0 {
		return header{}, errNoHeader
	}
	return h, nil
}

// fill writes what belongs at an offset, a multiple of 8, into b, whose length
// is a multiple of 8 too: the header at the very start, else SplitMix64 (Steele,
// Lea, Flood, OOPSLA 2014), of which any word can be had without those before.
// It is several times as fast as a disk.
func (h header) fill(b []byte, off int64) {
	const gamma = 0x9e3779b97f4a7c15
	// The seed is mixed, so that near seeds do not give shifted copies.
	x := mix64(h.Seed) + uint64(off/8)*gamma
	for i := 0; i+8 <= len(b); i += 8 {
		x += gamma
		binary.LittleEndian.PutUint64(b[i:], mix64(x))
	}
	if off == 0 && len(b) >= headerBytes {
		h.encode(b)
	}
}

func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
