package fioctl

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseVersion(t *testing.T) {
	for _, row := range []struct {
		said, want string
		ok         bool
	}{
		{"fio-3.28", "3.28", true},
		{"fio-3.33", "3.33", true},
		{"fio-3.40-12-gabc", "3.40-12-gabc", true},
		{"fio-3.40-12-gabc-dirty", "3.40-12-gabc-dirty", true},
		{"fio-4.0", "4.0", true},
		{"fio-3.27", "3.27", false},
		{"fio-2.99", "2.99", false},
		{"fio-3", "", false},
		{"fio-3.33 ", "", false},
		{"fio-99999.1", "", false},
		{"", "", false},
		{"bash: fio: command not found", "", false},
	} {
		got, ok := parseVersion(row.said)
		require.Equal(t, row.ok, ok, row.said)
		require.Equal(t, row.want, got, row.said)
	}
}

func TestFind(t *testing.T) {
	for _, row := range []struct {
		exe    string
		engine Engine
		why    string // not a better one
		err    error
		says   string
	}{
		{exe: "fio", engine: EngineURing},
		{exe: "fio-forbidden", engine: EngineLibaio, why: "io_uring: not permitted (seccomp or kernel.io_uring_disabled)"},
		{exe: "fio-small", engine: EnginePsync, why: "io_uring: this fio was built without it; libaio: this fio was built without it"},
		{exe: "fio-tmpfs", err: ErrNoEngine, says: "psync: the file system refuses direct I/O"},
		{exe: "fio-silent", err: ErrNoEngine, says: "psync: it read nothing"},
		{exe: "fio-old", err: ErrOldFio, says: `fio-old calls itself "fio-3.16": fio 3.28 or newer is needed (apt-get install fio)`},
		{exe: "fio-not", err: ErrOldFio, says: "Flexible something 7"},
		{exe: "fio-broken", err: ErrOldFio, says: "exit status 127"},
	} {
		t.Run(row.exe, func(t *testing.T) {
			t.Parallel()
			dir, exe := t.TempDir(), fake(t, row.exe)
			f, err := Find(t.Context(), exe, dir)
			requireNothingLeft(t, dir)
			if row.err != nil {
				require.ErrorIs(t, err, row.err)
				require.ErrorContains(t, err, row.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, Fio{Path: exe, Version: "3.40-12-gabc", Engine: row.engine, EngineWhy: row.why}, f)
		})
	}
}

func TestFindNothing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Find(t.Context(), "", t.TempDir())
	require.EqualError(t, err, "fioctl: find fio: executable not found (apt-get install fio)")
	require.ErrorIs(t, err, ErrNoFio)
	_, err = Find(t.Context(), "/nowhere/fio", t.TempDir())
	require.ErrorIs(t, err, ErrNoFio)
	_, err = Find(t.Context(), fake(t, "fio"), "/nowhere")
	require.ErrorIs(t, err, os.ErrNotExist)
	odd := filepath.Join(t.TempDir(), "a#b")
	require.NoError(t, os.Mkdir(odd, 0o755))
	_, err = Find(t.Context(), fake(t, "fio"), odd)
	require.NoError(t, err, "fio stands in the scratch and needs no path")
}

func TestFindIsCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := Find(ctx, fake(t, "fio-slow"), t.TempDir())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 2*time.Second)
}

func TestRefusals(t *testing.T) {
	for _, row := range []struct {
		engine Engine
		errno  int
		words  string
		err    error
		want   string
	}{
		{EngineURing, 1, "", nil, "not permitted (seccomp or kernel.io_uring_disabled)"},
		{EngineLibaio, 1, "", nil, "not permitted (seccomp)"},
		{EngineURing, 38, "", nil, "the kernel does not have it"},
		{EngineURing, 12, "", nil, "no memory to lock (ulimit -l)"},
		{EngineLibaio, 11, "", nil, "no free contexts (fs.aio-max-nr)"},
		{EngineLibaio, 5, "fio: odd", nil, "fio: odd"},
		{EngineLibaio, 0, "", context.DeadlineExceeded, "context deadline exceeded"},
	} {
		require.Equal(t, row.want, refusal(row.engine, row.errno, row.words, row.err))
	}
}
