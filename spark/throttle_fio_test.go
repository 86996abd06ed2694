//go:build fio

package spark

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/sysmon"
)

const blkio = "/sys/fs/cgroup/blkio"

// lab is a cgroup of version 1 and a file of real data on a disk.
type lab struct {
	group string // as in /proc/PID/cgroup
	dir   string // of the group
	disk  sysmon.Device
	file  string
}

func newLab(t *testing.T) lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: cgroup limits need root")
	}
	for _, tool := range []string{"fio", "losetup", "mkfs.ext4", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(blkio, v1File("riops"))); err != nil {
		t.Skipf("SKIPPED: no cgroup version 1 blkio.throttle here: %v", err)
	}
	work := t.TempDir()
	disk, err := sysmon.DeviceOf(work, "", "")
	if err != nil {
		t.Skipf("SKIPPED: the temporary directory is on no disk: %v", err)
	}
	l := lab{group: fmt.Sprintf("/spark-throttle-test-%d", os.Getpid()), disk: disk, file: filepath.Join(work, "data")}
	l.dir = filepath.Join(blkio, l.group)
	require.NoError(t, os.Mkdir(l.dir, 0o755))
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return syscall.Rmdir(l.dir) == nil }, 5*time.Second, 10*time.Millisecond)
		left, err := filepath.Glob(blkio + "/spark-throttle-test-*")
		require.NoError(t, err)
		require.Empty(t, left)
	})
	fill(t, l.file, 64<<20)
	return l
}

