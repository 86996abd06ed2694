package adapters

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestCheck(t *testing.T) {
	dir := put(t, filepath.Join(t.TempDir(), "mine"), smallConfig, smallHeader, smallData)
	want := Adapter{
		Name: "mine", Dir: dir, File: filepath.Join(dir, weightsFile), Bytes: int64(8 + len(smallHeader) + smallData),
		Base: "tiny", Rank: 2, Modules: []string{"q_proj"}, Tensors: 2,
	}
	got, err := Check(dir)
	require.NoError(t, err)
	require.Equal(t, want, got)

	t.Chdir(filepath.Dir(dir))
	got, err = Check("mine/")
	require.NoError(t, err)
	require.Equal(t, want, got, "paths are absolute: a server may be elsewhere")
}

func TestCheckRefuses(t *testing.T) {
	type files map[string]func(path string) error
	write := func(s string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(s), 0o644) }
	}
	link := func(to string) func(string) error { return func(path string) error { return os.Symlink(to, path) } }
	head := func(n uint64, rest string) string { return string(binary.LittleEndian.AppendUint64(nil, n)) + rest }
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(smallConfig), 0o644))
	for _, c := range []struct {
		why   string
		files files // beside those of a whole adapter; nil takes one away
		want  error
		text  string
	}{
		{"no config", files{configFile: nil}, ErrNotAdapter, "save_pretrained"},
		{"no weights", files{weightsFile: nil}, ErrNotAdapter, "no adapter_model.safetensors"},
		{"a pickle alone", files{weightsFile: nil, "adapter_model.bin": write("x")}, ErrNotAdapter, "safe_serialization=True"},
		{"of another kind", files{configFile: write(`{"peft_type":"IA3"}`)}, ErrNotAdapter, "IA3"},
		{"a config that is no JSON", files{configFile: write(`{`)}, ErrCorrupt, configFile},
		{"a config without end", files{configFile: func(p string) error { return os.Truncate(p, maxConfig+1) }}, ErrCorrupt, "longer than"},
		{"a config that is a directory", files{configFile: func(p string) error { return os.Mkdir(p, 0o755) }}, ErrNotAdapter, "no regular file"},
		{"a config that is a FIFO", files{configFile: func(p string) error { return unix.Mkfifo(p, 0o644) }}, ErrNotAdapter, "no regular file"},
		{"empty weights", files{weightsFile: write("")}, ErrCorrupt, "too few"},
		{"weights shorter than a length", files{weightsFile: write("1234567")}, ErrCorrupt, "too few"},
		{"a header longer than the file", files{weightsFile: write(head(100, smallHeader[:20]))}, ErrCorrupt, "claims 100 bytes"},
		{"one of 2^63 bytes", files{weightsFile: write(head(1<<63, smallHeader))}, ErrCorrupt, "claims"},
		{"one of 2^64-1 bytes, which plus 8 is 7", files{weightsFile: write(head(1<<64-1, smallHeader))}, ErrCorrupt, "claims"},
		{"one of 200 MB in a file that has them", files{weightsFile: func(p string) error {
			return errJoin(os.WriteFile(p, []byte(head(200_000_000, "{")), 0o644), os.Truncate(p, 300_000_000))
		}}, ErrCorrupt, "at most 100000000"},
		{"no header at all", files{weightsFile: write(head(0, "xx"))}, ErrCorrupt, "no JSON object"},
		{"weights cut short", files{weightsFile: write(head(uint64(len(smallHeader)), smallHeader+"12345"))}, ErrCorrupt, "q_proj.lora_A"},
		{"a link to a file elsewhere", files{configFile: link(secret)}, ErrOutside, "cp -rL"},
		{"as in the hub's cache", files{weightsFile: link("../../blobs/1234")}, ErrOutside, "cp -rL"},
		{"a link to nothing", files{configFile: link("gone")}, ErrNotAdapter, "to nothing"},
		{"a link to itself", files{configFile: link(configFile)}, ErrOutside, ""},
		{"a link within", files{"w": write(head(uint64(len(smallHeader)), smallHeader+string(make([]byte, smallData)))), weightsFile: link("w")}, nil, ""},
	} {
		dir := put(t, filepath.Join(t.TempDir(), "a"), smallConfig, smallHeader, smallData)
		for name, make := range c.files {
			path := filepath.Join(dir, name)
			if _, err := os.Lstat(path); err == nil && c.why != "a config without end" {
				require.NoError(t, os.Remove(path))
			}
			if make != nil {
				require.NoError(t, make(path), c.why)
			}
		}
		got, err := Check(dir)
		if c.want == nil {
			require.NoError(t, err, c.why)
			continue
		}
		require.ErrorIs(t, err, c.want, c.why)
		require.ErrorContains(t, err, c.text, c.why)
		require.ErrorContains(t, err, dir, c.why)
		require.Zero(t, got, c.why)
	}
	_, err := Check(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Check(secret)
	require.ErrorContains(t, err, "not a directory")
}

func errJoin(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Every file that is cut anywhere, or has one byte more, is damaged.
func TestEveryCutIsSeen(t *testing.T) {
	dir := put(t, filepath.Join(t.TempDir(), "a"), smallConfig, smallHeader, smallData)
	path := filepath.Join(dir, weightsFile)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for n := range whole {
		require.NoError(t, os.WriteFile(path, whole[:n], 0o644))
		_, err := Check(dir)
		require.ErrorIs(t, err, ErrCorrupt, n)
	}
	require.NoError(t, os.WriteFile(path, append(whole, 0), 0o644))
	_, err = Check(dir)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "1 bytes follow")
}

func TestList(t *testing.T) {
	dir, away := t.TempDir(), t.TempDir()
	for _, name := range []string{"b", "a10", "a2", "B", ".hidden"} {
		put(t, filepath.Join(dir, name), smallConfig, smallHeader, smallData)
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "lost+found"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), nil, 0o644))
	require.NoError(t, os.Symlink("b", filepath.Join(dir, "latest")))
	require.NoError(t, os.Symlink("gone", filepath.Join(dir, "dangling")))
	order := func(list []Adapter) (names []string) {
		for _, a := range list {
			names = append(names, a.Name)
		}
		return names
	}
	list, err := List(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"B", "a10", "a2", "b"}, order(list), "of bytes, as ls has it in the C locale")
	require.Equal(t, filepath.Join(dir, "B"), list[0].Dir)

	put(t, filepath.Join(dir, "cut"), smallConfig, smallHeader, smallData-1)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "half"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "half", configFile), []byte(smallConfig), 0o644))
	require.NoError(t, os.Symlink(away, filepath.Join(dir, "elsewhere")))
	list, err = List(dir)
	require.Equal(t, []string{"B", "a10", "a2", "b"}, order(list))
	for _, want := range []error{ErrCorrupt, ErrNotAdapter, ErrOutside} {
		require.ErrorIs(t, err, want)
	}
	for _, name := range []string{"cut", "half", "elsewhere"} {
		require.ErrorContains(t, err, filepath.Join(dir, name), "every fault is told")
	}

	list, err = List(away)
	require.NoError(t, err)
	require.Empty(t, list)
	_, err = List(filepath.Join(dir, "b"))
	require.ErrorContains(t, err, "the directory above it")
	_, err = List(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
