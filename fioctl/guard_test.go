package fioctl

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/blockdev"
)

func TestTargetSpecValidate(t *testing.T) {
	good := TargetSpec{Dir: "d", Name: "n", SizeBytes: 1 << 20}
	require.NoError(t, good.Validate())
	for _, tt := range []struct {
		change func(*TargetSpec)
		says   string
	}{
		{func(s *TargetSpec) { s.Dir = "" }, "no directory"},
		{func(s *TargetSpec) { s.Name = "" }, `name ""`},
		{func(s *TargetSpec) { s.Name = "a\x00b" }, "without a NUL"},
		{func(s *TargetSpec) { s.Name = string(make([]byte, 201)) }, "1 to 200 bytes"},
		{func(s *TargetSpec) { s.Name = "x.partial" }, "files being written"},
		{func(s *TargetSpec) { s.SizeBytes = 0 }, "multiple of 1 MiB"},
		{func(s *TargetSpec) { s.SizeBytes = -1 << 20 }, "multiple of 1 MiB"},
		{func(s *TargetSpec) { s.SizeBytes = 1<<20 + 512 }, "multiple of 1 MiB"},
		{func(s *TargetSpec) { s.SizeBytes = 1<<50 + 1<<20 }, "1 PiB"},
		{func(s *TargetSpec) { s.ReserveBytes = -2 }, "-1 for none"},
	} {
		s := good
		tt.change(&s)
		require.ErrorContains(t, s.Validate(), tt.says)
	}
	for _, name := range []string{".", "..", "../x", "a/b", "/x", "x/"} {
		s := good
		s.Name = name
		require.ErrorIs(t, s.Validate(), ErrOutside, name)
	}
	require.ErrorContains(t, TargetSpec{}.Validate(), "no directory")
	require.ErrorContains(t, TargetSpec{}.Validate(), "multiple of 1 MiB", "everything wrong is said at once")
}

// TestGuardsTouchNothing: whatever is refused, the directory, what is in it and
// what its links lead to stay as they were.
func TestGuardsTouchNothing(t *testing.T) {
	write := func(t *testing.T, path string, n int) {
		require.NoError(t, os.WriteFile(path, make([]byte, n), 0o600))
	}
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir, outside string)
		spec    func(s *TargetSpec)
		is      []error
	}{
		{"somebody's file", func(t *testing.T, dir, _ string) { write(t, dir+"/target", 3<<20) }, nil, []error{ErrForeign}},
		{"somebody's empty file", func(t *testing.T, dir, _ string) { write(t, dir+"/target", 0) }, nil, []error{ErrForeign}},
		{"a link out", func(t *testing.T, dir, outside string) {
			write(t, outside+"/precious", 10)
			require.NoError(t, os.Symlink(outside+"/precious", dir+"/target"))
		}, nil, []error{ErrOutside, ErrNotRegular}},
		{"a link to nothing outside", func(t *testing.T, dir, outside string) {
			require.NoError(t, os.Symlink(outside+"/new", dir+"/target"))
		}, nil, []error{ErrOutside, ErrNotRegular}},
		{"a link inside", func(t *testing.T, dir, _ string) {
			write(t, dir+"/other", 10)
			require.NoError(t, os.Symlink("other", dir+"/target"))
		}, nil, []error{ErrNotRegular}},
		{"a link out under the partial name", func(t *testing.T, dir, outside string) {
			write(t, outside+"/precious", 0)
			require.NoError(t, os.Symlink(outside+"/precious", dir+"/target.partial"))
		}, nil, []error{ErrOutside, ErrNotRegular}},
		{"a FIFO", func(t *testing.T, dir, _ string) { require.NoError(t, unix.Mkfifo(dir+"/target", 0o600)) }, nil, []error{ErrNotRegular}},
		{"a directory", func(t *testing.T, dir, _ string) { require.NoError(t, os.Mkdir(dir+"/target", 0o700)) }, nil, []error{ErrNotRegular}},
		{"a directory under the partial name", func(t *testing.T, dir, _ string) {
			require.NoError(t, os.Mkdir(dir+"/target.partial", 0o700))
		}, nil, []error{ErrNotRegular}},
		{"no such directory", nil, func(s *TargetSpec) { s.Dir += "/none" }, []error{os.ErrNotExist}},
		{"a file for a directory", func(t *testing.T, dir, _ string) { write(t, dir+"/f", 1) }, func(s *TargetSpec) { s.Dir += "/f" }, []error{ErrNotDir}},
		{"a name that climbs", nil, func(s *TargetSpec) { s.Name = "../target" }, []error{ErrOutside}},
		{"larger than the disk", nil, func(s *TargetSpec) { s.SizeBytes = maxTargetSize }, []error{ErrSpace}},
		{"a reserve that is not there", nil, func(s *TargetSpec) { s.ReserveBytes = 1 << 60 }, []error{ErrSpace}},
		{"a null load on a disk", nil, func(s *TargetSpec) { s.Memory = true }, []error{ErrNotMemory}},
		{"a device for a directory", nil, func(s *TargetSpec) { s.Dir = "/dev/null" }, []error{ErrDevice}},
		{"below /dev", nil, func(s *TargetSpec) { s.Dir = "/dev" }, []error{ErrDevice}},
		{"a null load below /dev", nil, func(s *TargetSpec) { s.Dir, s.Memory = "/dev", true }, []error{ErrDevice}},
		{"procfs", nil, func(s *TargetSpec) { s.Dir = "/proc" }, []error{blockdev.ErrNotBlock}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := diskDir(t)
			dir, outside := root+"/dir", root+"/outside"
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.NoError(t, os.Mkdir(outside, 0o700))
			if tt.prepare != nil {
				tt.prepare(t, dir, outside)
			}
			s := smallSpec(dir)
			if tt.spec != nil {
				tt.spec(&s)
			}
			before := snapshot(t, root)
			tg, err := Prefill(t.Context(), s, func(int64, int64) { t.Error("it wrote") })
			for _, is := range tt.is {
				require.ErrorIs(t, err, is)
			}
			require.ErrorContains(t, err, "fioctl: ")
			require.Zero(t, tg)
			require.Equal(t, before, snapshot(t, root))
		})
	}
}

func TestGuardsKeepOffOthersFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can give a file away")
	}
	s := smallSpec(diskDir(t))
	tg, err := Prefill(t.Context(), s, nil)
	require.NoError(t, err)
	if err := os.Chown(tg.Path, 12345, 12345); err != nil {
		t.Skipf("SKIPPED: cannot give a file away: %v", err)
	}
	before := snapshot(t, s.Dir)
	_, err = Prefill(t.Context(), s, nil)
	require.ErrorIs(t, err, ErrForeign)
	require.ErrorContains(t, err, "user 12345 owns it")
	require.ErrorIs(t, tg.Remove(), ErrForeign)
	require.Equal(t, before, snapshot(t, s.Dir))
}

func TestGuardsRefuseMemoryForADisk(t *testing.T) {
	dir := memoryDir(t)
	_, err := Prefill(t.Context(), smallSpec(dir), nil)
	require.ErrorIs(t, err, ErrTmpfs)
	require.ErrorIs(t, err, blockdev.ErrNotBlock)
	path := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<20), 0o600))
	_, err = CheckTarget(path, 1)
	require.ErrorIs(t, err, ErrTmpfs)

	s := smallSpec(dir)
	s.Memory, s.SizeBytes, s.ReserveBytes = true, maxTargetSize, 0
	_, err = Prefill(t.Context(), s, nil)
	require.ErrorIs(t, err, ErrSpace)
}

func TestADirectoryByALinkIsTheRealOne(t *testing.T) {
	dir := diskDir(t)
	require.NoError(t, os.Mkdir(dir+"/real", 0o700))
	require.NoError(t, os.Symlink("real", dir+"/link"))
	tg, err := Prefill(t.Context(), smallSpec(dir+"/link"), nil)
	require.NoError(t, err)
	require.Equal(t, dir+"/real/target", tg.Path)
}

func TestReserve(t *testing.T) {
	for _, tt := range []struct {
		spec TargetSpec
		want int64
		why  string
	}{
		{TargetSpec{}, 100 << 30, "a tenth of 1000 GiB"},
		{TargetSpec{Memory: true}, 100 << 30, "a tenth in memory too"},
		{TargetSpec{ReserveBytes: -1}, 0, "none"},
		{TargetSpec{ReserveBytes: 5}, 5, "as asked"},
	} {
		require.Equal(t, tt.want, tt.spec.reserve(1000<<30), tt.why)
	}
	require.Equal(t, int64(20<<30), TargetSpec{}.reserve(1<<30), "20 GiB at least")
	require.Equal(t, int64(1<<30)/10, TargetSpec{Memory: true}.reserve(1<<30))
}
