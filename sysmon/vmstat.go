package sysmon

import "strings"

// Kernel file: /proc/vmstat, "key value" lines; events since boot, summed over
// CPUs. Names: include/linux/vm_event_item.h and mmzone.h of Linux 6.18.
//
//	pgpgin 64573097
//	workingset_refault_file 119283
//
// pgpgin and pgpgout count KiB of all block I/O, direct I/O included; pswpin,
// pswpout and the workingset events count pages.

// vmstatKeys maps each raw column to the kernel's keys, which are added up.
// allocstall and pgscan are split by zone since Linux 4.12.
func vmstatKeys() []struct {
	col, unit string
	keys      []string
} {
	type k = struct {
		col, unit string
		keys      []string
	}
	return []k{
		{"raw_pgpgin_kB", "KiB", []string{"pgpgin"}},
		{"raw_pgpgout_kB", "KiB", []string{"pgpgout"}},
		{"raw_pswpin", "pages", []string{"pswpin"}},
		{"raw_pswpout", "pages", []string{"pswpout"}},
		{"raw_pgfault", "faults", []string{"pgfault"}},
		{"raw_pgmajfault", "faults", []string{"pgmajfault"}},
		{"raw_refault_file", "pages", []string{"workingset_refault_file"}},
		{"raw_refault_anon", "pages", []string{"workingset_refault_anon"}},
		{"raw_activate_file", "pages", []string{"workingset_activate_file"}},
		{"raw_activate_anon", "pages", []string{"workingset_activate_anon"}},
		{"raw_pgscan_kswapd", "pages", []string{"pgscan_kswapd"}},
		{"raw_pgscan_direct", "pages", []string{"pgscan_direct"}},
		{"raw_pgsteal_kswapd", "pages", []string{"pgsteal_kswapd"}},
		{"raw_pgsteal_direct", "pages", []string{"pgsteal_direct"}},
		{"raw_allocstall", "stalls", []string{"allocstall_dma", "allocstall_dma32", "allocstall_normal", "allocstall_movable", "allocstall_device"}},
		{"raw_oom_kill", "kills", []string{"oom_kill"}},
		{"raw_compact_stall", "stalls", []string{"compact_stall"}},
	}
}

func vmstatFormulas(pageBytes int) []formula {
	const g = "vmstat"
	pageKiB := float64(pageBytes) / 1024
	per := func(name, unit, raw string) formula {
		return rate(g, name, unit, 1, "D("+raw+")/dt", raw)
	}
	return []formula{
		per("pgpgin_kBps", "KiB/s", "raw_pgpgin_kB"),
		per("pgpgout_kBps", "KiB/s", "raw_pgpgout_kB"),
		per("pgfault_s", "1/s", "raw_pgfault"),
		per("pgmajfault_s", "1/s", "raw_pgmajfault"),
		per("pswpin_s", "pages/s", "raw_pswpin"),
		per("pswpout_s", "pages/s", "raw_pswpout"),
		rate(g, "pswpin_kBps", "KiB/s", pageKiB, "D(raw_pswpin)·page size/dt; vmstat si", "raw_pswpin"),
		rate(g, "pswpout_kBps", "KiB/s", pageKiB, "D(raw_pswpout)·page size/dt; vmstat so", "raw_pswpout"),
		per("refault_file_s", "pages/s", "raw_refault_file"),
		per("refault_anon_s", "pages/s", "raw_refault_anon"),
		rate(g, "refault_kBps", "KiB/s", pageKiB, "D(raw_refault_file+raw_refault_anon)·page size/dt", "raw_refault_file", "raw_refault_anon"),
		per("activate_file_s", "pages/s", "raw_activate_file"),
		per("activate_anon_s", "pages/s", "raw_activate_anon"),
		per("pgscan_kswapd_s", "pages/s", "raw_pgscan_kswapd"),
		per("pgscan_direct_s", "pages/s", "raw_pgscan_direct"),
		per("pgsteal_kswapd_s", "pages/s", "raw_pgsteal_kswapd"),
		per("pgsteal_direct_s", "pages/s", "raw_pgsteal_direct"),
		per("allocstall_s", "1/s", "raw_allocstall"),
		per("compact_stall_s", "1/s", "raw_compact_stall"),
	}
}

func vmstatColumns() []Column {
	var cols []Column
	for _, k := range vmstatKeys() {
		cols = append(cols, Column{k.col, k.unit, KindCounter, "vmstat", "/proc/vmstat " + strings.Join(k.keys, " + ")})
	}
	return cols
}

// parseVmstat makes a parser of the columns above.
func parseVmstat() func([]byte, []float64) error {
	slots := map[string]int{}
	for i, k := range vmstatKeys() {
		for _, key := range k.keys {
			slots[key] = i
		}
	}
	return newKeyed(slots).parse
}
