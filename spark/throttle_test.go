package spark

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// kernel is a tree of cgroup files that answers writes as Linux does.
type kernel struct {
	t    *testing.T
	sys  string
	fail map[string]error // by base name of the file
	log  []string         // "file: text" of every write
}

const (
	disk  = "259:0"
	group = "/user.slice/server"
)

// plant makes a tree with a disk, its partition, and these files.
func plant(t *testing.T, files map[string]string) *kernel {
	k := &kernel{t: t, sys: t.TempDir(), fail: map[string]error{}}
	for path, text := range files {
		k.put(path, text)
	}
	k.put("devices/nvme0n1/dev", disk+"\n")
	k.put("devices/nvme0n1/nvme0n1p2/partition", "2\n")
	require.NoError(t, os.MkdirAll(filepath.Join(k.sys, "dev/block"), 0o755))
	require.NoError(t, os.Symlink("../../devices/nvme0n1", filepath.Join(k.sys, "dev/block", disk)))
	require.NoError(t, os.Symlink("../../devices/nvme0n1/nvme0n1p2", filepath.Join(k.sys, "dev/block/259:2")))
	return k
}

// v1 is a tree with blkio; lines stand in the group's files before us.
func v1(t *testing.T, lines map[string]string) *kernel {
	k := plant(t, map[string]string{"fs/cgroup/blkio/cgroup.procs": "1\n"})
	for _, key := range v2Keys() {
		k.put("fs/cgroup/blkio"+group+"/"+v1File(key.name), lines[key.name])
	}
	return k
}

// v2 is a tree of version 2 whose groups have io as far as the levels say.
func v2(t *testing.T, ioMaxText string, root, slice bool) *kernel {
	have := map[bool]string{true: "cpu io memory\n", false: "cpu memory\n"}
	k := plant(t, map[string]string{
		"fs/cgroup/cgroup.controllers":                    "cpu io memory\n",
		"fs/cgroup/cgroup.subtree_control":                have[root],
		"fs/cgroup/user.slice/cgroup.subtree_control":     have[slice],
		"fs/cgroup" + group + "/cgroup.subtree_control":   "\n",
		"fs/cgroup/user.slice/neighbour/cgroup.procs":     "7\n",
		"fs/cgroup/system.slice/cgroup.subtree_control":   "\n",
		"fs/cgroup/system.slice/a.service/cgroup.threads": "8\n",
	})
	if slice {
		k.put("fs/cgroup"+group+"/io.max", ioMaxText)
	}
	return k
}

func (k *kernel) put(path, text string) {
	k.t.Helper()
	path = filepath.Join(k.sys, path)
	require.NoError(k.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(k.t, os.WriteFile(path, []byte(text), 0o644))
}

func (k *kernel) get(path string) string {
	k.t.Helper()
	b, err := os.ReadFile(filepath.Join(k.sys, path))
	require.NoError(k.t, err)
	return string(b)
}

// write does what the kernel does with a line for a keyed file, and with +io.
func (k *kernel) write(path, text string) error {
	name := filepath.Base(path)
	if err := k.fail[name]; err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	k.log = append(k.log, name+": "+text)
	if name == subtreeControl {
		return k.control(path, string(old), text)
	}
	key, value, _ := strings.Cut(text, " ")
	var lines []string
	for line := range strings.Lines(string(old)) {
		if !strings.HasPrefix(line, key+" ") {
			lines = append(lines, line)
		}
	}
	if limitText(value) != "" {
		lines = append(lines, key+" "+value+"\n")
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644)
}

// control turns io on or off for the groups below: their io.max comes or goes.
func (k *kernel) control(path, old, text string) error {
	words := slices.DeleteFunc(strings.Fields(old), func(w string) bool { return w == "io" })
	below, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*", subtreeControl))
	require.NoError(k.t, err)
	for _, child := range below {
		file := filepath.Join(filepath.Dir(child), "io.max")
		if text == "+io" {
			require.NoError(k.t, os.WriteFile(file, nil, 0o644))
			continue
		}
		if kept, err := os.ReadFile(child); err == nil && strings.Contains(string(kept), "io") {
			return syscall.EBUSY
		}
		require.NoError(k.t, os.Remove(file))
	}
	if text == "+io" {
		words = append(words, "io")
	}
	slices.Sort(words)
	return os.WriteFile(path, []byte(strings.Join(words, " ")+"\n"), 0o644)
}

func (k *kernel) config(limits IOLimits) ThrottleConfig {
	return ThrottleConfig{CgroupPath: group, MajMin: disk, Limits: limits, SysRoot: k.sys, LeaseDir: k.t.TempDir(), write: k.write}
}

// snapshot is every file of the tree.
func (k *kernel) snapshot() map[string]string {
	all := map[string]string{}
	require.NoError(k.t, filepath.WalkDir(k.sys, func(path string, d os.DirEntry, err error) error {
		require.NoError(k.t, err)
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			require.NoError(k.t, err)
			all[path] = string(b)
		}
		return nil
	}))
	return all
}

