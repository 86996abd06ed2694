package v25

import (
	"fmt"
	"math"
)

// Layout is an order of iostat's columns. The earlier harness took fields by
// their number, so what a column of its file holds depends on the version of
// sysstat, which it did not record.
type Layout int

// The layouts of iostat -x -m, and what each makes of fields 4 to 10.
const (
	LayoutUnknown Layout = iota
	Layout11             // sysstat to 11.4: rrqm/s wrqm/s r/s w/s rMB/s wMB/s avgrq-sz avgqu-sz await …
	Layout12             // 11.5 to 12.0: r/s w/s rMB/s wMB/s rrqm/s wrqm/s %rrqm %wrqm r_await …
	Layout121            // 12.1 and later: r/s rMB/s rrqm/s %rrqm r_await rareq-sz w/s wMB/s wrqm/s …
)

// String names the versions.
func (l Layout) String() string {
	return [...]string{"not decided", "sysstat 11.4 or earlier", "sysstat 11.5 to 12.0", "sysstat 12.1 or later"}[l]
}

// Holds says what the i-th of the iostat columns of a telemetry file really
// holds, "" if the layout is not known.
func (l Layout) Holds(i int) string {
	return [...][7]string{
		{},
		{"r/s", "w/s", "rMB/s (MiB)", "wMB/s (MiB)", "await (ms, reads and writes mixed)", "avgqu-sz (requests)", "avgrq-sz (sectors)"},
		{"rMB/s (MiB)", "wMB/s (MiB)", "rrqm/s", "wrqm/s", "r_await (ms)", "%wrqm", "%rrqm"},
		{"rrqm/s", "%rrqm", "r_await (ms)", "rareq-sz (KiB)", "wrqm/s", "wMB/s (MiB)", "w/s"},
	}[l][i]
}

// ioRow is one row of the seven columns, in the order of the file.
type ioRow [7]float64

// ioRows are the rows in which all seven are there.
func ioRows(t *Telemetry) (rows []ioRow) {
	names := iostatColumns()
	for i := range t.Rows {
		var row ioRow
		whole := true
		for k, n := range names {
			c := t.Column(n)
			if c == nil {
				return nil
			}
			row[k] = c[i]
			whole = whole && !math.IsNaN(c[i])
		}
		if whole {
			rows = append(rows, row)
		}
	}
	return rows
}

// What decides between layouts.
const (
	leastAgainst = 3    // rows that contradict each layout that is ruled out
	mostAgainst  = 0.01 // of the rows may contradict the one that is left
)

// DetectLayout tells by the values which layout a file has. Each layout makes
// every row obey identities of its own (bytes per request, merges per request,
// no sizes without requests); the one layout left whose identities hold in 99 %
// of the rows, while at least three rows break those of each other, is it.
// LayoutUnknown, with the counts, where that is not so: an idle disk, or too few
// rows.
func DetectLayout(t *Telemetry) (Layout, string) {
	rows := ioRows(t)
	var against [4]int
	for _, r := range rows {
		for l, contradicts := range map[Layout]func(ioRow) bool{Layout11: against11, Layout12: against12, Layout121: against121} {
			if contradicts(r) {
				against[l]++
			}
		}
	}
	evidence := fmt.Sprintf("%d rows; %d contradict 11.4, %d 11.5–12.0, %d 12.1", len(rows), against[Layout11], against[Layout12], against[Layout121])
	found := LayoutUnknown
	for l := Layout11; l <= Layout121; l++ {
		switch {
		case float64(against[l]) <= mostAgainst*float64(len(rows)):
			if found != LayoutUnknown {
				return LayoutUnknown, evidence
			}
			found = l
		case against[l] < leastAgainst:
			return LayoutUnknown, evidence
		}
	}
	return found, evidence
}

const (
	half       = 0.005 // iostat rounds to two decimals
	sector     = 512.0
	mebi       = 1 << 20
	maxRequest = 32 << 20 // bytes; the kernel splits larger ones
)

// against11: requests have at least a sector, none of them no size, and their
// size times their rate is the bytes.
func against11(r ioRow) bool {
	rate, mb, size := r[0]+r[1], r[2]+r[3], r[6]
	if rate == 0 {
		return size > 2*half || r[4] > 2*half || mb > 2*half
	}
	if rate < 0.5 {
		return false
	}
	if size < 1-half {
		return true
	}
	want := mb * mebi / sector / rate
	slack := 2*half*mebi/sector/rate + want*2*half/rate + half
	return math.Abs(size-want) > slack*1.01
}

