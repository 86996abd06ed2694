package sysmon

import "strings"

// Kernel file: /proc/meminfo, "Key: value kB" lines (huge page counts have no
// unit). https://docs.kernel.org/filesystems/proc.html#meminfo
//
//	MemTotal:       24684092 kB
//	HugePages_Total:       0

// meminfoKeys pairs columns with the kernel's keys.
func meminfoKeys() [][2]string {
	return [][2]string{
		{"mem_total_kB", "MemTotal"},
		{"mem_free_kB", "MemFree"},
		{"mem_available_kB", "MemAvailable"},
		{"mem_buffers_kB", "Buffers"},
		{"mem_cached_kB", "Cached"},
		{"mem_swapcached_kB", "SwapCached"},
		{"mem_active_file_kB", "Active(file)"},
		{"mem_inactive_file_kB", "Inactive(file)"},
		{"mem_unevictable_kB", "Unevictable"},
		{"mem_mlocked_kB", "Mlocked"},
		{"swap_total_kB", "SwapTotal"},
		{"swap_free_kB", "SwapFree"},
		{"mem_dirty_kB", "Dirty"},
		{"mem_writeback_kB", "Writeback"},
		{"mem_anon_kB", "AnonPages"},
		{"mem_mapped_kB", "Mapped"},
		{"mem_shmem_kB", "Shmem"},
		{"mem_slab_reclaimable_kB", "SReclaimable"},
		{"mem_slab_unreclaimable_kB", "SUnreclaim"},
		{"mem_kernelstack_kB", "KernelStack"},
		{"mem_pagetables_kB", "PageTables"},
		{"mem_percpu_kB", "Percpu"},
		{"mem_cma_free_kB", "CmaFree"},
		{"huge_total_pages", "HugePages_Total"},
		{"huge_free_pages", "HugePages_Free"},
		{"huge_size_kB", "Hugepagesize"},
		{"mem_hugetlb_kB", "Hugetlb"},
	}
}

// meminfoFormulas are sums of levels. On machines whose GPU shares the memory,
// what no kernel counter explains is what the driver has pinned.
func meminfoFormulas() []formula {
	level := func(name, doc string, plus, minus []string) formula {
		return formula{Column{name, "KiB", KindDerived, "meminfo", doc}, opSum, 1, plus, minus}
	}
	return []formula{
		level("uma_used_kB", "total − available", []string{"mem_total_kB"}, []string{"mem_available_kB"}),
		level("uma_unaccounted_kB",
			"total − (free + buffers + cached + anon + slab + kernel stacks + page tables + percpu + hugetlb): the driver's pinned share",
			[]string{"mem_total_kB"},
			[]string{
				"mem_free_kB", "mem_buffers_kB", "mem_cached_kB", "mem_anon_kB", "mem_slab_reclaimable_kB",
				"mem_slab_unreclaimable_kB", "mem_kernelstack_kB", "mem_pagetables_kB", "mem_percpu_kB", "mem_hugetlb_kB",
			}),
	}
}

func meminfoColumns() []Column {
	var cols []Column
	for _, k := range meminfoKeys() {
		unit := "KiB"
		if strings.HasSuffix(k[0], "_pages") {
			unit = "huge pages"
		}
		cols = append(cols, Column{k[0], unit, KindGauge, "meminfo", "/proc/meminfo " + k[1]})
	}
	return cols
}

// parseMeminfo makes a parser of the columns above.
func parseMeminfo() func([]byte, []float64) error {
	slots := map[string]int{}
	for i, k := range meminfoKeys() {
		slots[k[1]] = i
	}
	return newKeyed(slots).parse
}