func TestThrottleAppliesAndRestores(t *testing.T) {
	const other = "8:0 rbps=9 wbps=max riops=max wiops=max\n"
	iops := IOLimits{ReadIOPS: 500}
	for name, row := range map[string]struct {
		tree   *kernel
		limits IOLimits
		file   string
		want   string
		before IOLimits
		why    string
	}{
		"v1 fresh":           {v1(t, nil), iops, "blkio" + group + "/blkio.throttle.read_iops_device", disk + " 500\n", IOLimits{}, "one line"},
		"v1 other disk":      {v1(t, map[string]string{"riops": "8:0 7\n"}), iops, "blkio" + group + "/blkio.throttle.read_iops_device", "8:0 7\n" + disk + " 500\n", IOLimits{}, "another disk's limit stays"},
		"v1 had a limit":     {v1(t, map[string]string{"riops": disk + " 900\n"}), iops, "blkio" + group + "/blkio.throttle.read_iops_device", disk + " 500\n", IOLimits{ReadIOPS: 900}, "it comes back"},
		"v1 other direction": {v1(t, map[string]string{"wbps": disk + " 900\n"}), iops, "blkio" + group + "/blkio.throttle.write_bps_device", disk + " 900\n", IOLimits{WriteBytesPerSec: 900}, "0 leaves alone"},
		"v2 fresh":           {v2(t, "", true, true), iops, group + "/io.max", disk + " rbps=max wbps=max riops=500 wiops=max\n", IOLimits{}, "all four"},
		"v2 other disk":      {v2(t, other, true, true), IOLimits{ReadBytesPerSec: 1 << 20, WriteIOPS: 3}, group + "/io.max", other + disk + " rbps=1048576 wbps=max riops=max wiops=3\n", IOLimits{}, "another disk's limit stays"},
		"v2 had a limit":     {v2(t, disk+" rbps=77 wbps=max riops=9 wiops=max\n", true, true), iops, group + "/io.max", disk + " rbps=77 wbps=max riops=500 wiops=max\n", IOLimits{ReadBytesPerSec: 77, ReadIOPS: 9}, "what we do not set stays"},
		"v2 not handed down": {v2(t, "", true, false), iops, group + "/io.max", disk + " rbps=max wbps=max riops=500 wiops=max\n", IOLimits{}, "turned on for one level"},
		"v2 not at all":      {v2(t, "", false, false), iops, group + "/io.max", disk + " rbps=max wbps=max riops=500 wiops=max\n", IOLimits{}, "turned on for two levels"},
	} {
		t.Run(name, func(t *testing.T) {
			row.tree.t = t
			before := row.tree.snapshot()
			cfg := row.tree.config(row.limits)
			th, err := ApplyThrottle(cfg)
			require.NoError(t, err)
			t.Cleanup(func() { th.Undo() })
			require.Equal(t, row.want, row.tree.get("fs/cgroup/"+row.file), row.why)
			require.Equal(t, row.before, th.Before)
			require.NoError(t, th.Verify())
			require.NoError(t, th.Undo())
			require.NoError(t, th.Undo(), "undoing again is the same answer")
			require.ErrorIs(t, th.Verify(), ErrThrottleLost)
			after := row.tree.snapshot()
			require.Equal(t, slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
			require.Equal(t, before, after, "exactly what was there")
			require.Empty(t, leases(t, cfg.LeaseDir), "no lease is left")
		})
	}
}

func leases(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(leasePattern(dir, throttleLease))
	require.NoError(t, err)
	return left
}

func TestThrottleChanges(t *testing.T) {
	k := v1(t, map[string]string{"riops": disk + " 900\n"})
	before := k.snapshot()
	th, err := ApplyThrottle(k.config(IOLimits{ReadIOPS: 500}))
	require.NoError(t, err)
	t.Cleanup(func() { th.Undo() })
	require.NoError(t, th.Change(IOLimits{ReadBytesPerSec: 4096}))
	require.Equal(t, disk+" 900\n", k.get("fs/cgroup/blkio"+group+"/blkio.throttle.read_iops_device"), "no longer ours: as it was")
	require.Equal(t, disk+" 4096\n", k.get("fs/cgroup/blkio"+group+"/blkio.throttle.read_bps_device"))
	require.NoError(t, th.Verify())

	require.Error(t, th.Change(IOLimits{ReadIOPS: -1}))
	k.fail["blkio.throttle.write_iops_device"] = syscall.EIO
	require.ErrorIs(t, th.Change(IOLimits{ReadIOPS: 5, WriteIOPS: 5}), syscall.EIO)
	require.Equal(t, IOLimits{ReadBytesPerSec: 4096}, th.Limits)
	for range 3 {
		require.NoError(t, th.Verify(), "the earlier limits are back in force")
	}
	lines, err := os.ReadFile(th.guard.lease.path)
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(string(lines), "\n"), "a lease grows with changes, not with looks")
	require.NoError(t, th.Undo())
	require.Equal(t, before, k.snapshot())
}

