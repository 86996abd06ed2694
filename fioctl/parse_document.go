package fioctl

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parseDocument reads the document at hand. It is fio's if it has fio's version
// or jobs.
func parseDocument(s *scanner) (Result, bool) {
	var m merger
	var ours bool
	var seconds, millis int64
	for key := range s.object {
		switch string(key) {
		case "fio version":
			m.res.Version, ours = s.label(), true
		case "timestamp":
			seconds = s.count()
		case "timestamp_ms":
			millis = s.count()
		case "jobs":
			ours = true
			for range s.array {
				if s.peek() == '{' {
					j := parseJob(s)
					m.add(s, &j)
				} else {
					s.skip()
				}
			}
		case "disk_util":
			for range s.array {
				m.res.Disks = append(m.res.Disks, parseDisk(s))
			}
		default:
			s.skip()
		}
	}
	m.res.At = wallClock(millis)
	if millis == 0 && seconds < maxMillis {
		m.res.At = wallClock(seconds * 1000)
	}
	return m.result(), ours
}

// job is one entry of jobs.
type job struct {
	read, write, trim Direction
	errno             int64
	start             time.Time
	runtime           int64   // ms, over all threads; 0 before fio 3.8
	user, system      float64 // percent of runtime
	depth             map[int]float64
}

func parseJob(s *scanner) (j job) {
	for key := range s.object {
		switch string(key) {
		case "error":
			j.errno = min(s.count(), math.MaxInt32)
		case "job_start":
			j.start = wallClock(s.count())
		case "read":
			j.read = parseDirection(s)
		case "write":
			j.write = parseDirection(s)
		case "trim":
			j.trim = parseDirection(s)
		case "job_runtime":
			j.runtime = s.count()
		case "usr_cpu":
			j.user = s.float()
		case "sys_cpu":
			j.system = s.float()
		case "iodepth_level":
			j.depth = parseDepth(s)
		default:
			s.skip()
		}
	}
	return j
}

func parseDirection(s *scanner) (d Direction) {
	old := true // before 3.0: io_bytes are KiB, latencies µs
	for key := range s.object {
		switch string(key) {
		case "io_bytes":
			d.Bytes = s.count()
		case "io_kbytes":
			old = false
			s.skip()
		case "runtime":
			d.Runtime = s.duration(time.Millisecond)
		case "total_ios":
			d.IOs = s.count()
		case "short_ios":
			d.Short = s.count()
		case "drop_ios":
			d.Dropped = s.count()
		case "slat_ns":
			d.Slat, old = parseLatency(s, time.Nanosecond), false
		case "clat_ns":
			d.Clat, old = parseLatency(s, time.Nanosecond), false
		case "lat_ns":
			d.Lat, old = parseLatency(s, time.Nanosecond), false
		case "slat":
			d.Slat = parseLatency(s, time.Microsecond)
		case "clat":
			d.Clat = parseLatency(s, time.Microsecond)
		case "lat":
			d.Lat = parseLatency(s, time.Microsecond)
		default:
			s.skip()
		}
	}
	if old {
		d.modernise(s)
	}
	return d
}

// modernise brings what fio before 3.0 prints up to date: KiB to bytes, and a
// latency's missing N, which is that of the I/Os.
func (d *Direction) modernise(s *scanner) {
	if d.Bytes > math.MaxInt64>>10 {
		s.malformed("io_bytes of %d KiB", d.Bytes)
		return
	}
	d.Bytes <<= 10
	for _, l := range []*Latency{&d.Slat, &d.Clat, &d.Lat} {
		if l.N == 0 && l.Max > 0 {
			l.N = d.IOs
		}
	}
}

func parseLatency(s *scanner, unit time.Duration) (l Latency) {
	for key := range s.object {
		switch string(key) {
		case "N":
			l.N = s.count()
		case "min":
			l.Min = s.latency(unit)
		case "max":
			l.Max = s.latency(unit)
		case "mean":
			l.Mean = s.float() * float64(unit)
		case "stddev":
			l.Stddev = s.float() * float64(unit)
		case "percentile":
			l.Percentiles = parsePercentiles(s, unit)
		case "bins":
			if unit == time.Nanosecond {
				l.Bins = parseBins(s)
			} else {
				s.skip() // keyed by index, among constants
			}
		default:
			s.skip()
		}
	}
	return l
}

