package sysmon

import "time"

// comparison is one column of a tool and our way to the same number.
type comparison struct {
	column    string // in the tool's header
	formula   string
	limit     float64 // percent, or points
	points    bool
	rounding  float64 // half of the tool's last printed digit
	ticks     float64 // resolution in ticks of 10 ms per second, all CPUs together
	minEvents float64 // events a window needs for a relative difference to mean anything
	events    func(t *Table, from, to time.Duration) (float64, bool)
	ours      func(t *Table, from, to time.Duration) (float64, bool)
}

// The limits.
const (
	rateLimit  = 2.0 // percent
	awaitLimit = 5.0 // percent
	cpuLimit   = 1.0 // points
	fewEvents  = 200 // two events at a window's edges are then 1 %
)

// checkTools lists the tools, for so many reports at one second. Columns are
// found by header, never by position: positions move between versions.
func checkTools(device string, reports int) []tool {
	n := itoa(reports)
	return []tool{
		{
			name: "iostat", pkg: "sysstat", args: []string{"-d", "-x", "-k", device, "1", n},
			mark: "r_await", keyColumn: "Device", key: device, compare: iostatColumns(),
		},
		{
			name: "vmstat", pkg: "procps", args: []string{"-n", "1", n},
			mark: "swpd", compare: vmstatToolColumns(),
		},
		{
			name: "mpstat", pkg: "sysstat", args: []string{"1", n},
			mark: "%usr", keyColumn: "CPU", key: "all", compare: mpstatColumns(),
		},
	}
}

// rateOf compares a counter's growth per second, scaled.
func rateOf(column, raw string, scale, rounding float64, eventsRaw string, minEvents float64) comparison {
	return comparison{
		column: column, formula: "D(" + raw + ")/dt", limit: rateLimit, rounding: rounding, minEvents: minEvents,
		events: func(t *Table, from, to time.Duration) (float64, bool) { return t.Delta(eventsRaw, from, to) },
		ours: func(t *Table, from, to time.Duration) (float64, bool) {
			r, ok := t.Rate(raw, from, to)
			return r * scale, ok
		},
	}
}

// pooledOf compares a quotient of two counters' growth, scaled.
func pooledOf(column, num, den string, scale, limit, minEvents float64) comparison {
	return comparison{
		column: column, formula: "D(" + num + ")/D(" + den + ")", limit: limit, rounding: 0.005, minEvents: minEvents,
		events: func(t *Table, from, to time.Duration) (float64, bool) { return t.Delta(den, from, to) },
		ours: func(t *Table, from, to time.Duration) (float64, bool) {
			q, ok := t.pooled(num, den, from, to)
			return q * scale, ok
		},
	}
}

func iostatColumns() []comparison {
	util := rateOf("%util", "raw_io_ticks_ms", 0.1, 0.005, "raw_rd_ios", 0)
	util.limit, util.points = 2, true
	return []comparison{
		rateOf("r/s", "raw_rd_ios", 1, 0.005, "raw_rd_ios", fewEvents),
		rateOf("w/s", "raw_wr_ios", 1, 0.005, "raw_wr_ios", fewEvents),
		rateOf("rkB/s", "raw_rd_sectors", 0.5, 0.005, "raw_rd_ios", fewEvents),
		rateOf("wkB/s", "raw_wr_sectors", 0.5, 0.005, "raw_wr_ios", fewEvents),
		rateOf("rrqm/s", "raw_rd_merges", 1, 0.005, "raw_rd_merges", fewEvents),
		rateOf("wrqm/s", "raw_wr_merges", 1, 0.005, "raw_wr_merges", fewEvents),
		pooledOf("r_await", "raw_rd_ticks_ms", "raw_rd_ios", 1, awaitLimit, 20),
		pooledOf("w_await", "raw_wr_ticks_ms", "raw_wr_ios", 1, awaitLimit, 20),
		pooledOf("rareq-sz", "raw_rd_sectors", "raw_rd_ios", 0.5, rateLimit, fewEvents),
		pooledOf("wareq-sz", "raw_wr_sectors", "raw_wr_ios", 0.5, rateLimit, fewEvents),
		rateOf("aqu-sz", "raw_weighted_ms", 1e-3, 0.005, "raw_rd_ios", fewEvents),
		util,
	}
}

func vmstatToolColumns() []comparison {
	return []comparison{
		rateOf("bi", "raw_pgpgin_kB", 1, 0.5, "raw_pgpgin_kB", 5000),
		rateOf("bo", "raw_pgpgout_kB", 1, 0.5, "raw_pgpgout_kB", 5000),
		rateOf("in", "raw_intr", 1, 0.5, "raw_intr", fewEvents),
		rateOf("cs", "raw_ctxt", 1, 0.5, "raw_ctxt", fewEvents),
		shareOf("us", 0.5, "user", "nice"),
		shareOf("sy", 0.5, "sys", "irq", "softirq"),
		shareOf("id", 0.5, "idle"),
		shareOf("wa", 0.5, "iowait"),
		shareOf("st", 0.5, "steal"),
	}
}

func mpstatColumns() []comparison {
	return []comparison{
		shareOf("%usr", 0.005, "user"),
		shareOf("%nice", 0.005, "nice"),
		shareOf("%sys", 0.005, "sys"),
		shareOf("%iowait", 0.005, "iowait"),
		shareOf("%irq", 0.005, "irq"),
		shareOf("%soft", 0.005, "softirq"),
		shareOf("%steal", 0.005, "steal"),
		shareOf("%idle", 0.005, "idle"),
	}
}

// shareOf compares a percentage of CPU time.
func shareOf(column string, rounding float64, fields ...string) comparison {
	return comparison{
		column: column, formula: "share of CPU time", limit: cpuLimit, points: true, rounding: rounding, ticks: 1,
		events: func(*Table, time.Duration, time.Duration) (float64, bool) { return 1, true },
		ours: func(t *Table, from, to time.Duration) (sum float64, ok bool) {
			for _, f := range fields {
				s, ok := t.CPUShare(f, from, to)
				if !ok {
					return 0, false
				}
				sum += 100 * s
			}
			return sum, true
		},
	}
}
