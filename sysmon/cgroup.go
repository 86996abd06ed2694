package sysmon

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spark-harness/harness/internal/blockdev"
)

// Kernel files of the server's cgroup. Version 2 (one directory):
// io.stat, memory.current, memory.stat, memory.pressure, io.pressure.
// https://docs.kernel.org/admin-guide/cgroup-v2.html
//
//	254:0 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0
//
// Version 1 (a directory per controller): blkio.throttle.io_service_bytes,
// blkio.throttle.io_serviced, memory.usage_in_bytes, memory.stat.
// https://docs.kernel.org/admin-guide/cgroup-v1/blkio-controller.html
//
//	254:0 Read 1459200
//	254:0 Write 314773504
//
// Both leave a device out until the group has used it, so an absent line is a
// true 0. GPU allocations on shared-memory machines are in no cgroup's count.

func cgroupIOColumns(names ...string) []Column {
	units := map[string]string{"raw_cg_rd_bytes": "B", "raw_cg_wr_bytes": "B", "raw_cg_rd_ios": "I/Os", "raw_cg_wr_ios": "I/Os"}
	var cols []Column
	for _, n := range names {
		cols = append(cols, Column{n, units[n], KindCounter, "cgroup", "io.stat (v2) or blkio.throttle.* (v1), the watched device's line"})
	}
	return cols
}

func cgroupMemColumns() []Column {
	return []Column{
		{"cg_file_bytes", "B", KindGauge, "cgroup", "memory.stat file (v2) or total_cache (v1)"},
		{"cg_anon_bytes", "B", KindGauge, "cgroup", "memory.stat anon (v2) or total_rss (v1)"},
		{"raw_cg_refault", "pages", KindCounter, "cgroup", "memory.stat workingset_refault_file + workingset_refault_anon (v2)"},
		{"raw_cg_majfault", "faults", KindCounter, "cgroup", "memory.stat pgmajfault (v2) or total_pgmajfault (v1)"},
	}
}

func cgroupFormulas(pageBytes int) []formula {
	const g = "cgroup"
	out := []formula{
		rate(g, "cg_rd_Bps", "B/s", 1, "D(raw_cg_rd_bytes)/dt", "raw_cg_rd_bytes"),
		rate(g, "cg_wr_Bps", "B/s", 1, "D(raw_cg_wr_bytes)/dt", "raw_cg_wr_bytes"),
		rate(g, "cg_rios_s", "1/s", 1, "D(raw_cg_rd_ios)/dt", "raw_cg_rd_ios"),
		rate(g, "cg_wios_s", "1/s", 1, "D(raw_cg_wr_ios)/dt", "raw_cg_wr_ios"),
		rate(g, "cg_refault_kBps", "KiB/s", float64(pageBytes)/1024, "D(raw_cg_refault)·page size/dt", "raw_cg_refault"),
		rate(g, "cg_majfault_s", "1/s", 1, "D(raw_cg_majfault)/dt", "raw_cg_majfault"),
	}
	for _, n := range []string{"mem", "io"} {
		for _, who := range []string{"some", "full"} {
			raw := "raw_cg_psi_" + n + "_" + who + "_us"
			out = append(out, rate(g, "cg_psi_"+n+"_"+who+"_pct", "% of wall time", 1e-4, "D("+raw+")/dt in µs·100", raw))
		}
	}
	return out
}

// deviceLine finds one device's lines by "major:minor ".
type deviceLine struct {
	key []byte
}