// against12: merges are a share of requests, which have bytes.
func against12(r ioRow) bool {
	return mergeFault(r[2], r[6], r[0]) || mergeFault(r[3], r[5], r[1])
}

// mergeFault reports merges per second, their share in percent and the MiB per
// second that cannot belong together: merges/s = share × (requests + merges)/s.
func mergeFault(merges, share, mb float64) bool {
	if share > 100+half || merges == 0 && share > 0 || merges > 100 && share == 0 {
		return true
	}
	if merges == 0 || share == 0 {
		return false
	}
	least := (merges - half) * (100 - share - half) / (share + half) // requests/s
	most := (merges + half) * (100 - share + half) / max(share-half, half/10)
	return least*sector/mebi > mb+half || most*maxRequest/mebi < mb-half
}

// against121: a read's time comes with a size of at least a sector, merges with
// their share, and written bytes with writes of at least a sector.
func against121(r ioRow) bool {
	merges, share, await, size, writeMerges, writeMB, writes := r[0], r[1], r[2], r[3], r[4], r[5], r[6]
	switch {
	case share > 100+half, merges == 0 && share > 0, merges > 100 && share == 0:
		return true
	case size > 0 && size < 0.5-half, size > maxRequest/1024, await > 0 && size == 0:
		return true
	case size == 0 && merges > 0 && share < 100-half:
		return true // merges stay below their requests, and there were none
	case writes == 0:
		return writeMB > half || writeMerges > half
	}
	return (writeMB+half)*mebi < (writes-half)*sector || (writeMB-half)*mebi > (writes+half)*maxRequest
}

// IO is what the iostat columns tell once their layout is known. NaN is absent.
type IO struct {
	ReadAwaitMillis float64
	AwaitHow        string // how, or why it is withheld
	ReadsPerSec     float64
	ReadsHow        string
	AquSz           float64
	AquHow          string
}

// readIO takes r_await, reads per second and the queue out of the columns that
// really hold them.
func readIO(t *Telemetry, l Layout) IO {
	io := IO{ReadAwaitMillis: absent(), ReadsPerSec: absent(), AquSz: absent()}
	const lost = "the columns that were kept do not hold it"
	rows := ioRows(t)
	switch l {
	case Layout121:
		io.ReadAwaitMillis = medianWhere(rows, 2, func(r ioRow) bool { return r[3] > 0 })
		io.AwaitHow = "median over the seconds with reads of column iostat_rMBps, which holds r_await"
		io.ReadsHow, io.AquHow = lost, lost
	case Layout12:
		io.ReadAwaitMillis = medianWhere(rows, 4, func(r ioRow) bool { return r[4] > 0 })
		io.AwaitHow = "median over the seconds with reads of column iostat_await_ms, which holds r_await"
		io.ReadsHow, io.AquHow = lost, lost
	case Layout11:
		ticks, reads := 0.0, 0.0
		for _, r := range rows {
			if r[1] == 0 && r[0] > 0 { // nothing but reads: await is theirs
				ticks, reads = ticks+r[0]*r[4], reads+r[0]
			}
		}
		io.ReadAwaitMillis = ticks / reads // 0/0 is NaN: absent
		io.AwaitHow = "await of the seconds without writes, where it is r_await, weighted by reads"
		io.ReadsPerSec, io.ReadsHow = mean(columnOf(rows, 0)), "mean of one second in about three"
		io.AquSz, io.AquHow = mean(columnOf(rows, 5)), "mean of column iostat_avg_rqsz, which holds avgqu-sz"
	default:
		const why = "the version of sysstat cannot be told by the values"
		io.AwaitHow, io.ReadsHow, io.AquHow = why, why, why
	}
	if math.IsNaN(io.ReadAwaitMillis) && l != LayoutUnknown {
		io.AwaitHow = "no second with reads alone to take it from"
		if l != Layout11 {
			io.AwaitHow = "no second with reads"
		}
	}
	return io
}

func columnOf(rows []ioRow, i int) (out []float64) {
	for _, r := range rows {
		out = append(out, r[i])
	}
	return out
}

func medianWhere(rows []ioRow, i int, keep func(ioRow) bool) float64 {
	var out []float64
	for _, r := range rows {
		if keep(r) {
			out = append(out, r[i])
		}
	}
	return median(out)
}
