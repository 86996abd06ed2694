package emulator

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/spark/adapters"
)

func TestAdapterFileChanges(t *testing.T) {
	write := func(path string, text []byte) error { return os.WriteFile(path, text, 0o600) }
	rows := []struct {
		why    string
		change func(path string, text []byte) error
		says   string // "" = served, with another checksum
		is     error
	}{
		{"removed", func(p string, _ []byte) error { return os.Remove(p) }, "no such file", errAdapterChanged},
		{"truncated", func(p string, b []byte) error { return os.Truncate(p, int64(len(b)/2)) }, "when it was registered", errAdapterChanged},
		{"grown", func(p string, b []byte) error { return write(p, append(b, 1)) }, "when it was registered", errAdapterChanged},
		{"another file of its size", func(p string, b []byte) error { return write(p, make([]byte, len(b))) }, "no safetensors file", errAdapterChanged},
		{"a directory", func(p string, _ []byte) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, "no regular file", errAdapterChanged},
		{"a FIFO, which nobody writes", func(p string, _ []byte) error { return errors.Join(os.Remove(p), unix.Mkfifo(p, 0o600)) }, "no regular file", errAdapterChanged},
		{"new weights of its size", func(p string, b []byte) error { b[len(b)-1] ^= 1; return write(p, b) }, "", nil},
	}
	for _, mapped := range []bool{false, true} {
		for _, r := range rows {
			t.Run(fmt.Sprintf("%s,mmap=%v", r.why, mapped), func(t *testing.T) {
				dir, list := makeAdapters(t, 2)
				cfg := adapterConfig(dir, 1)
				cfg.AdapterMmap = mapped
				h := newHost(t, cfg, list)
				first := h.must(t, 0)
				h.must(t, 1) // evicts it
				text, err := os.ReadFile(list[0].File)
				require.NoError(t, err)
				require.NoError(t, r.change(list[0].File, text))
				q, err := h.ask(t, 0)
				if r.is == nil {
					require.NoError(t, err)
					require.NotEqual(t, first.adapterSum, q.adapterSum)
					require.Equal(t, crcOf(t, list[0].File), q.adapterSum)
					return
				}
				require.ErrorIs(t, err, r.is)
				require.ErrorContains(t, err, r.says)
				require.ErrorContains(t, err, list[0].Name)
				require.Zero(t, q.adapterSum)
				h.must(t, 1) // the others are served
				require.Positive(t, h.settled(t).AdapterErrors)
			})
		}
	}
}

// readOne reads an adapter whose file is tampered with once it is open.
func readOne(t *testing.T, a adapters.Adapter, mapped bool, tamper func(*os.File)) error {
	t.Helper()
	f := adapterFile{
		lora: &lora{name: a.Name, file: a.File, bytes: a.Bytes}, mapped: mapped, stop: func() error { return nil },
		table: crc32.MakeTable(crc32.Castagnoli), buf: make([]byte, a.Bytes), opened: tamper,
	}
	_, err := f.read()
	return err
}

func TestAdapterFileChangesUnderTheReader(t *testing.T) {
	for _, mapped := range []bool{false, true} {
		_, list := makeAdapters(t, 1)
		a := list[0]
		require.NoError(t, readOne(t, a, mapped, nil))
		err := readOne(t, a, mapped, func(*os.File) {
			f, err := os.OpenFile(a.File, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteAt([]byte{1}, a.Bytes/2)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		})
		require.ErrorIs(t, err, errAdapterChanged, "half old and half new weights are neither")
		require.ErrorContains(t, err, "written while it was read")
		err = readOne(t, a, mapped, func(*os.File) { require.NoError(t, os.Truncate(a.File, a.Bytes/2)) })
		require.ErrorIs(t, err, errAdapterChanged)
	}
}

// A file cut between the system call that faults its pages in and the copy
// raises SIGBUS; it must not end the process.
func TestFaultInMappingIsAnError(t *testing.T) {
	_, list := makeAdapters(t, 1)
	a := list[0]
	f := adapterFile{lora: &lora{name: a.Name, file: a.File, bytes: a.Bytes}}
	fd, err := unix.Open(a.File, unix.O_RDONLY, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	src, err := unix.Mmap(fd, 0, int(a.Bytes), unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(src)) }()
	require.NoError(t, os.Truncate(a.File, 4096))
	err = f.copyPiece(fd, make([]byte, 8192), src[8192:16384], 8192)
	require.ErrorIs(t, err, errAdapterChanged)
}

// BenchmarkAdapterLoad reads an adapter that the page cache holds, against the
// plainest way to read a file.
func BenchmarkAdapterLoad(b *testing.B) {
	dir := b.TempDir()
	list, err := adapters.Make(b.Context(), dir, adapters.Spec{Model: "L8B", Rank: 16, Seed: 3}, 1, nil)
	require.NoError(b, err)
	a := list[0]
	buf := aligned(int(a.Bytes))
	for _, mapped := range []bool{false, true} {
		b.Run(fmt.Sprintf("mmap=%v", mapped), func(b *testing.B) {
			f := adapterFile{
				lora: &lora{name: a.Name, file: a.File, bytes: a.Bytes}, mapped: mapped, stop: func() error { return nil },
				table: crc32.MakeTable(crc32.Castagnoli), buf: buf,
			}
			b.SetBytes(a.Bytes)
			for b.Loop() {
				_, err := f.read()
				require.NoError(b, err)
			}
		})
	}
	b.Run("ReadFull", func(b *testing.B) {
		b.SetBytes(a.Bytes)
		for b.Loop() {
			plain(b, a, buf)
		}
	})
}

func plain(b *testing.B, a adapters.Adapter, buf []byte) {
	f, err := os.Open(a.File)
	require.NoError(b, err)
	_, err = io.ReadFull(f, buf[:a.Bytes])
	require.NoError(b, err)
	require.NoError(b, f.Close())
}
