//go:build fio

package adapters

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A disk that is really full: a tmpfs of 40 MB, and the check of free space
// deceived, as another program that writes at the same time would deceive it.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("adapters-test", dir, "tmpfs", 0, "size=40m"); err != nil {
		t.Skipf("SKIPPED: a file system cannot be mounted here: %v (run in a container with --privileged)", err)
	}
	defer func() { require.NoError(t, unix.Unmount(dir, 0)) }()
	_, err := Make(t.Context(), dir, several(), 20, nil)
	require.ErrorIs(t, err, ErrNoSpace)
	require.Empty(t, names(t, dir))

	m := maker{write: (*os.File).WriteAt, space: func(int) (int64, int64, error) { return 1 << 40, 1 << 40, nil }}
	_, err = m.run(t.Context(), dir, several(), 20)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorContains(t, err, "free some space")
	list, err := List(dir)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	require.Len(t, names(t, dir), len(list), "whole adapters and nothing else")
	for _, name := range names(t, dir) {
		require.False(t, strings.HasPrefix(name, "."))
	}
}