// parsePercentiles reads {"99.000000": ns}. Mid-run fio may print what it never
// set, and 2.x fills up with "0.00": an entry that cannot be is left out.
func parsePercentiles(s *scanner, unit time.Duration) map[float64]time.Duration {
	all := make(map[float64]time.Duration, 20)
	for key := range s.object {
		percent, err := strconv.ParseFloat(string(key), 64)
		w := s.word()
		n, ok := whole(w)
		if err == nil && percent > 0 && percent <= 100 && ok && n <= math.MaxInt64/int64(unit) {
			all[quantileOf(percent)] = time.Duration(n) * unit
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// quantileOf is the float nearest to percent/100. Dividing the float that is
// nearest to 99.9 would miss the one nearest to 0.999; fio prints six decimals.
func quantileOf(percent float64) float64 { return math.Round(percent*1e6) / 1e8 }

// parseBins reads {"ns": count}, in any order, and leaves out empty ones.
func parseBins(s *scanner) []Bin {
	s.bins = s.bins[:0]
	sum, sorted := int64(0), true
	for key := range s.object {
		ns, ok := whole(key)
		if !ok {
			s.malformed("bins: %.40q is no latency", key)
			return nil
		}
		n := s.count()
		if s.add(&sum, n); n == 0 {
			continue
		}
		b := Bin{Value: time.Duration(ns), Count: n}
		if k := len(s.bins); k > 0 && s.bins[k-1].Value >= b.Value {
			sorted = false
		}
		s.bins = append(s.bins, b)
	}
	if len(s.bins) == 0 {
		return nil
	}
	if !sorted {
		return mergeBins(s.bins, nil)
	}
	return slices.Clone(s.bins)
}

// parseDepth reads {"1": percent, …, ">=64": percent}.
func parseDepth(s *scanner) map[int]float64 {
	share := make(map[int]float64, 8)
	for key := range s.object {
		depth, err := strconv.Atoi(strings.TrimPrefix(string(key), ">="))
		v := min(s.float()/100, 1)
		if err == nil && depth > 0 {
			share[depth] = v
		}
	}
	return share
}

func parseDisk(s *scanner) (d DiskUtil) {
	for key := range s.object {
		switch string(key) {
		case "name":
			d.Name = s.label()
		case "read_ios":
			d.ReadIOs = s.count()
		case "write_ios":
			d.WriteIOs = s.count()
		case "read_sectors":
			d.ReadSectors = s.count()
		case "write_sectors":
			d.WriteSectors = s.count()
		case "util":
			d.UtilPct = s.float()
		default:
			s.skip()
		}
	}
	return d
}

// label takes a string of a name's length.
func (s *scanner) label() string {
	b := s.text()
	return strings.ToValidUTF8(string(b[:min(len(b), 256)]), "?")
}

// duration takes a count of units.
func (s *scanner) duration(unit time.Duration) time.Duration {
	n := s.count()
	if n > math.MaxInt64/int64(unit) {
		s.malformed("%q is %d, too long", s.key, n)
		return 0
	}
	return time.Duration(n) * unit
}

// latency is duration, but 0 for what cannot be: without samples some versions
// print the extremes they began with.
func (s *scanner) latency(unit time.Duration) time.Duration {
	n, ok := whole(s.word())
	if !ok || n > math.MaxInt64/int64(unit) {
		return 0
	}
	return time.Duration(n) * unit
}

// maxMillis bounds instants to those that JSON can hold: before the year 10000.
const maxMillis = 253_402_300_800_000

// wallClock is the instant ms after 1970; zero if there is none.
func wallClock(ms int64) time.Time {
	if ms <= 0 || ms >= maxMillis {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
