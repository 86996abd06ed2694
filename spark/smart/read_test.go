package smart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/blockdev"
	"github.com/spark-harness/harness/internal/fixture"
)

// machine is a reader of a planted tree on which no source answers.
func machine(t *testing.T) *Reader {
	t.Helper()
	proc, sys := fixture.Plant(t, "testdata/nvme.tree")
	return &Reader{
		proc: proc, sys: sys, dev: "/dev",
		page: func(string) ([]byte, error) { return nil, explain(unix.EACCES) },
		tool: func(_ context.Context, name string, _ ...string) ([]byte, error) {
			return nil, fmt.Errorf("smart: run %s: %w", name, ErrNoTool)
		},
	}
}

func TestReadTakesTheBestSource(t *testing.T) {
	const nvme, virtio = "nvme0n1", "vda"
	gives := func(file string) func(context.Context, string, ...string) ([]byte, error) {
		return func(_ context.Context, name string, args ...string) ([]byte, error) {
			want := map[string]string{"smartctl": "smartctl-nvme.json", "nvme": "nvme-cli.json"}[name]
			if want != file {
				return nil, fmt.Errorf("smart: run %s: %w", name, ErrNoTool)
			}
			return read(t, file), nil
		}
	}
	for _, row := range []struct {
		why, device string
		edit        func(*Reader)
		source      string
		reads       uint64 // host reads of the log, 0 without one
		tried       []string
	}{
		{"the controller answers", nvme, func(r *Reader) {
			r.page = func(string) ([]byte, error) { return page(9, 10), nil }
		}, SourceIoctl, 10, nil},
		{"a partition's disk is asked", "nvme0n1p2", func(r *Reader) {
			r.page = func(node string) ([]byte, error) { require.Equal(t, "/dev/nvme0n1", node); return page(9, 10), nil }
		}, SourceIoctl, 10, nil},
		{"only the controller's node answers", nvme, func(r *Reader) {
			r.page = func(node string) ([]byte, error) {
				if node == "/dev/nvme0" {
					return page(9, 10), nil
				}
				return nil, explain(unix.ENOTTY)
			}
		}, SourceIoctl, 10, nil},
		{"nobody but root: smartctl may be allowed", nvme, func(r *Reader) { r.tool = gives("smartctl-nvme.json") }, SourceSmartctl, 111303174, []string{"needs root"}},
		{"only nvme-cli is there", nvme, func(r *Reader) { r.tool = gives("nvme-cli.json") }, SourceNVMeCLI, 9347931143, []string{"needs root", "tool not found"}},
		{"nothing answers: the stand-in", nvme, nil, SourceDiskstats, 0, []string{"needs root", "tool not found", "tool not found"}},
		{"virtio has no log, whatever is installed", virtio, func(r *Reader) {
			r.page = func(string) ([]byte, error) { t.Fatal("not an NVMe disk"); return nil, nil }
			r.tool = func(_ context.Context, name string, _ ...string) ([]byte, error) {
				if name == "smartctl" {
					return read(t, "smartctl-virtio.json"), nil
				}
				return nil, fmt.Errorf("smart: run nvme: %w", ErrNoLog)
			}
		}, SourceDiskstats, 0, []string{"not an NVMe disk", "Unable to detect device type", "no NVMe log"}},
	} {
		t.Run(row.why, func(t *testing.T) {
			r := machine(t)
			if row.edit != nil {
				row.edit(r)
			}
			s, err := r.Read(t.Context(), row.device)
			require.NoError(t, err)
			require.Equal(t, row.source, s.Source)
			require.Equal(t, row.reads == 0, s.Log == nil)
			if s.Log != nil {
				require.Equal(t, Counter{0, row.reads}, *s.Log.HostReads)
				require.Empty(t, s.Why())
			} else {
				require.Contains(t, s.Why(), row.tried[0])
			}
			require.Len(t, s.Tried, len(row.tried))
			for i, says := range row.tried {
				require.Contains(t, s.Tried[i].Reason, says)
			}
			require.NotNil(t, s.Block)
			require.Equal(t, Paged{123456, 654321}, *s.Paged)
			b, err := json.Marshal(s)
			require.NoError(t, err)
			require.NotContains(t, string(b), "SECRET", "a serial number is kept out")
			var back Snapshot
			require.NoError(t, json.Unmarshal(b, &back))
			if s.Raw == nil { // its white space is free
				require.Equal(t, s, back)
			}
		})
	}
}

