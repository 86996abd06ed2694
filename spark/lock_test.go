package spark

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := AcquireLock(path)
	require.NoError(t, err)

	_, err = AcquireLock(path)
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, fmt.Sprintf("process %d", os.Getpid()))
	require.ErrorContains(t, err, path)

	require.NoError(t, l.Release())
	require.NoError(t, l.Release(), "twice is no fault")
	l, err = AcquireLock(path)
	require.NoError(t, err, "free again")
	require.NoError(t, l.Release())
	require.NoError(t, (*Lock)(nil).Release())
}

func TestLockSurvivesForeignContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := AcquireLock(path)
	require.NoError(t, err)
	defer l.Release()
	require.NoError(t, os.WriteFile(path, []byte("{garbage"), 0o644))
	_, err = AcquireLock(path)
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, "did not say who it is")
}

func TestLockNeedsAPlace(t *testing.T) {
	_, err := AcquireLock(filepath.Join(t.TempDir(), "missing", "lock"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "choose a place")
}

func TestChildrenDoNotHoldTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := AcquireLock(path)
	require.NoError(t, err)
	p, err := StartEmulator(t.Context(), small(t))
	require.NoError(t, err)
	defer p.Stop()
	require.NoError(t, l.Release())
	l, err = AcquireLock(path)
	require.NoError(t, err, "the emulator runs on, the lock is free")
	require.NoError(t, l.Release())
}
