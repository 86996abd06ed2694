package fioctl

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSmoke(t *testing.T) {
	s := TargetSpec{Dir: t.TempDir(), Name: "t", SizeBytes: 64 << 20, Seed: 7, ReserveBytes: -1}
	tg, err := Prefill(t.Context(), s, func(d, n int64) { t.Log(d, n) })
	require.NoError(t, err)
	t.Logf("%+v", tg)
	tg, err = Prefill(t.Context(), s, nil)
	require.NoError(t, err)
	require.True(t, tg.Reused)
	_, err = CheckTarget(tg.Path, 1<<20)
	require.NoError(t, err)
	require.NoError(t, tg.Remove())
}
