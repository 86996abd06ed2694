package sysmon

import (
	"bytes"
	"fmt"
)

// Kernel file: /proc/stat. https://docs.kernel.org/filesystems/proc.html
//
//	cpu  6671 0 4181 242595 5045 0 68 11 0 0
//	cpu0 3061 0 1375 124921 30 0 21 3 0 0
//	intr 568324 0 0 ...
//	ctxt 1128033
//	processes 10893
//	procs_running 2
//	procs_blocked 0
//
// Times are in ticks of 1/100 s on every architecture (USER_HZ). Guest time is
// already inside user. The kernel may lower idle and iowait a little.

// Slots of the stat source.
const (
	statUser = iota
	statNice
	statSys
	statIdle
	statIowait
	statIRQ
	statSoftIRQ
	statSteal
	statIntr
	statCtxt
	statForks
	statRunning
	statBlocked
	statFixed
)

// cpuFields are the names of the first eight time fields.
func cpuFields() []string {
	return []string{"user", "nice", "sys", "idle", "iowait", "irq", "softirq", "steal"}
}

func statColumns(clusters []string) []Column {
	var cols []Column
	cpu := func(name, doc string, kind Kind) {
		cols = append(cols, Column{name, "ticks of 10 ms", kind, "stat", "/proc/stat " + doc})
	}
	for i, f := range cpuFields() {
		kind := KindCounter
		if i == statIdle || i == statIowait {
			kind = KindSlack
		}
		cpu("raw_cpu_"+f, "cpu: "+f, kind)
	}
	add := func(name, unit string, kind Kind, doc string) {
		cols = append(cols, Column{name, unit, kind, "stat", "/proc/stat " + doc})
	}
	add("raw_intr", "interrupts", KindCounter, "intr: total")
	add("raw_ctxt", "switches", KindCounter, "ctxt")
	add("raw_forks", "forks", KindCounter, "processes")
	add("procs_running", "tasks", KindGauge, "procs_running")
	add("procs_blocked", "tasks", KindGauge, "procs_blocked")
	for _, c := range clusters {
		cpu("raw_cpu_"+c+"_busy", "cpuN of the "+c+" cluster: user+nice+sys+irq+softirq+steal", KindCounter)
		cpu("raw_cpu_"+c+"_iowait", "cpuN of the "+c+" cluster: iowait", KindSlack)
		cpu("raw_cpu_"+c+"_idle", "cpuN of the "+c+" cluster: idle", KindSlack)
	}
	return cols
}

func statFormulas(cpus int, clusters []string) []formula {
	const g = "stat"
	var all []string
	for _, f := range cpuFields() {
		all = append(all, "raw_cpu_"+f)
	}
	var out []formula
	for _, f := range cpuFields() {
		out = append(out, ratio(g, "cpu_"+f+"_pct", "% of all CPUs", 100, "D(raw_cpu_"+f+")/ΣD(raw_cpu_*)·100", "raw_cpu_"+f, all...))
	}
	out = append(out,
		ratio(g, "iowait_cores", "CPUs", float64(cpus), fmt.Sprintf("D(raw_cpu_iowait)/ΣD(raw_cpu_*)·%d CPUs, decreases clamped to 0", cpus), "raw_cpu_iowait", all...),
		rate(g, "ctxt_s", "1/s", 1, "D(raw_ctxt)/dt; vmstat cs", "raw_ctxt"),
		rate(g, "intr_s", "1/s", 1, "D(raw_intr)/dt; vmstat in", "raw_intr"),
		rate(g, "forks_s", "1/s", 1, "D(raw_forks)/dt", "raw_forks"),
	)
	for _, c := range clusters {
		total := []string{"raw_cpu_" + c + "_busy", "raw_cpu_" + c + "_iowait", "raw_cpu_" + c + "_idle"}
		out = append(out,
			ratio(g, "cpu_"+c+"_busy_pct", "% of the cluster", 100, "busy share of the "+c+" CPUs", total[0], total...),
			ratio(g, "cpu_"+c+"_iowait_pct", "% of the cluster", 100, "iowait share of the "+c+" CPUs", total[1], total...))
	}
	return out
}

// statParser knows which cluster each CPU belongs to.
type statParser struct {
	cluster []int // by CPU number; -1 = none
}

// parse fills the slots of statColumns.
func (p *statParser) parse(b []byte, dst []float64) error {
	fillNaN(dst)
	seen := false
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		var err error
		switch {
		case bytes.HasPrefix(l, []byte("cpu ")):
			seen = true
			err = parseCPU(l[len("cpu "):], dst[:statIntr])
		case bytes.HasPrefix(l, []byte("cpu")):
			err = p.parseOne(l[len("cpu"):], dst[statFixed:])
		default:
			err = parseStatLine(l, dst)
		}
		if err != nil {
			return err
		}
	}
	if !seen {
		return errShape
	}
	return nil
}

// parseCPU reads the eight time fields of one cpu line.
func parseCPU(l []byte, dst []float64) (err error) {
	for i := range dst {
		if dst[i], l, err = number(l); err != nil {
			return errFields
		}
	}
	return nil
}

// parseOne adds a cpuN line to its cluster's three slots.
func (p *statParser) parseOne(l []byte, dst []float64) error {
	if len(dst) == 0 {
		return nil
	}
	id, rest, err := number(l)
	if err != nil {
		return err
	}
	if id >= float64(len(p.cluster)) || p.cluster[int(id)] < 0 {
		return nil
	}
	var t [statIntr]float64
	if err := parseCPU(rest, t[:]); err != nil {
		return err
	}
	busy := t[statUser] + t[statNice] + t[statSys] + t[statIRQ] + t[statSoftIRQ] + t[statSteal]
	at := 3 * p.cluster[int(id)]
	for i, v := range [3]float64{busy, t[statIowait], t[statIdle]} {
		if dst[at+i] != dst[at+i] { // NaN: the cluster's first CPU
			dst[at+i] = 0
		}
		dst[at+i] += v
	}
	return nil
}

func parseStatLine(l []byte, dst []float64) (err error) {
	slot := -1
	key, rest := word(l)
	switch string(key) {
	case "intr":
		slot = statIntr
	case "ctxt":
		slot = statCtxt
	case "processes":
		slot = statForks
	case "procs_running":
		slot = statRunning
	case "procs_blocked":
		slot = statBlocked
	default:
		return nil
	}
	dst[slot], _, err = number(rest)
	return err
}
