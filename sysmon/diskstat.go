package sysmon

import (
	"fmt"
	"os"
)

// Kernel file: /sys/block/D/stat, one line. Kernels before 4.18 print 11
// fields, 4.18 adds 4 for discards, 5.5 adds 2 for flushes.
// https://docs.kernel.org/block/stat.html
//
//	716750 26553 129145426 489962 11496 32563 4522600 14221 0 61180 504484 1358 0 2402976 259 1285 40
//
// Sectors are 512 bytes whatever the device's own block size is. Ticks are
// whole milliseconds in 32 bits: they wrap after 49.7 days of summed waiting,
// which a queue 64 deep reaches in 19 hours.

// sectorBytes is the block layer's unit, not the device's.
const sectorBytes = 512

func diskColumns() []Column {
	c := func(name, unit string, kind Kind, doc string) Column {
		return Column{name, unit, kind, "disk", "/sys/block/D/stat " + doc}
	}
	const sectors = "sectors of 512 B"
	return []Column{
		c("raw_rd_ios", "I/Os", KindCounter, "field 1: reads completed"),
		c("raw_rd_merges", "I/Os", KindCounter, "field 2: reads merged"),
		c("raw_rd_sectors", sectors, KindCounter, "field 3: sectors read"),
		c("raw_rd_ticks_ms", "ms", KindCounter32, "field 4: summed wait of reads"),
		c("raw_wr_ios", "I/Os", KindCounter, "field 5: writes completed"),
		c("raw_wr_merges", "I/Os", KindCounter, "field 6: writes merged"),
		c("raw_wr_sectors", sectors, KindCounter, "field 7: sectors written"),
		c("raw_wr_ticks_ms", "ms", KindCounter32, "field 8: summed wait of writes"),
		c("disk_inflight", "I/Os", KindGauge, "field 9: I/Os issued and not completed"),
		c("raw_io_ticks_ms", "ms", KindCounter32, "field 10: time with any I/O in flight, as sampled at jiffies"),
		c("raw_weighted_ms", "ms", KindCounter32, "field 11: summed wait of everything, also of I/O in flight"),
		c("raw_dc_ios", "I/Os", KindCounter, "field 12: discards completed"),
		c("raw_dc_merges", "I/Os", KindCounter, "field 13: discards merged"),
		c("raw_dc_sectors", sectors, KindCounter, "field 14: sectors discarded"),
		c("raw_dc_ticks_ms", "ms", KindCounter32, "field 15: summed wait of discards"),
		c("raw_fl_ios", "I/Os", KindCounter, "field 16: flushes completed"),
		c("raw_fl_ticks_ms", "ms", KindCounter32, "field 17: summed wait of flushes"),
	}
}

func diskFormulas() []formula {
	const g = "disk"
	return []formula{
		rate(g, "rd_ios_s", "1/s", 1, "D(raw_rd_ios)/dt; iostat r/s", "raw_rd_ios"),
		rate(g, "wr_ios_s", "1/s", 1, "D(raw_wr_ios)/dt; iostat w/s", "raw_wr_ios"),
		rate(g, "dc_ios_s", "1/s", 1, "D(raw_dc_ios)/dt; iostat d/s", "raw_dc_ios"),
		rate(g, "fl_ios_s", "1/s", 1, "D(raw_fl_ios)/dt; iostat f/s", "raw_fl_ios"),
		rate(g, "rd_mrg_s", "1/s", 1, "D(raw_rd_merges)/dt; iostat rrqm/s", "raw_rd_merges"),
		rate(g, "wr_mrg_s", "1/s", 1, "D(raw_wr_merges)/dt; iostat wrqm/s", "raw_wr_merges"),
		rate(g, "rd_MBps", "10⁶ B/s", sectorBytes/1e6, "D(raw_rd_sectors)·512/10⁶/dt; iostat rMB/s counts MiB", "raw_rd_sectors"),
		rate(g, "wr_MBps", "10⁶ B/s", sectorBytes/1e6, "D(raw_wr_sectors)·512/10⁶/dt; iostat wMB/s counts MiB", "raw_wr_sectors"),
		ratio(g, "r_await_ms", "ms", 1, "D(raw_rd_ticks_ms)/D(raw_rd_ios), empty without reads; pool to 20 I/Os or 1 s before use", "raw_rd_ticks_ms", "raw_rd_ios"),
		ratio(g, "w_await_ms", "ms", 1, "D(raw_wr_ticks_ms)/D(raw_wr_ios), as r_await_ms", "raw_wr_ticks_ms", "raw_wr_ios"),
		ratio(g, "d_await_ms", "ms", 1, "D(raw_dc_ticks_ms)/D(raw_dc_ios), as r_await_ms", "raw_dc_ticks_ms", "raw_dc_ios"),
		ratio(g, "f_await_ms", "ms", 1, "D(raw_fl_ticks_ms)/D(raw_fl_ios), as r_await_ms", "raw_fl_ticks_ms", "raw_fl_ios"),
		ratio(g, "rareq_kB", "KiB", 0.5, "D(raw_rd_sectors)/2/D(raw_rd_ios); iostat rareq-sz", "raw_rd_sectors", "raw_rd_ios"),
		ratio(g, "wareq_kB", "KiB", 0.5, "D(raw_wr_sectors)/2/D(raw_wr_ios); iostat wareq-sz", "raw_wr_sectors", "raw_wr_ios"),
		rate(g, "aqu_sz", "I/Os", 1e-3, "D(raw_weighted_ms)/dt in ms; iostat aqu-sz", "raw_weighted_ms"),
		rate(g, "util_pct", "%", 0.1, "D(raw_io_ticks_ms)/dt in ms·100; untrusted, reported only", "raw_io_ticks_ms"),
	}
}

// parseDiskStat fills 17 slots; fields an older kernel lacks are NaN, fields a
// newer one appends are ignored.
func parseDiskStat(b []byte, dst []float64) error {
	fillNaN(dst)
	b, rest := line(b)
	if !blank(rest) {
		return errShape
	}
	n := 0
	for !blank(b) {
		v, r, err := number(b)
		if err != nil {
			return err
		}
		if b = r; n < len(dst) {
			dst[n] = v
		}
		n++
	}
	if n != 11 && n != 15 && n < 17 {
		return errFields
	}
	return nil
}

func newDisk(c Config) (source, error) {
	dir := c.sys("block", c.Device)
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("sysmon: open %s: %w: (name a whole disk, as DeviceOf returns it): %w", dir, ErrNoDevice, err)
	}
	return newParsed(c.sys("block", c.Device, "stat"), parseDiskStat)
}
