package fioctl

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// Whatever is read: no panic; the same again, and byte by byte; every result is
// sound and can be recorded.
func FuzzParseOutput(f *testing.F) {
	files, err := os.ReadDir("testdata/fio")
	require.NoError(f, err)
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join("testdata", "fio", file.Name()))
		require.NoError(f, err)
		if len(b) < 7_000 {
			f.Add(b)
		}
	}
	for _, s := range []string{"", "{", "fio: note\n" + good + good, good[:70] + "\n{\n " + good[1:], `{"jobs":[{"read":{"clat_ns":{"N":3,"bins":{"7":2,"5":1}}}}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, errs := parseAll(b)
		require.NotZero(t, len(all)+len(errs), "a stream says something")
		again, _ := parseAll(b)
		require.Equal(t, all, again)
		var slow []Result
		for r, err := range ParseOutput(iotest.OneByteReader(bytes.NewReader(b))) {
			if err == nil {
				slow = append(slow, r)
			}
		}
		require.Equal(t, all, slow)
		for _, r := range all {
			sound(t, r)
		}
	})
}

func sound(t *testing.T, r Result) {
	t.Helper()
	_, err := json.Marshal(r)
	require.NoError(t, err)
	for _, d := range []Direction{r.Read, r.Write} {
		require.True(t, d.Bytes >= 0 && d.IOs >= 0 && d.Runtime >= 0 && d.IOPS() >= 0 && d.BytesPerSec() >= 0)
		for _, l := range []Latency{d.Slat, d.Clat, d.Lat} {
			require.True(t, l.N >= 0 && l.Min >= 0 && l.Max >= 0 && l.Mean >= 0 && l.Stddev >= 0)
			for i := 1; i < len(l.Bins); i++ {
				require.Less(t, l.Bins[i-1].Value, l.Bins[i].Value)
			}
			if v, ok := l.Quantile(0.99); ok {
				require.GreaterOrEqual(t, int64(v), int64(0))
			}
			_, _ = l.Hist()
		}
	}
}
