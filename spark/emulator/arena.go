package emulator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrMemory says that the pool, or the adapters, do not fit the machine.
var ErrMemory = errors.New("emulator: not enough memory")

// arena is the pool's memory: page-aligned, outside the Go heap, every page
// present from the start so that the machine's free memory does not drift
// during a run. Blocks may be used from several goroutines, one at a time each.
type arena struct {
	mem   []byte
	block int
	table *crc32.Table
}

func newArena(blocks int, blockBytes int64) (*arena, error) {
	return mapArena(blocks, blockBytes, "pool", "lower pool_tokens")
}

// mapArena names what the memory is for, and what to do if there is too little.
func mapArena(blocks int, blockBytes int64, what, remedy string) (*arena, error) {
	size := int64(blocks) * blockBytes
	if err := checkMemory(size, what, remedy); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("%w: map %s of %d bytes: %w (%s)", ErrMemory, what, size, err, remedy)
	}
	// Large pages make the first touch and the I/O cheaper; both calls are
	// only advice, and touching is the fallback for old kernels.
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE)
	if unix.Madvise(mem, unix.MADV_POPULATE_WRITE) != nil {
		for i := 0; i < len(mem); i += pageBytes {
			mem[i] = 0
		}
	}
	return &arena{mem, int(blockBytes), crc32.MakeTable(crc32.Castagnoli)}, nil
}

// checkMemory wants a tenth of the available memory left over.
func checkMemory(size int64, what, remedy string) error {
	if avail, ok := memAvailable("/proc/meminfo"); ok && size > avail-avail/10 {
		return fmt.Errorf("%w: %s of %d bytes, %d available (%s)", ErrMemory, what, size, avail, remedy)
	}
	return nil
}

// memAvailable is MemAvailable of a meminfo file, in bytes.
func memAvailable(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == "MemAvailable:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

func (a *arena) close() error {
	if err := unix.Munmap(a.mem); err != nil {
		return fmt.Errorf("emulator: unmap memory: %w", err)
	}
	a.mem = nil
	return nil
}

func (a *arena) bytes(id int32) []byte {
	return a.mem[int(id)*a.block:][:a.block:a.block]
}

// fill writes the block's keys and values: bytes that depend on every token up
// to its end, and that no disk can compress or share.
func (a *arena) fill(id int32, hash uint64) { fillRandom(a.bytes(id), hash) }

// holds says whether the block's first bytes are those of the hash: a read of
// the wrong place has a right checksum and fails here.
func (a *arena) holds(id int32, hash uint64) bool {
	var want [64]byte
	fillRandom(want[:], hash)
	return string(a.bytes(id)[:64]) == string(want[:])
}

func (a *arena) crc(id int32) uint32 { return crc32.Checksum(a.bytes(id), a.table) }

// fillRandom fills b, whose length is a multiple of 32, from the seed: a counter
// through one round of a multiplicative hash. Quality matters only as far as
// compressors and checksums see it; the four words of a turn do not depend on
// each other, which keeps the processor's multipliers busy.
func fillRandom(b []byte, seed uint64) {
	const m = 0xd6e8feb86659fd93
	x0 := mix(seed)
	for len(b) >= 32 {
		x1 := x0 + weyl
		x2 := x1 + weyl
		x3 := x2 + weyl
		w := b[:32:32]
		y0, y1, y2, y3 := (x0^x0>>32)*m, (x1^x1>>32)*m, (x2^x2>>32)*m, (x3^x3>>32)*m
		binary.LittleEndian.PutUint64(w[0:], y0^y0>>32)
		binary.LittleEndian.PutUint64(w[8:], y1^y1>>32)
		binary.LittleEndian.PutUint64(w[16:], y2^y2>>32)
		binary.LittleEndian.PutUint64(w[24:], y3^y3>>32)
		x0 = x3 + weyl
		b = b[32:]
	}
}