// fill writes real data: reads of unwritten extents never reach the disk.
func fill(t *testing.T, path string, size int) {
	t.Helper()
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(b)
	f, err := os.Create(path)
	require.NoError(t, err)
	_, err = f.Write(b)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

// run is what fio and the device say about some seconds.
type run struct {
	iops, bytesPerSec float64
	mean, p99         time.Duration // completion latency
	deviceIOs         uint64
	deviceWait        time.Duration // r_await
}

func (r run) String() string {
	return fmt.Sprintf("%.0f IOPS, %.1f MB/s, clat mean %v p99 %v, device r_await %v over %d reads",
		r.iops, r.bytesPerSec/1e6, r.mean.Round(time.Microsecond), r.p99.Round(time.Microsecond), r.deviceWait.Round(time.Microsecond), r.deviceIOs)
}

// fio runs a job inside the group; during runs beside it.
func (l lab) fio(t *testing.T, during func(), args ...string) run {
	t.Helper()
	all := append([]string{
		"--name=j", "--filename=" + l.file, "--size=64M", "--thread", "--ioengine=libaio", "--bs=64k", "--direct=1",
		"--iodepth=32", "--time_based", "--randrepeat=0", "--norandommap", "--output-format=json",
	}, args...)
	cmd := exec.Command("sh", append([]string{"-c", `echo $$ >"$0/cgroup.procs" && exec fio "$@"`, l.dir}, all...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ios, ticks := l.reads(t)
	require.NoError(t, cmd.Start())
	if during != nil {
		during()
	}
	require.NoError(t, cmd.Wait(), out.String())
	ios2, ticks2 := l.reads(t)
	type side struct {
		IOPS  float64 `json:"iops"`
		Bytes float64 `json:"bw_bytes"`
		Clat  struct {
			Mean       float64            `json:"mean"`
			Percentile map[string]float64 `json:"percentile"`
		} `json:"clat_ns"`
	}
	var doc struct {
		Jobs []struct{ Read, Write side } `json:"jobs"`
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &doc), out.String())
	s := doc.Jobs[0].Read
	if s.IOPS == 0 {
		s = doc.Jobs[0].Write
	}
	r := run{
		iops: s.IOPS, bytesPerSec: s.Bytes, mean: time.Duration(s.Clat.Mean), p99: time.Duration(s.Clat.Percentile["99.000000"]),
		deviceIOs: ios2 - ios,
	}
	if r.deviceIOs > 0 {
		r.deviceWait = time.Duration(ticks2-ticks) * time.Millisecond / time.Duration(r.deviceIOs)
	}
	return r
}

// reads is the device's count of reads and the milliseconds that they took.
func (l lab) reads(t *testing.T) (ios, ticks uint64) {
	t.Helper()
	text, err := readText(filepath.Join("/sys/dev/block", l.disk.MajMin, "stat"))
	require.NoError(t, err)
	var merges, sectors uint64
	_, err = fmt.Sscan(text, &ios, &merges, &sectors, &ticks)
	require.NoError(t, err)
	return ios, ticks
}

func (l lab) config(t *testing.T, limits IOLimits) ThrottleConfig {
	return ThrottleConfig{CgroupPath: l.group, MajMin: l.disk.MajMin, Limits: limits, LeaseDir: t.TempDir()}
}

func (l lab) limit(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(l.dir, v1File("riops")))
	require.NoError(t, err)
	return string(b)
}

// TestFioThrottleLaw measures what the comment of Throttle claims.
func TestFioThrottleLaw(t *testing.T) {
	l := newLab(t)
	free := l.fio(t, nil, "--rw=randread", "--runtime=2")
	t.Logf("no limit:                 %v", free)

	began := time.Now()
	th, err := ApplyThrottle(l.config(t, IOLimits{ReadIOPS: 500}))
	require.NoError(t, err)
	t.Cleanup(func() { th.Undo() })
	t.Logf("applied in %v", time.Since(began).Round(time.Millisecond))
	require.Equal(t, 1, th.Version)
	held := l.fio(t, nil, "--rw=randread", "--runtime=4")
	t.Logf("read_iops=500, depth 32:  %v", held)
	require.InEpsilon(t, 500, held.iops, 0.05)
	require.Greater(t, held.mean, 30*time.Millisecond, "requests wait depth/rate = 64 ms")
	require.Less(t, held.deviceWait, 10*time.Millisecond, "and the device does not know")
	require.NoError(t, th.Verify())

	began = time.Now()
	changed := l.fio(t, func() {
		time.Sleep(2*time.Second - time.Since(began))
		require.NoError(t, th.Change(IOLimits{ReadIOPS: 1500}))
	}, "--rw=randread", "--runtime=4")
	t.Logf("500, from 2 s on 1500:    %v", changed)
	require.InEpsilon(t, 1000, changed.iops, 0.12, "a change is felt at once")

	require.NoError(t, th.Change(IOLimits{ReadBytesPerSec: 20e6}))
	slow := l.fio(t, nil, "--rw=randread", "--runtime=3", "--iodepth=1")
	t.Logf("read 20 MB/s, depth 1:    %v", slow)
	require.InEpsilon(t, 20e6, slow.bytesPerSec, 0.06)

	require.NoError(t, th.Undo())
	again := l.fio(t, nil, "--rw=randread", "--runtime=2")
	t.Logf("undone:                   %v", again)
	require.Greater(t, again.iops, 3*held.iops, "full speed")
	require.Empty(t, l.limit(t))
}

// TestFioThrottleOfWrites shows which writes version 1 holds.
func TestFioThrottleOfWrites(t *testing.T) {
	l := newLab(t)
	th, err := ApplyThrottle(l.config(t, IOLimits{WriteBytesPerSec: 10e6}))
	require.NoError(t, err)
	t.Cleanup(func() { th.Undo() })
	direct := l.fio(t, nil, "--rw=randwrite", "--runtime=3", "--iodepth=8")
	t.Logf("write 10 MB/s, direct:    %v", direct)
	require.InEpsilon(t, 10e6, direct.bytesPerSec, 0.1)
	buffered := l.fio(t, nil, "--rw=randwrite", "--runtime=1", "--direct=0", "--ioengine=psync", "--iodepth=1", "--fsync=64")
	t.Logf("write 10 MB/s, buffered, own fsync every 4 MiB: %v", buffered)
	require.Less(t, buffered.bytesPerSec, 15e6, "what the group flushes itself is held")

	leaked := l.fio(t, nil, "--rw=randwrite", "--runtime=1", "--direct=0", "--ioengine=psync", "--iodepth=1", "--fsync_on_close=0")
	f, err := os.Open(l.file)
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, f.Sync()) // by us, outside the group
	took := time.Since(began)
	require.NoError(t, f.Close())
	t.Logf("write 10 MB/s, buffered:  %v, then flushed from outside in %v", leaked, took.Round(time.Millisecond))
	require.Greater(t, leaked.bytesPerSec, 100e6, "into the page cache")
	require.Less(t, took, 3*time.Second, "64 MiB at 10 MB/s would be 6.7 s")
	require.NoError(t, th.Undo())
}

