package adapters

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// tiny is the least that can be made: 0.86 MB.
func tiny() Spec { return Spec{Model: "L8B", Rank: 1} }

// several has more than one chunk an adapter: 5.3 MB.
func several() Spec { return Spec{Model: "L8B", Rank: 1, Modules: []string{allLinear}} }

func TestMake(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "lora")
	s := Spec{Model: "L8B", Rank: 2, Modules: []string{"v_proj", "q_proj"}, DType: "F16", Seed: 5}
	size, err := s.Bytes()
	require.NoError(t, err)
	var last, total int64
	list, err := Make(t.Context(), dir, s, 6, func(done, all int64) {
		require.Greater(t, done, last)
		last, total = done, all
	})
	require.NoError(t, err)
	require.Equal(t, 6*size, total)
	require.Equal(t, total, last)
	require.Equal(t, []string{"lora-0001", "lora-0002", "lora-0003", "lora-0004", "lora-0005", "lora-0006"}, names(t, dir))
	require.Equal(t, Adapter{
		Name: "lora-0002", Dir: filepath.Join(dir, "lora-0002"), File: filepath.Join(dir, "lora-0002", weightsFile), Bytes: size,
		Base: "meta-llama/Llama-3.1-8B-Instruct", Rank: 2, Modules: []string{"q_proj", "v_proj"}, Tensors: 128,
	}, list[1])
	listed, err := List(dir)
	require.NoError(t, err)
	require.Equal(t, list, listed)
	info, err := os.Stat(list[0].File)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode(), "a server may run as another user")
	require.Equal(t, []string{configFile, weightsFile}, names(t, list[0].Dir))

	again, err := Make(t.Context(), dir, s, 6, func(_, _ int64) { t.Error("there is nothing to write") })
	require.NoError(t, err)
	require.Equal(t, list, again)
	few, err := Make(t.Context(), dir, s, 2, nil)
	require.NoError(t, err)
	require.Equal(t, list[:2], few)
	require.NoError(t, os.RemoveAll(list[3].Dir))
	more, err := Make(t.Context(), dir, s, 7, func(_, all int64) { require.Equal(t, 2*size, all, "those that are missing") })
	require.NoError(t, err)
	require.Equal(t, list, more[:6])
}

// The bytes on disk are those that the spec and the number ask for, from the
// first to the last, in files of one chunk, of several, and of a broken one.
func TestFilesHoldWhatTheyShould(t *testing.T) {
	for _, s := range []Spec{tiny(), several(), {Model: "L70B", Rank: 1, DType: "F32", Seed: 1<<64 - 1}} {
		p, err := s.plan()
		require.NoError(t, err)
		list, err := Make(t.Context(), t.TempDir(), s, 2, nil)
		require.NoError(t, err)
		for i, a := range list {
			want := make([]byte, (p.fileBytes()+7)/8*8)
			p.stream(i+1).fill(want, 0)
			copy(want, p.head(i+1))
			got, err := os.ReadFile(a.File)
			require.NoError(t, err)
			require.True(t, string(got) == string(want[:p.fileBytes()]), "%+v, adapter %d", s, i+1)
			cfg, err := os.ReadFile(filepath.Join(a.Dir, configFile))
			require.NoError(t, err)
			require.Equal(t, string(p.config), string(cfg))
		}
	}
}

