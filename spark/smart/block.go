package smart

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// SectorBytes is the block layer's unit, whatever the disk's block size.
const SectorBytes = 512

// Block is what the kernel's block layer counts of one disk (/sys/block/D/stat)
// since it appeared. Completed requests, after splits and merges.
type Block struct {
	Reads          uint64 `json:"reads"`
	SectorsRead    uint64 `json:"sectors_read"` // of 512 B
	Writes         uint64 `json:"writes"`
	SectorsWritten uint64 `json:"sectors_written"`
}

// ParseBlock reads /sys/block/D/stat of any kernel (11, 15, 17 fields or more).
func ParseBlock(text string) (Block, error) {
	f := strings.Fields(text)
	if len(f) < 11 {
		return Block{}, fmt.Errorf("smart: read disk counters: %d fields (want 11 or more)", len(f))
	}
	var b Block
	for _, v := range []struct {
		field int
		to    *uint64
	}{{0, &b.Reads}, {2, &b.SectorsRead}, {4, &b.Writes}, {6, &b.SectorsWritten}} {
		n, err := strconv.ParseUint(f[v.field], 10, 64)
		if err != nil {
			return Block{}, fmt.Errorf("smart: read disk counters: field %d: %w", v.field+1, err)
		}
		*v.to = n
	}
	return b, nil
}

// Limits are what bounds one request to the disk; nil where the kernel does not
// tell, or sets none.
type Limits struct {
	LogicalBlock *int64 `json:"logical_block_bytes,omitempty"`
	// MaxRequest is the most that the block layer puts into one request
	// (max_sectors_kb).
	MaxRequest *int64 `json:"max_request_bytes,omitempty"`
	// MaxCommand is the most that the device takes in one command, of NVMe its
	// MDTS as far as the driver respects it (max_hw_sectors_kb).
	MaxCommand *int64 `json:"max_command_bytes,omitempty"`
}

// unlimited is where a limit in bytes is none: drivers without one say 2^31-1 KiB.
const unlimited = 1 << 40

func limitsOf(queue string) Limits {
	number := func(name string, unit int64) *int64 {
		n, err := strconv.ParseInt(text(filepath.Join(queue, name)), 10, 64)
		if err != nil || n <= 0 || n >= unlimited/unit {
			return nil
		}
		return new(n * unit)
	}
	return Limits{LogicalBlock: number("logical_block_size", 1), MaxRequest: number("max_sectors_kb", 1024), MaxCommand: number("max_hw_sectors_kb", 1024)}
}

// Paged is the kernel's second count of block I/O, of all disks together
// (/proc/vmstat pgpgin and pgpgout): KiB handed to the block layer, direct I/O
// included. What a stacked device hands down is counted once, what a loop device
// reads from its file a second time.
type Paged struct {
	InKiB  uint64 `json:"pgpgin_kib"`
	OutKiB uint64 `json:"pgpgout_kib"`
}

// ParsePaged finds pgpgin and pgpgout in the text of /proc/vmstat; nil where one
// is missing.
func ParsePaged(vmstat string) *Paged {
	var p Paged
	found := 0
	for line := range strings.Lines(vmstat) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		to := map[string]*uint64{"pgpgin": &p.InKiB, "pgpgout": &p.OutKiB}[key]
		if to == nil {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return nil
		}
		*to = n
		found++
	}
	if found != 2 {
		return nil
	}
	return &p
}

// text is a small file without the white space around it, "" without one.
func text(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