// TestFioThrottleLeavesGroupsBelowAlone shows that version 1's limits are not
// handed down.
func TestFioThrottleLeavesGroupsBelowAlone(t *testing.T) {
	l := newLab(t)
	th, err := ApplyThrottle(l.config(t, IOLimits{ReadIOPS: 200}))
	require.NoError(t, err)
	t.Cleanup(func() { th.Undo() })
	below := l
	below.dir = filepath.Join(l.dir, "below")
	require.NoError(t, os.Mkdir(below.dir, 0o755))
	t.Cleanup(func() { syscall.Rmdir(below.dir) })
	r := below.fio(t, nil, "--rw=randread", "--runtime=2")
	t.Logf("read_iops=200 on the group above: %v", r)
	require.Greater(t, r.iops, 1000.0)
	require.NoError(t, th.Undo())
}

// TestFioThrottleOfBufferedReads shows that buffered reads that miss
// the page cache are held too.
func TestFioThrottleOfBufferedReads(t *testing.T) {
	l := newLab(t)
	th, err := ApplyThrottle(l.config(t, IOLimits{ReadIOPS: 200}))
	require.NoError(t, err)
	t.Cleanup(func() { th.Undo() })
	r := l.fio(t, nil, "--rw=randread", "--runtime=2", "--direct=0", "--ioengine=psync", "--iodepth=1", "--invalidate=1", "--fadvise_hint=random")
	t.Logf("read_iops=200, buffered:  %v", r)
	require.Less(t, r.deviceIOs, uint64(1000))
	require.NoError(t, th.Undo())
}

func TestFioKilledParentUndoesTheLimit(t *testing.T) {
	l := newLab(t)
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		cfg := l.config(t, IOLimits{ReadIOPS: 500})
		holder, guard := startThrottleParent(t, cfg, "")
		require.Equal(t, l.disk.MajMin+" 500\n", l.limit(t))
		began := time.Now()
		require.NoError(t, syscall.Kill(holder.Process.Pid, sig))
		require.Error(t, holder.Wait())
		require.Eventually(t, func() bool { return l.limit(t) == "" }, time.Second, time.Millisecond)
		t.Logf("%v: undone after %v", sig, time.Since(began).Round(100*time.Microsecond))
		gone(t, guard)
		require.Empty(t, leases(t, cfg.LeaseDir))
	}

	cfg := l.config(t, IOLimits{ReadIOPS: 500})
	holder, guard := startThrottleParent(t, cfg, "")
	require.NoError(t, syscall.Kill(guard, syscall.SIGKILL))
	require.NoError(t, syscall.Kill(holder.Process.Pid, syscall.SIGKILL))
	require.Error(t, holder.Wait())
	gone(t, guard)
	require.Equal(t, l.disk.MajMin+" 500\n", l.limit(t), "nobody was left to undo it")
	require.Eventually(t, func() bool {
		n, err := RepairThrottles(cfg.LeaseDir)
		require.NoError(t, err)
		return n == 1
	}, time.Second, 10*time.Millisecond)
	require.Empty(t, l.limit(t))
	require.Empty(t, leases(t, cfg.LeaseDir))
}

