package fioctl

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func readFixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "fio", name))
	require.NoError(t, err)
	return b
}

// parseAll collects what ParseOutput yields.
func parseAll(b []byte) (all []Result, errs []error) {
	for r, err := range ParseOutput(bytes.NewReader(b)) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, r)
	}
	return all, errs
}

// Every recorded stream, against encoding/json's reading of it.
func TestParseOutputReadsRecordings(t *testing.T) {
	for _, c := range []struct {
		name            string
		documents, jobs int
		errno           int
		why             string
	}{
		{"psync.json", 1, 1, 0, "no bins"},
		{"uring.json", 1, 1, 0, "bins"},
		{"status.json", 5, 1, 0, "documents one after the other"},
		{"sigint.json", 3, 1, 0, "a note between documents"},
		{"sigint-alone.json", 1, 1, 0, "an empty line and a note before"},
		{"killed-status.json", 5, 1, 0, "what was written before the kill counts"},
		{"piped.txt", 3, 1, 0, "standard error in the same pipe"},
		{"group-threads.json", 1, 1, 0, "threads summed by fio"},
		{"group-randrw.json", 1, 1, 0, "both directions, all percentile lists"},
		{"jobs.json", 1, 3, 0, "entries merged here"},
		{"global.json", 1, 1, 0, "global options; no latencies"},
		{"enospc.json", 1, 1, 28, "a failed job has a document"},
		{"modelled-3.28.json", 1, 1, 0, "an older fio"},
		{"modelled-3.36.json", 1, 1, 0, "job_start"},
		{"modelled-3.40.json", 1, 1, 0, "sectors"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := readFixture(t, c.name)
			got, errs := parseAll(b)
			require.Empty(t, errs, c.why)
			want := oracle(t, b)
			require.Len(t, got, c.documents, c.why)
			require.Len(t, want, c.documents)
			for i, r := range got {
				require.Equal(t, c.jobs, r.Jobs, c.why)
				require.Equal(t, c.errno, r.Errno, c.why)
				want[i].equal(t, r)
				_, err := json.Marshal(r)
				require.NoError(t, err)
			}
		})
	}
}

// document is one that encoding/json read.
type document struct {
	Version string `json:"fio version"`
	Millis  int64  `json:"timestamp_ms"`
	Jobs    []struct {
		Start       int64 `json:"job_start"`
		Read, Write side
		Runtime     float64            `json:"job_runtime"`
		User        float64            `json:"usr_cpu"`
		System      float64            `json:"sys_cpu"`
		Depth       map[string]float64 `json:"iodepth_level"`
	}
	Disks []map[string]any `json:"disk_util"`
}

type side struct {
	Bytes   int64 `json:"io_bytes"`
	IOs     int64 `json:"total_ios"`
	Short   int64 `json:"short_ios"`
	Dropped int64 `json:"drop_ios"`
	Runtime int64
	IOPS    float64
	BW      float64 `json:"bw_bytes"`
	Slat    block   `json:"slat_ns"`
	Clat    block   `json:"clat_ns"`
	Lat     block   `json:"lat_ns"`
}

type block struct {
	Min, Max, N  int64
	Mean, Stddev float64
	Percentile   map[string]int64
	Bins         map[string]int64
}

// oracle reads the documents of a stream slowly: notes are the lines that begin
// with a letter.
func oracle(t *testing.T, b []byte) (all []document) {
	t.Helper()
	var clean []byte
	for line := range bytes.Lines(b) {
		if line[0] == '{' || line[0] == '}' || line[0] == ' ' {
			clean = append(clean, line...)
		}
	}
	for d := json.NewDecoder(bytes.NewReader(clean)); d.More(); {
		var doc document
		require.NoError(t, d.Decode(&doc))
		all = append(all, doc)
	}
	return all
}

func (d *document) equal(t *testing.T, r Result) {
	t.Helper()
	require.Equal(t, d.Version, r.Version)
	require.Equal(t, time.UnixMilli(d.Millis).UTC(), r.At)
	require.Len(t, r.Disks, len(d.Disks))
	for i, disk := range d.Disks {
		require.Equal(t, disk["name"], r.Disks[i].Name)
		require.Equal(t, disk["util"], r.Disks[i].UtilPct)
		require.EqualValues(t, disk["read_ios"], r.Disks[i].ReadIOs)
		require.EqualValues(t, disk["write_ios"], r.Disks[i].WriteIOs)
		if v, ok := disk["read_sectors"]; ok {
			require.EqualValues(t, v, r.Disks[i].ReadSectors)
			require.EqualValues(t, disk["write_sectors"], r.Disks[i].WriteSectors)
		}
	}
	if len(d.Jobs) != 1 {
		return
	}
	j := &d.Jobs[0]
	if j.Start > 0 {
		require.Equal(t, time.UnixMilli(j.Start).UTC(), r.JobStart)
	} else {
		require.Zero(t, r.JobStart)
	}
	j.Read.equal(t, r.Read)
	j.Write.equal(t, r.Write)
	if wall := float64(max(j.Read.Runtime, j.Write.Runtime)); wall > 0 {
		require.InDelta(t, j.User/100*j.Runtime/wall, r.UserCPU, 1e-9)
		require.InDelta(t, j.System/100*j.Runtime/wall, r.SystemCPU, 1e-9)
		for depth, percent := range j.Depth {
			n, err := strconv.Atoi(string(bytes.TrimLeft([]byte(depth), ">=")))
			require.NoError(t, err)
			require.InDelta(t, percent/100, r.DepthShare[n], 1e-12)
		}
	}
}