// parseIOStat fills read bytes, write bytes, reads, writes from a v2 io.stat.
func (d deviceLine) parseIOStat(b []byte, dst []float64) error {
	clear(dst)
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		if !bytes.HasPrefix(l, d.key) {
			continue
		}
		l = l[len(d.key):]
		for !blank(l) {
			var w []byte
			w, l = word(l)
			k, v, ok := bytes.Cut(w, []byte("="))
			slot := -1
			switch string(k) {
			case "rbytes":
				slot = 0
			case "wbytes":
				slot = 1
			case "rios":
				slot = 2
			case "wios":
				slot = 3
			}
			if !ok || slot < 0 {
				continue // io.cost and io.latency add their own keys
			}
			var err error
			if dst[slot], _, err = number(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseThrottle fills reads and writes from a v1 blkio.throttle file.
func (d deviceLine) parseThrottle(b []byte, dst []float64) error {
	clear(dst)
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		if !bytes.HasPrefix(l, d.key) {
			continue
		}
		op, rest := word(l[len(d.key):])
		slot := -1
		switch string(op) {
		case "Read":
			slot = 0
		case "Write":
			slot = 1
		default:
			continue
		}
		var err error
		if dst[slot], _, err = number(rest); err != nil {
			return err
		}
	}
	return nil
}

// parseLevel fills one slot from a file of one number.
func parseLevel(b []byte, dst []float64) (err error) {
	dst[0], b, err = number(b)
	if err == nil && !blank(b) {
		return errShape
	}
	return err
}

// cgroupSources lists what the server's cgroup offers, by the mounted version.
func cgroupSources(c Config) []probe {
	const rdB, wrB, rdI, wrI = "raw_cg_rd_bytes", "raw_cg_wr_bytes", "raw_cg_rd_ios", "raw_cg_wr_ios"
	dev := deviceLine{key: []byte(blockdev.Attr(c.sys("block", c.Device, "dev")) + " ")}
	current := []Column{{"cg_mem_current_bytes", "B", KindGauge, "cgroup", "memory.current (v2) or memory.usage_in_bytes (v1)"}}
	if _, err := os.Stat(c.sys("fs/cgroup/cgroup.controllers")); err == nil {
		dir := c.sys("fs/cgroup", c.ServerCgroup)
		mem := newKeyed(map[string]int{"file": 0, "anon": 1, "workingset_refault_file": 2, "workingset_refault_anon": 2, "pgmajfault": 3})
		return []probe{
			{cgroupIOColumns(rdB, wrB, rdI, wrI), parsedProbe(dir+"/io.stat", dev.parseIOStat)},
			{current, parsedProbe(dir+"/memory.current", parseLevel)},
			{cgroupMemColumns(), parsedProbe(dir+"/memory.stat", mem.parse)},
			{inGroup(pressureColumns("cg_psi_mem", "memory.pressure")), parsedProbe(dir+"/memory.pressure", parsePressure)},
			{inGroup(pressureColumns("cg_psi_io", "io.pressure")), parsedProbe(dir+"/io.pressure", parsePressure)},
		}
	}
	blkio, memory := c.sys("fs/cgroup/blkio", c.ServerCgroup), c.sys("fs/cgroup/memory", c.ServerCgroup)
	mem := newKeyed(map[string]int{"total_cache": 0, "total_rss": 1, "total_pgmajfault": 3})
	none := func() (source, error) {
		return nil, fmt.Errorf("sysmon: open pressure of cgroup %s: version 1 has none", c.ServerCgroup)
	}
	return []probe{
		{cgroupIOColumns(rdB, wrB), parsedProbe(recursive(blkio+"/blkio.throttle.io_service_bytes"), dev.parseThrottle)},
		{cgroupIOColumns(rdI, wrI), parsedProbe(recursive(blkio+"/blkio.throttle.io_serviced"), dev.parseThrottle)},
		{current, parsedProbe(memory+"/memory.usage_in_bytes", parseLevel)},
		{cgroupMemColumns(), parsedProbe(memory+"/memory.stat", mem.parse)},
		{inGroup(pressureColumns("cg_psi_mem", "memory.pressure")), none},
		{inGroup(pressureColumns("cg_psi_io", "io.pressure")), none},
	}
}

// recursive prefers the file that counts child groups too.
func recursive(path string) string {
	if _, err := os.Stat(path + "_recursive"); err == nil {
		return path + "_recursive"
	}
	return path
}

func inGroup(cols []Column) []Column {
	for i := range cols {
		cols[i].Group = "cgroup"
		cols[i].Doc = strings.TrimSpace("cgroup " + cols[i].Doc)
	}
	return cols
}