// TestFioThrottleOfTheEmulator limits a real server's group and lets the group
// go before the throttle.
func TestFioThrottleOfTheEmulator(t *testing.T) {
	l := newLab(t)
	p, err := StartEmulator(t.Context(), small(t))
	require.NoError(t, err)
	t.Cleanup(func() { p.Stop() })
	th, err := ApplyThrottle(ThrottleConfig{CgroupPath: p.Cgroup.Path, MajMin: l.disk.MajMin, Limits: IOLimits{ReadIOPS: 50, WriteBytesPerSec: 1 << 20}, LeaseDir: t.TempDir()})
	require.NoError(t, err, p.Cgroup.Reason)
	t.Cleanup(func() { th.Undo() })
	require.NoError(t, th.Verify())
	require.NoError(t, p.Stop())
	require.ErrorIs(t, th.Verify(), ErrThrottleLost)
	require.NoError(t, th.Undo())
	requireNothingLeft(t, p)
}

func TestFioThrottleRefusesOnTheRealKernel(t *testing.T) {
	l := newLab(t)
	cfg := l.config(t, IOLimits{ReadIOPS: 500})
	cfg.MajMin = "250:99"
	_, err := ApplyThrottle(cfg)
	require.ErrorIs(t, err, ErrUnknownDevice)
	// The kernel's own answer, past our look into sysfs.
	err = writeKernel(filepath.Join(l.dir, v1File("riops")), "250:99 500")
	require.ErrorIs(t, explainWrite("", "", err), ErrUnknownDevice)
}

// TestFioThrottleOfALoopDevice holds I/O by the loop device's own number.
func TestFioThrottleOfALoopDevice(t *testing.T) {
	l := newLab(t)
	back, disk := l.file, l.disk
	loop := strings.TrimSpace(command(t, "losetup", "--direct-io=on", "--find", "--show", back))
	t.Cleanup(func() {
		command(t, "losetup", "--detach", loop)
		require.Eventually(t, func() bool { return !strings.Contains(command(t, "losetup", "--all"), back) }, 5*time.Second, 10*time.Millisecond)
	})
	command(t, "mkfs.ext4", "-q", "-F", loop)
	mnt := t.TempDir()
	command(t, "mount", loop, mnt)
	t.Cleanup(func() { command(t, "umount", mnt) })
	name := filepath.Base(loop)
	number, err := readText(filepath.Join("/sys/block", name, "dev"))
	require.NoError(t, err)
	l.file, l.disk = filepath.Join(mnt, "data"), sysmon.Device{Name: name, MajMin: number}
	fill(t, l.file, 32<<20)

	free := l.fio(t, nil, "--rw=randread", "--runtime=2", "--size=32M")
	t.Logf("loop, no limit:           %v", free)
	th, err := ApplyThrottle(l.config(t, IOLimits{ReadIOPS: 300}))
	require.NoError(t, err)
	t.Cleanup(func() { th.Undo() })
	held := l.fio(t, nil, "--rw=randread", "--runtime=3", "--size=32M")
	t.Logf("loop, read_iops=300:      %v", held)
	require.InEpsilon(t, 300, held.iops, 0.06)
	require.Less(t, held.deviceWait, 10*time.Millisecond)
	require.NoError(t, th.Undo())
	require.Greater(t, free.iops, 3*held.iops)

	below, err := ApplyThrottle(ThrottleConfig{CgroupPath: l.group, MajMin: disk.MajMin, Limits: IOLimits{ReadIOPS: 300}})
	require.NoError(t, err)
	t.Cleanup(func() { below.Undo() })
	r := l.fio(t, nil, "--rw=randread", "--runtime=2", "--size=32M")
	t.Logf("loop, read_iops=300 on the disk below: %v", r)
	require.NoError(t, below.Undo())
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}
