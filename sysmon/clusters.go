package sysmon

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spark-harness/harness/internal/blockdev"
)

// clusters groups CPUs of different speed: "percent of a core" is not one
// quantity on a machine with fast and slow ones.
type clusters struct {
	cpus  int      // CPUs found
	names []string // slowest first; empty when all CPUs are alike
	of    []int    // by CPU number: index into names, -1 = none
}

// armPart names Arm core designs by the part number in MIDR_EL1 bits 4–15.
func armPart(midr uint64) string {
	switch {
	case midr>>24 != 0x41: // implementer Arm
		return ""
	case midr>>4&0xfff == 0xd85:
		return "x925"
	case midr>>4&0xfff == 0xd87:
		return "a725"
	}
	return ""
}

// readClusters reads cpu_capacity (1024 = the fastest CPU's) and, on Arm, the
// design. Known designs name the clusters; otherwise CPUs of at least 85 % of
// the largest capacity are "big", because cores of one design may be binned to
// slightly different clocks.
func readClusters(sysRoot string) clusters {
	dirs, _ := filepath.Glob(filepath.Join(sysRoot, "devices/system/cpu/cpu[0-9]*"))
	type cpu struct {
		id, capacity int
		name         string
	}
	var all []cpu
	top := 0
	for _, d := range dirs {
		id, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(d), "cpu"))
		if err != nil || id > 1<<16 {
			continue
		}
		c := cpu{id: id}
		c.capacity, _ = strconv.Atoi(blockdev.Attr(filepath.Join(d, "cpu_capacity")))
		midr, _ := strconv.ParseUint(blockdev.Attr(filepath.Join(d, "regs/identification/midr_el1")), 0, 64)
		c.name = armPart(midr)
		top = max(top, c.capacity)
		all = append(all, c)
	}
	out := clusters{cpus: len(all)}
	slices.SortStableFunc(all, func(a, b cpu) int { return a.capacity - b.capacity })
	for i := range all {
		c := &all[i]
		if c.name == "" {
			c.name = "little"
			if 100*c.capacity >= 85*top {
				c.name = "big"
			}
		}
		if !slices.Contains(out.names, c.name) {
			out.names = append(out.names, c.name)
		}
		for len(out.of) <= c.id {
			out.of = append(out.of, -1)
		}
		out.of[c.id] = slices.Index(out.names, c.name)
	}
	if len(out.names) < 2 {
		return clusters{cpus: out.cpus}
	}
	return out
}