func TestMakeOverwritesNothing(t *testing.T) {
	for _, c := range []struct {
		why    string
		before func(t *testing.T, dir string)
		want   error
	}{
		{"of another rank", func(t *testing.T, dir string) { made(t, dir, Spec{Model: "L8B", Rank: 2}) }, ErrExists},
		{"of another seed, the same in size", func(t *testing.T, dir string) { made(t, dir, Spec{Model: "L8B", Rank: 1, Seed: 1}) }, ErrExists},
		{"of another type, the same in size", func(t *testing.T, dir string) { made(t, dir, Spec{Model: "L8B", Rank: 1, DType: "F16"}) }, ErrExists},
		{"cut short", func(t *testing.T, dir string) {
			made(t, dir, tiny())
			require.NoError(t, os.Truncate(filepath.Join(dir, "lora-0002", weightsFile), 1000))
		}, ErrCorrupt},
		{"a config that somebody changed", func(t *testing.T, dir string) {
			made(t, dir, tiny())
			require.NoError(t, os.WriteFile(filepath.Join(dir, "lora-0002", configFile), []byte(`{"peft_type":"LORA","r":1,"target_modules":["q_proj","v_proj"]}`), 0o644))
		}, ErrExists},
		{"a file", func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "lora-0002"), []byte("mine"), 0o644))
		}, ErrExists},
		{"an empty directory", func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "lora-0002"), 0o755))
		}, ErrExists},
		{"a link to nothing", func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink("gone", filepath.Join(dir, "lora-0002")))
		}, ErrExists},
		{"a link out of the directory", func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink(t.TempDir(), filepath.Join(dir, "lora-0002")))
		}, ErrExists},
		{"something of a user's under the hidden name", func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, partialName(1)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, partialName(1), "thesis.tex"), nil, 0o644))
		}, ErrExists},
		{"a link under the hidden name", func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink(put(t, t.TempDir(), smallConfig, smallHeader, 0), filepath.Join(dir, partialName(1))))
		}, ErrExists},
	} {
		dir := t.TempDir()
		c.before(t, dir)
		before := tree(t, dir)
		_, err := Make(t.Context(), dir, tiny(), 3, nil)
		require.ErrorIs(t, err, ErrExists, c.why)
		require.ErrorIs(t, err, c.want, c.why)
		require.ErrorContains(t, err, dir, c.why)
		require.Regexp(t, `remove it|move it away`, err.Error(), "%s: there is a remedy", c.why)
		require.Equal(t, before, tree(t, dir), c.why)
	}
}

// made has adapter 2 of a spec alone.
func made(t *testing.T, dir string, s Spec) {
	t.Helper()
	_, err := Make(t.Context(), dir, s, 2, nil)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "lora-0001")))
}

// tree is every path below dir with its size.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		size := info.Size()
		if info.IsDir() {
			size = 0
		}
		all = append(all, fmt.Sprint(path, " ", info.Mode(), " ", size))
		return nil
	}))
	return all
}

func TestLeftoversOfAKilledMakeAreRemoved(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, partialName(1)), smallConfig, smallHeader, 0)
	require.NoError(t, os.Mkdir(filepath.Join(dir, partialName(77)), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".lora-1.partial"), 0o755)) // no name of ours
	_, err := Make(t.Context(), dir, tiny(), 1, nil)
	require.NoError(t, err)
	require.Equal(t, []string{".lora-1.partial", "lora-0001"}, names(t, dir))
}