func TestThrottleRefuses(t *testing.T) {
	limits := IOLimits{ReadIOPS: 500}
	for name, row := range map[string]struct {
		tree   *kernel
		change func(*kernel, *ThrottleConfig)
		want   error
		says   string
	}{
		"partition":       {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.MajMin = "259:2" }, ErrPartition, "give its disk nvme0n1, 259:0"},
		"unknown device":  {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.MajMin = "8:0" }, ErrUnknownDevice, "8:0"},
		"kernel knows no": {v1(t, nil), func(k *kernel, _ *ThrottleConfig) { k.fail["blkio.throttle.read_iops_device"] = syscall.ENODEV }, ErrUnknownDevice, "lsblk"},
		"no group":        {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.CgroupPath = "/gone" }, ErrNoCgroup, "no directory"},
		"empty path":      {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.CgroupPath = "" }, ErrNoCgroup, "whole machine"},
		"root group":      {v2(t, "", true, true), func(_ *kernel, c *ThrottleConfig) { c.CgroupPath = "/" }, ErrNoCgroup, "whole machine"},
		"out of sight":    {v2(t, "", true, true), func(_ *kernel, c *ThrottleConfig) { c.CgroupPath = "/../x" }, ErrNoCgroup, "leads out"},
		"no cgroups":      {plant(t, nil), func(*kernel, *ThrottleConfig) {}, ErrNoCgroup, "no blkio or version 2"},
		"no limit files": {v1(t, nil), func(k *kernel, _ *ThrottleConfig) {
			require.NoError(t, os.Remove(filepath.Join(k.sys, "fs/cgroup/blkio", group, "blkio.throttle.read_bps_device")))
		}, ErrNoIOController, "CONFIG_BLK_DEV_THROTTLING"},
		"no controller":   {v2(t, "", true, true), func(k *kernel, _ *ThrottleConfig) { k.put("fs/cgroup/cgroup.controllers", "cpu\n") }, ErrNoIOController, "not even the root"},
		"group in use":    {v2(t, "", true, false), func(k *kernel, _ *ThrottleConfig) { k.fail[subtreeControl] = syscall.EBUSY }, ErrNoIOController, "busy"},
		"may not enable":  {v2(t, "", true, false), func(k *kernel, _ *ThrottleConfig) { k.fail[subtreeControl] = syscall.EACCES }, ErrNotPermitted, "run as root"},
		"may not write":   {v1(t, nil), func(k *kernel, _ *ThrottleConfig) { k.fail["blkio.throttle.read_iops_device"] = syscall.EPERM }, ErrNotPermitted, "run as root"},
		"read-only":       {v2(t, "", false, false), func(k *kernel, _ *ThrottleConfig) { k.fail["io.max"] = syscall.EROFS }, ErrCgroupReadOnly, "privileged"},
		"v1 our group":    {v1(t, nil), ourGroup("7:blkio:" + group + "\n"), ErrNoCgroup, "this program itself"},
		"v2 our group":    {v2(t, "", true, true), ourGroup("0::" + group + "/below\n"), ErrNoCgroup, "this program itself"},
		"no proc":         {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.ProcRoot = "/gone" }, os.ErrNotExist, "own cgroup"},
		"no limit":        {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.Limits = IOLimits{} }, nil, "set at least one"},
		"negative limit":  {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.Limits.WriteIOPS = -1 }, nil, "write_iops = -1"},
		"limit cut to 32": {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.Limits.ReadIOPS = 1 << 32 }, nil, "read_iops"},
		"not a number":    {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.MajMin = "nvme0n1" }, nil, "259:0"},
		"odd number":      {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.MajMin = "0259:0" }, nil, "259:0"},
		"no lease dir":    {v1(t, nil), func(_ *kernel, c *ThrottleConfig) { c.LeaseDir += "/gone" }, os.ErrNotExist, "choose a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			k := row.tree
			k.t = t
			cfg := k.config(limits)
			row.change(k, &cfg)
			before := k.snapshot()
			_, err := ApplyThrottle(cfg)
			require.ErrorContains(t, err, row.says)
			if row.want != nil {
				require.ErrorIs(t, err, row.want)
			}
			require.Equal(t, before, k.snapshot(), "everything is as it was")
			require.Empty(t, leases(t, cfg.LeaseDir))
		})
	}
}

