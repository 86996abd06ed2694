package fioctl

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func goodJob() Job {
	return Job{Name: "load", BlockBytes: 128 << 10, Depth: 32, Threads: 2, Backstop: 90 * time.Second, Seed: 7}
}

func TestJobValidate(t *testing.T) {
	require.NoError(t, goodJob().Validate())
	for _, row := range []struct {
		why  string
		edit func(*Job)
		says string // "" is fine
	}{
		{"no name", func(j *Job) { j.Name = "" }, "name"},
		{"a name that ends the section", func(j *Job) { j.Name = "a]\nrw=write" }, "name"},
		{"fio's own section", func(j *Job) { j.Name = "global" }, "name"},
		{"not a pattern of ours", func(j *Job) { j.Pattern = "trim" }, "pattern"},
		{"the mix is told", func(j *Job) { j.Pattern, j.ReadPct = RandRW, 92 }, ""},
		{"the mix is not told", func(j *Job) { j.Pattern = RandRW }, "read_pct"},
		{"a mix of nothing", func(j *Job) { j.ReadPct = 50 }, "read_pct"},
		{"not a multiple of a sector", func(j *Job) { j.BlockBytes = 1000 }, "block_bytes"},
		{"negative block", func(j *Job) { j.BlockBytes = -512 }, "block_bytes"},
		{"largest block", func(j *Job) { j.BlockBytes = 16 << 20 }, ""},
		{"too large a block", func(j *Job) { j.BlockBytes = 16<<20 + 512 }, "block_bytes"},
		{"no depth", func(j *Job) { j.Depth = 0 }, "depth"},
		{"too deep", func(j *Job) { j.Depth = 1026 }, "depth"},
		{"no threads is one", func(j *Job) { j.Threads = 0 }, ""},
		{"more threads than depth", func(j *Job) { j.Threads = 64 }, "threads"},
		{"a depth that threads cannot share", func(j *Job) { j.Threads = 3 }, "multiple"},
		{"NaN", func(j *Job) { j.RateIOPS = math.NaN() }, "rate_iops"},
		{"infinite", func(j *Job) { j.RateIOPS = math.Inf(1) }, "rate_iops"},
		{"below what fio can", func(j *Job) { j.RateIOPS = 0.4 }, "rate_iops"},
		{"no end", func(j *Job) { j.Backstop = 0 }, "backstop"},
		{"status too fast", func(j *Job) { j.StatusEvery = time.Millisecond }, "status_every"},
		{"processors", func(j *Job) { j.CPUs = "0-3,8" }, ""},
		{"an open range", func(j *Job) { j.CPUs = "0-" }, "cpus"},
		{"backwards", func(j *Job) { j.CPUs = "3-1" }, "cpus"},
		{"another option", func(j *Job) { j.CPUs = "1\nrw=write" }, "cpus"},
		{"far too many", func(j *Job) { j.CPUs = "0-65535" }, "cpus"},
	} {
		t.Run(row.why, func(t *testing.T) {
			j := goodJob()
			row.edit(&j)
			err := j.Validate()
			if row.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrJob)
			require.ErrorContains(t, err, row.says)
			_, err = j.File(Fio{Engine: EngineURing}, "/t/f", 1<<30)
			require.ErrorIs(t, err, ErrJob, "nothing is written from it either")
		})
	}
}

func TestJobFileIsWhatItWas(t *testing.T) {
	for name, row := range map[string]struct {
		engine Engine
		edit   func(*Job)
	}{
		"plain.fio": {EngineURing, func(*Job) {}},
		"rate.fio":  {EngineLibaio, func(j *Job) { j.Threads, j.RateIOPS, j.CPUs = 4, 1003, "0-1" }},
		"psync.fio": {EnginePsync, func(j *Job) { j.Pattern, j.ReadPct, j.Buffered = RandRW, 92, true }},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("testdata/process", name))
			require.NoError(t, err)
			j := goodJob()
			row.edit(&j)
			got, err := j.File(Fio{Engine: row.engine}, "/srv/a b/t:1.dat", 1<<30+5)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
		})
	}
}