func TestInterruptedMakeLeavesWholeAdaptersOnly(t *testing.T) {
	full := errors.New("enough")
	for _, at := range []int64{1, 5 << 20, 16 << 20} {
		dir := t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := Make(ctx, dir, several(), 6, func(done, _ int64) {
			if done >= at {
				cancel(full)
			}
		})
		require.ErrorIs(t, err, full)
		list, err := List(dir)
		require.NoError(t, err)
		require.Len(t, names(t, dir), len(list), "no other files")
		require.Less(t, len(list), 6)
		list, err = Make(t.Context(), dir, several(), 6, nil)
		require.NoError(t, err, "and the rest can be made")
		require.Len(t, list, 6)
		cancel(nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(t.TempDir(), "new")
	_, err := Make(ctx, dir, tiny(), 1, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NoDirExists(t, dir)
}

// failing is a maker whose disk fails after so many writes.
func failing(after int, err error) *maker {
	var mu sync.Mutex
	return &maker{space: space, write: func(f *os.File, b []byte, off int64) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if after--; after < 0 {
			return 0, err
		}
		return f.WriteAt(b, off)
	}}
}

func TestFailingDisk(t *testing.T) {
	faults := []error{unix.ENOSPC, unix.EIO, unix.EDQUOT}
	for after := range 12 { // an adapter is three writes
		dir, fault := t.TempDir(), faults[after%len(faults)]
		_, err := failing(after, fault).run(t.Context(), dir, several(), 5)
		require.ErrorIs(t, err, fault)
		require.ErrorContains(t, err, dir)
		list, err := List(dir)
		require.NoError(t, err)
		require.Len(t, names(t, dir), len(list), "whole adapters and nothing else")
		require.LessOrEqual(t, len(list), after/3)
	}
}

// Where direct writes are refused, adapters are the same.
func TestFileSystemWithoutDirectWrites(t *testing.T) {
	m := maker{space: space, write: func(f *os.File, b []byte, off int64) (int, error) {
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
		if err == nil && flags&unix.O_DIRECT != 0 {
			err = unix.EINVAL
		}
		if err != nil {
			return 0, err
		}
		return f.WriteAt(b, off)
	}}
	dir := t.TempDir()
	_, err := m.run(t.Context(), dir, several(), 3)
	require.NoError(t, err)
	_, err = Make(t.Context(), dir, several(), 3, func(_, _ int64) { t.Error("they are there") })
	require.NoError(t, err)
}

func TestSpaceIsAskedForFirst(t *testing.T) {
	need, err := tiny().Bytes()
	require.NoError(t, err)
	need = 3 * (roundUp(need) + 4*blockBytes)
	for _, c := range []struct {
		why       string
		free, all int64
		fails     bool
	}{
		{"plenty", 1 << 40, 1 << 41, false},
		{"a gigabyte stays", need + reserveBytes, 1 << 41, false},
		{"a byte less than that", need + reserveBytes - 1, 1 << 41, true},
		{"of a small one, a twentieth", need + 5<<20, 100 << 20, false},
		{"less", need + 5<<20 - 1, 100 << 20, true},
		{"none", 0, 1 << 41, true},
	} {
		dir := t.TempDir()
		m := maker{write: (*os.File).WriteAt, space: func(int) (int64, int64, error) { return c.free, c.all, nil }}
		_, err := m.run(t.Context(), dir, tiny(), 3)
		if !c.fails {
			require.NoError(t, err, c.why)
			continue
		}
		require.ErrorIs(t, err, ErrNoSpace, c.why)
		require.ErrorContains(t, err, "fewer or smaller", c.why)
		require.Empty(t, names(t, dir), c.why)
	}
}

func TestTwoAtATime(t *testing.T) {
	dir := t.TempDir()
	var other error
	var once sync.Once
	_, err := Make(t.Context(), dir, tiny(), 2, func(_, _ int64) {
		once.Do(func() { _, other = Make(t.Context(), dir, tiny(), 2, nil) })
	})
	require.NoError(t, err)
	require.ErrorIs(t, other, ErrBusy)
	require.Len(t, names(t, dir), 2)
}

func TestBadCallsWriteNothing(t *testing.T) {
	parent := t.TempDir()
	file := filepath.Join(parent, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	for _, c := range []struct {
		why   string
		dir   string
		spec  Spec
		count int
		want  string
	}{
		{"none", "new", tiny(), 0, "1 to 9999"},
		{"fewer than none", "new", tiny(), -1, "1 to 9999"},
		{"more than four digits", "new", tiny(), 10000, "1 to 9999"},
		{"a bad spec", "new", Spec{}, 1, "L8B or L70B"},
		{"a file", "file", tiny(), 1, "not a directory"},
		{"below a file", "file/lora", tiny(), 1, "not a directory"},
	} {
		_, err := Make(t.Context(), filepath.Join(parent, c.dir), c.spec, c.count, nil)
		require.ErrorContains(t, err, c.want, c.why)
		require.Equal(t, []string{"file"}, names(t, parent), c.why)
	}
}

func BenchmarkMake(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		list, err := Make(b.Context(), dir, Spec{Model: "L8B", Rank: 16}, 64, nil)
		require.NoError(b, err)
		b.SetBytes(64 * list[0].Bytes)
		b.StopTimer()
		require.NoError(b, os.RemoveAll(dir))
		b.StartTimer()
	}
}