// ourGroup puts this program into a group.
func ourGroup(text string) func(*kernel, *ThrottleConfig) {
	return func(k *kernel, c *ThrottleConfig) {
		k.put("proc/self/cgroup", text)
		c.ProcRoot = filepath.Join(k.sys, "proc")
	}
}

func TestThrottleNeedsTheHook(t *testing.T) {
	t.Setenv(withoutHook, "1")
	k := v1(t, nil)
	cfg := k.config(IOLimits{ReadIOPS: 5})
	_, err := ApplyThrottle(cfg)
	require.ErrorIs(t, err, ErrNoChildHook)
	require.Empty(t, k.log, "nothing is set without a guardian")
	require.Empty(t, leases(t, cfg.LeaseDir))
}

func TestThrottleLeavesAloneWhatIsNotItsOwn(t *testing.T) {
	k := v1(t, nil)
	const file = "fs/cgroup/blkio" + group + "/blkio.throttle.read_iops_device"
	cfg := k.config(IOLimits{ReadIOPS: 500})
	th, err := ApplyThrottle(cfg)
	require.NoError(t, err)
	k.put(file, disk+" 123\n")
	require.ErrorIs(t, th.Verify(), ErrThrottleLost)
	require.ErrorIs(t, th.Change(IOLimits{ReadIOPS: 5}), ErrThrottleLost)
	require.ErrorIs(t, th.Undo(), errForeign)
	require.ErrorIs(t, th.Undo(), errForeign, "the same answer")
	require.Equal(t, disk+" 123\n", k.get(file))
	require.Empty(t, leases(t, cfg.LeaseDir), "nothing of ours is left")
}

func TestThrottleOfAGroupThatIsGone(t *testing.T) {
	k := v2(t, "", false, false)
	th, err := ApplyThrottle(k.config(IOLimits{ReadIOPS: 500}))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(k.sys, "fs/cgroup", group)))
	require.ErrorIs(t, th.Verify(), ErrThrottleLost)
	require.NoError(t, th.Undo(), "its limits went with it")
	require.Equal(t, "cpu memory\n", k.get("fs/cgroup/cgroup.subtree_control"))
	require.Equal(t, "cpu memory\n", k.get("fs/cgroup/user.slice/cgroup.subtree_control"))
}

func TestThrottleKeepsAControllerThatOthersUse(t *testing.T) {
	k := v2(t, "", true, false)
	th, err := ApplyThrottle(k.config(IOLimits{ReadIOPS: 500}))
	require.NoError(t, err)
	k.put("fs/cgroup/user.slice/neighbour/io.max", disk+" rbps=5 wbps=max riops=max wiops=max\n")
	require.ErrorIs(t, th.Undo(), errForeign)
	require.Contains(t, k.get("fs/cgroup/user.slice/cgroup.subtree_control"), "io", "a neighbour's limit lives by it")
	require.Empty(t, k.get("fs/cgroup"+group+"/io.max"), "ours is undone")
}

func TestUndoTriesAgain(t *testing.T) {
	k := v1(t, nil)
	const name = "blkio.throttle.read_iops_device"
	th, err := ApplyThrottle(k.config(IOLimits{ReadIOPS: 500}))
	require.NoError(t, err)
	// Only ours fails: the guardian then does it.
	k.fail[name] = syscall.EIO
	require.ErrorIs(t, th.Undo(), syscall.EIO)
	require.Empty(t, limitText(strings.TrimPrefix(k.get("fs/cgroup/blkio"+group+"/"+name), disk)))
	require.NoError(t, th.Undo())
}