func (s *side) equal(t *testing.T, d Direction) {
	t.Helper()
	require.Equal(t, s.Bytes, d.Bytes)
	require.Equal(t, s.IOs, d.IOs)
	require.Equal(t, s.Short, d.Short)
	require.Equal(t, s.Dropped, d.Dropped)
	require.Equal(t, s.Runtime, d.Runtime.Milliseconds())
	require.InDelta(t, s.IOPS, d.IOPS(), 1e-6)
	require.InDelta(t, s.BW, d.BytesPerSec(), 1, "fio cuts the fraction off")
	s.Slat.equal(t, d.Slat)
	s.Clat.equal(t, d.Clat)
	s.Lat.equal(t, d.Lat)
}

func (b *block) equal(t *testing.T, l Latency) {
	t.Helper()
	require.Equal(t, []int64{b.N, b.Min, b.Max}, []int64{l.N, int64(l.Min), int64(l.Max)})
	require.Equal(t, []float64{b.Mean, b.Stddev}, []float64{l.Mean, l.Stddev}, "to the last bit")
	require.Len(t, l.Percentiles, len(b.Percentile))
	for key, ns := range b.Percentile {
		q, err := strconv.ParseFloat(key, 64)
		require.NoError(t, err)
		got, ok := l.Percentiles[quantileOf(q)]
		require.True(t, ok, key)
		require.EqualValues(t, ns, got, key)
	}
	require.Len(t, l.Bins, len(b.Bins))
	require.True(t, sort.SliceIsSorted(l.Bins, func(i, j int) bool { return l.Bins[i].Value < l.Bins[j].Value }))
	for _, bin := range l.Bins {
		require.Equal(t, b.Bins[strconv.FormatInt(int64(bin.Value), 10)], bin.Count)
	}
}

func TestParseOutputReadsOutputOfOldFio(t *testing.T) {
	got, errs := parseAll(readFixture(t, "modelled-2.17.json"))
	require.Empty(t, errs)
	require.Len(t, got, 1)
	now, _ := parseAll(readFixture(t, "psync.json"))
	r, want := got[0].Read, now[0].Read
	require.Equal(t, want.Bytes, r.Bytes, "KiB")
	require.Equal(t, want.Clat.N, r.Clat.N, "that of the I/Os")
	require.Equal(t, want.Clat.Max.Truncate(time.Microsecond), r.Clat.Max)
	require.InDelta(t, want.Clat.Mean, r.Clat.Mean, 1)
	require.Len(t, r.Clat.Percentiles, len(want.Clat.Percentiles), "without the padding")
	require.Equal(t, want.Clat.Percentiles[0.99].Truncate(time.Microsecond), r.Clat.Percentiles[0.99])
	require.Empty(t, r.Clat.Bins, "keyed by index")
	require.Equal(t, now[0].At.Truncate(time.Second), got[0].At)
	require.InDelta(t, now[0].SystemCPU, got[0].SystemCPU, 1e-3)
}

// Live documents are cumulative, and the last one agrees with itself.
func TestStatusDocumentsGrow(t *testing.T) {
	for _, name := range []string{"status.json", "sigint.json", "killed-status.json"} {
		all, errs := parseAll(readFixture(t, name))
		require.Empty(t, errs)
		for i, r := range all[1:] {
			before := all[i]
			require.Less(t, before.Read.IOs, r.Read.IOs, name)
			require.LessOrEqual(t, before.Read.Bytes, r.Read.Bytes, name)
			require.Less(t, before.Read.Runtime, r.Read.Runtime, name)
			require.True(t, before.At.Before(r.At), name)
		}
		if last := all[len(all)-1].Read; name != "killed-status.json" {
			require.Equal(t, last.IOs*64<<10, last.Bytes, name)
			require.Equal(t, last.IOs, last.Clat.N, name)
		}
	}
}