func TestJobFileShares(t *testing.T) {
	for _, row := range []struct {
		why            string
		engine         Engine
		depth, threads int
		rate           float64
		want           []part
	}{
		{"one thread holds all", EngineURing, 32, 1, 0, []part{{1, 32, 0}}},
		{"threads share the depth", EngineURing, 32, 4, 0, []part{{4, 8, 0}}},
		{"and the rate", EngineLibaio, 32, 4, 1000, []part{{4, 8, 250}}},
		{"whose remainder some carry", EngineURing, 32, 4, 1003, []part{{3, 8, 251}, {1, 8, 250}}},
		{"without a queue depth is threads", EnginePsync, 32, 4, 0, []part{{32, 1, 0}}},
		{"a rate of 0 would be none", EngineURing, 32, 32, 20, []part{{20, 1, 1}}},
		{"no thread rests for long", EnginePsync, 32, 1, 105, []part{{5, 1, 21}}},
		{"one there must be", EnginePsync, 32, 1, 5, []part{{1, 1, 5}}},
		{"rates are whole", EngineURing, 1, 1, 1.6, []part{{1, 1, 2}}},
	} {
		j := Job{Depth: row.depth, Threads: row.threads, RateIOPS: row.rate}
		require.Equal(t, row.want, j.parts(row.engine), row.why)
	}
}

func TestJobFileRefuses(t *testing.T) {
	for _, row := range []struct {
		why, path string
		err       error
	}{
		{"relative", "t/f", ErrName},
		{"dots", "/t/../f", ErrName},
		{"a new line is a new option", "/t/f\nrw=write", ErrName},
		{"fio begins a comment there", "/t/f#1", ErrName},
		{"and there", "/t/f;1", ErrName},
		{"a variable", "/t/${HOME}", ErrName},
		{"an escape", `/t/f\`, ErrName},
		{"a blank that fio cuts", "/t/f ", ErrName},
		{"no path of Linux", "/" + strings.Repeat("d/", 3000) + "f", ErrName},
		{"blanks inside are fine", "/t/a b", nil},
	} {
		_, err := goodJob().File(Fio{Engine: EngineURing}, row.path, 1<<30)
		require.ErrorIs(t, err, row.err, row.why)
	}
	_, err := goodJob().File(Fio{}, "/t/f", 1<<30)
	require.ErrorIs(t, err, ErrNoEngine, "nobody looked for one")
	_, err = goodJob().File(Fio{Engine: EngineURing}, "/t/f", 512)
	require.ErrorIs(t, err, ErrJob, "less than a block")
}

func TestRateOfAMix(t *testing.T) {
	for _, row := range []struct {
		why       string
		pct, rate int
		want      string
	}{
		{"each direction has its own", 92, 1000, "920,80"},
		{"neither may be 0, which is no bound", 99, 10, "10,1"},
		{"nor the other", 1, 10, "1,9"},
	} {
		require.Equal(t, row.want, Job{Pattern: RandRW, ReadPct: row.pct}.rateOf(row.rate), row.why)
	}
}

func TestSeedsOfFio(t *testing.T) {
	require.Equal(t, uint64(7), seedOf(7))
	require.Equal(t, uint64(math.MaxInt64), seedOf(math.MaxUint64), "fio takes 63 bits")
	require.NotZero(t, seedOf(0), "0 gives all threads the same offsets")
	require.NotZero(t, seedOf(1<<63))
}

func FuzzJobFile(f *testing.F) {
	f.Add("load", "/t/f", "0-3", 1000.0)
	f.Add("a\nb", "/t/f\nrw=write", "0\n", 0.0)
	f.Fuzz(func(t *testing.T, name, path, cpus string, rate float64) {
		j := goodJob()
		j.Name, j.CPUs, j.RateIOPS = name, cpus, rate
		text, err := j.File(Fio{Engine: EngineURing}, path, 1<<30)
		if err != nil {
			return
		}
		j.Name, j.CPUs = "load", ""
		plain, err := j.File(Fio{Engine: EngineURing}, "/t/f", 1<<30)
		require.NoError(t, err)
		added := 0
		if cpus != "" {
			added = 1
		}
		require.Equal(t, strings.Count(string(plain), "\n")+added, strings.Count(string(text), "\n"), "nobody but us writes lines")
	})
}
