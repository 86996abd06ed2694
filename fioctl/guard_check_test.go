package fioctl

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{3}).Read(b)
	return b
}

func TestCheckTarget(t *testing.T) {
	const size = 2 << 20
	allocate := func(t *testing.T, path string) *os.File {
		f, err := os.Create(path)
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
		if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
			t.Skipf("SKIPPED: no fallocate here: %v", err)
		}
		return f
	}
	put := func(b []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, b, 0o600)) }
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T, path string)
		need int64
		is   error
	}{
		{"random bytes", put(noise(size)), size, nil},
		{"an odd length", put(noise(size + 1234)), size, nil},
		{"a link to it", func(t *testing.T, path string) {
			put(noise(size))(t, path+".real")
			require.NoError(t, os.Symlink(path+".real", path))
		}, size, nil},
		{"a byte short", put(noise(size - 1)), size, ErrTooSmall},
		{"empty", put(nil), 0, ErrTooSmall},
		{"sparse", func(t *testing.T, path string) {
			put(nil)(t, path)
			require.NoError(t, os.Truncate(path, size))
		}, size, ErrSparse},
		{"a hole in the middle", func(t *testing.T, path string) {
			f, err := os.Create(path)
			require.NoError(t, err)
			_, err = f.Write(noise(size / 2))
			require.NoError(t, err)
			_, err = f.WriteAt(noise(size/2), size/2+(64<<10))
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}, size, ErrSparse},
		{"allocated, never written", func(t *testing.T, path string) { allocate(t, path) }, size, ErrSparse},
		{"allocated, half written", func(t *testing.T, path string) {
			_, err := allocate(t, path).WriteAt(noise(size/2), 0)
			require.NoError(t, err)
		}, size, ErrSparse},
		{"allocated, and its zeros cached", func(t *testing.T, path string) {
			allocate(t, path)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Len(t, b, size)
		}, size, ErrSparse},
		{"zeros", put(make([]byte, size)), size, ErrCompressible},
		{"text", put(bytes.Repeat([]byte("all work and no play makes jack a dull boy\n"), size/40)), size, ErrCompressible},
		{"half text", put(append(noise(size/2), bytes.Repeat([]byte("abcdefg"), size/14+1)...)), size, ErrCompressible},
		{"six bits of eight", func(t *testing.T, path string) {
			b := noise(size)
			for i := range b {
				b[i] &= 0x3f
			}
			put(b)(t, path)
		}, size, ErrCompressible},
		{"a FIFO", func(t *testing.T, path string) { require.NoError(t, unix.Mkfifo(path, 0o600)) }, size, ErrNotRegular},
		{"a directory", func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) }, size, ErrNotRegular},
		{"nothing", func(*testing.T, string) {}, size, os.ErrNotExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := diskDir(t)
			path := filepath.Join(dir, "f")
			tt.make(t, path)
			before := snapshot(t, dir)
			tg, err := CheckTarget(path, tt.need)
			require.Equal(t, before, snapshot(t, dir), "it only reads")
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
				require.ErrorContains(t, err, "fioctl: ")
				require.Zero(t, tg)
				return
			}
			require.NoError(t, err)
			require.GreaterOrEqual(t, tg.SizeBytes, tt.need)
			require.NotEmpty(t, tg.Device.Name)
			require.Positive(t, tg.AlignBytes)
			require.ErrorIs(t, tg.Remove(), ErrForeign, "it is not ours to remove")
			require.FileExists(t, path)
		})
	}
}
