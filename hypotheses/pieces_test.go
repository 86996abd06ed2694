package hypotheses

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLiveLineStaysOnOneLine(t *testing.T) {
	var b strings.Builder
	l := LiveLine{W: &b, Width: 10}
	l.Show("evil\nmodel\x1b[2J name that is long")
	out := strings.TrimSuffix(strings.TrimPrefix(b.String(), "\r"), "\x1b[K")
	require.Equal(t, "evil mode", out, "cut to the width, control characters gone")
	LiveLine{}.Show("nothing") // no terminal: no panic
}

func TestCalibrationFile(t *testing.T) {
	dir := t.TempDir()
	c, err := LoadCalibration(dir)
	require.NoError(t, err, "a missing file is an empty one")
	c.Put(Handover{Platform: "p", Server: "s", Model: "8B", UWorkUsers: 9, UWorkRun: "H0/a", Updated: time.Unix(1, 0).UTC()})
	c.Put(Handover{Platform: "p", Server: "s", Model: "8B", CkTokens: 2048, CkRun: "H2/b", Updated: time.Unix(2, 0).UTC()})
	require.NoError(t, c.Save(dir))

	c, err = LoadCalibration(dir)
	require.NoError(t, err)
	work := func(h Handover) bool { return h.UWorkUsers > 0 }
	h, exact, ok := c.Find("p", "s", "8B", work)
	require.True(t, ok && exact)
	require.Equal(t, 9, h.UWorkUsers, "a later hypothesis does not erase an earlier one's value")
	require.Equal(t, 2048, h.CkTokens)
	_, exact, ok = c.Find("p", "s", "70B", work)
	require.True(t, ok && !exact, "another model of the same server lends its value, and that is said")
	_, _, ok = c.Find("other", "s", "8B", work)
	require.False(t, ok, "another machine lends nothing")

	path := filepath.Join(dir, "calibration.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"schema":99}`), 0o644))
	_, err = LoadCalibration(dir)
	require.ErrorContains(t, err, "schema 99")
	require.NoError(t, os.WriteFile(path, []byte(`{`), 0o644))
	_, err = LoadCalibration(dir)
	require.ErrorContains(t, err, "remove it")
}

func TestShuffleKeepsBlocksAndIsSeeded(t *testing.T) {
	blocks := func() [][]Arm {
		var bs [][]Arm
		for b := range 3 {
			var block []Arm
			for u := range 10 {
				block = append(block, Arm{Name: "u", Block: b, Users: u})
			}
			bs = append(bs, block)
		}
		return bs
	}
	a, b, c := shuffle(blocks(), 1), shuffle(blocks(), 1), shuffle(blocks(), 2)
	require.Equal(t, a, b, "same seed, same order")
	require.NotEqual(t, a, c)
	for i, arm := range a {
		require.Equal(t, i/10, arm.Block, "blocks follow one another, so drift is within them")
	}
	orders := map[string]bool{}
	for block := range 3 {
		var order strings.Builder
		for _, arm := range a[block*10 : block*10+10] {
			order.WriteByte(byte('0' + arm.Users))
		}
		orders[order.String()] = true
	}
	require.Len(t, orders, 3, "each block has an order of its own")
}

func TestPilotCycle(t *testing.T) {
	p := Pilot{Alone: PilotLevel{CycleMean: 80 * time.Millisecond}, Saturated: PilotLevel{Users: 256, RequestsPerSec: 200}}
	require.Equal(t, 80*time.Millisecond, p.Cycle(1), "below saturation a request takes as long as alone")
	require.Equal(t, 1280*time.Millisecond, p.Cycle(256), "above it users queue for the server's rate")
}

func TestDesignDurationsForPeople(t *testing.T) {
	require.Equal(t, "0.3s", brief(300*time.Millisecond))
	require.Equal(t, "12s", brief(12*time.Second))
	require.Equal(t, "4m10s", brief(250*time.Second))
}