func TestSnapshotOfAnNVMeDisk(t *testing.T) {
	s, err := machine(t).Read(t.Context(), "nvme0n1")
	require.NoError(t, err)
	require.Equal(t, "EXAMPLE NVME 1TB", s.Model)
	require.Equal(t, "1.2.3", s.Firmware)
	require.Len(t, s.SerialHash, 12)
	require.Equal(t, Block{1000, 80000, 2000, 160000}, *s.Block)
	require.EqualValues(t, 512, *s.Limits.LogicalBlock)
	require.EqualValues(t, 128<<10, *s.Limits.MaxRequest)
	require.EqualValues(t, 256<<10, *s.Limits.MaxCommand)
	v, err := machine(t).Read(t.Context(), "vda")
	require.NoError(t, err)
	require.Nil(t, v.Limits.MaxCommand, "2^31-1 KiB is no limit")
	require.Empty(t, v.SerialHash)
}

// A run's snapshots must compare: once a source has answered, another is not
// taken in its place, and a failure is the one snapshot's.
func TestReaderKeepsToItsSource(t *testing.T) {
	r := machine(t)
	fail := false
	r.page = func(string) ([]byte, error) {
		if fail {
			return nil, explain(unix.EACCES)
		}
		return page(9, 10), nil
	}
	r.tool = func(context.Context, string, ...string) ([]byte, error) {
		t.Fatal("no tool is run beside the ioctl")
		return nil, nil
	}
	for _, failing := range []bool{false, true, false} {
		fail = failing
		s, err := r.Read(t.Context(), "nvme0n1")
		require.NoError(t, err)
		require.Equal(t, map[bool]string{false: SourceIoctl, true: SourceDiskstats}[failing], s.Source)
		require.Equal(t, failing, s.Why() != "")
	}

	asked := 0
	r = machine(t)
	r.tool = func(context.Context, string, ...string) ([]byte, error) { asked++; return nil, ErrNoTool }
	for range 3 {
		s, err := r.Read(t.Context(), "vda")
		require.NoError(t, err)
		require.Len(t, s.Tried, 3, "every snapshot says why")
	}
	require.Equal(t, 2, asked, "a disk without a log is asked once")
}

func TestReadFails(t *testing.T) {
	r := machine(t)
	for _, name := range []string{"nosuchdisk", "", "../vda"} {
		s, err := r.Read(t.Context(), name)
		require.ErrorIs(t, err, blockdev.ErrNoDevice)
		require.NotEmpty(t, s.Absent)
		require.Empty(t, s.Source)
	}
	require.NoError(t, os.Remove(filepath.Join(r.proc, "vmstat")))
	s, err := r.Read(t.Context(), "vda")
	require.NoError(t, err)
	require.Nil(t, s.Paged, "absent, not 0")
	require.NoError(t, os.WriteFile(filepath.Join(r.sys, "block/vda/stat"), []byte("1 2 3\n"), 0o644))
	_, err = r.Read(t.Context(), "vda")
	require.ErrorContains(t, err, "3 fields")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = machine(t).Read(ctx, "nvme0n1")
	require.Error(t, err, "an interrupt is not a missing log")
}

func TestTools(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for _, name := range []string{"smartctl", "nvme"} {
		_, err := runTool(t.Context(), name)
		require.ErrorIs(t, err, ErrNoTool)
		require.ErrorContains(t, err, "apt-get install")
	}
	script := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "nvme"), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	script(`echo '{"a":1}'; exit 4`)
	b, err := runTool(t.Context(), "nvme")
	require.NoError(t, err, "status bits do not undo what was said")
	require.JSONEq(t, `{"a":1}`, string(b))
	script(`echo "/dev/x: Permission denied" >&2; exit 1`)
	_, err = runTool(t.Context(), "nvme")
	require.ErrorIs(t, err, ErrNotRoot)
	script(`echo "/dev/x: Operation not permitted" >&2; exit 1`)
	_, err = runTool(t.Context(), "nvme")
	require.ErrorIs(t, err, ErrNoLog)
	script(`while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done`)
	_, err = runTool(t.Context(), "nvme")
	require.Error(t, err, "endless output is refused")
}

// Real, where there is a disk: whatever it is, a snapshot comes back.
func TestReadThisMachine(t *testing.T) {
	disks, err := os.ReadDir("/sys/block")
	if err != nil {
		t.Skipf("SKIPPED: no block devices here: %v", err)
	}
	for _, d := range disks {
		s, err := Read(t.Context(), d.Name())
		if errors.Is(err, blockdev.ErrNoDevice) || errors.Is(err, blockdev.ErrNotBlock) || err != nil && s.Device == "" {
			continue // a loop device without a file
		}
		require.NoError(t, err, d.Name())
		t.Logf("%s: source %s in %v, %+v, tried %v", d.Name(), s.Source, s.Took, *s.Block, s.Tried)
		return
	}
	t.Skip("SKIPPED: no disk here")
}
