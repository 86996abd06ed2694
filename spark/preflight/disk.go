package preflight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/internal/cgroup"
	"github.com/spark-harness/harness/spark/smart"
)

func disk(_ context.Context, h *host) Finding {
	d := h.place.Disk
	if d == nil {
		return failed(fmt.Sprintf("%s: %s", h.Dir, h.place.Reason), "the disk under test must be one that can be watched: choose a directory on it (--dir or SPARK_DIR), or name it (SPARK_DEVICE)")
	}
	said := fmt.Sprintf("%s is on %s", h.Dir, d.Name)
	for _, part := range []string{d.FSType, d.Model, d.Firmware} {
		if part != "" {
			said += ", " + part
		}
	}
	if d.Bytes != nil {
		said += ", " + size(*d.Bytes)
	}
	switch {
	case unix.Access(h.place.Dir, unix.W_OK) != nil:
		return failed(said+", not writable", "choose a directory that this user may write (--dir or SPARK_DIR)")
	case h.Device != d.Name:
		return warned(fmt.Sprintf("%s, but %s is to be watched", said, h.Device), "leave SPARK_DEVICE unset, unless the server reads that disk")
	case strings.HasPrefix(d.Name, "nvme"):
		return passed(said)
	}
	return warned(said, "no NVMe disk: what is found holds for a disk like this one")
}

func link(_ context.Context, h *host) Finding {
	d := h.place.Disk
	switch {
	case d == nil || d.LinkSpeed == "":
		return passed("none to look at: not on PCIe, or not told")
	case d.LinkSpeedMax != "" && d.LinkSpeed != d.LinkSpeedMax:
		return warned(fmt.Sprintf("%s of %s, %s lanes", d.LinkSpeed, d.LinkSpeedMax, d.LinkWidth), "the slot or power saving holds the disk back: look at lspci -vv")
	}
	return passed(fmt.Sprintf("%s, %s lanes", d.LinkSpeed, d.LinkWidth))
}

// What the quick plan writes: the emulator's spill file, fio's two, adapters,
// and the runs themselves; and what fio's files leave free.
const (
	spaceLeast   = 6 << 30
	spaceReserve = 20 << 30
)

func space(_ context.Context, h *host) Finding {
	if h.place.FreeBytes == nil || h.results.FreeBytes == nil {
		return failed(h.place.Reason+h.results.Reason, "choose directories that are there (--dir, --results)")
	}
	free := *h.place.FreeBytes
	said := fmt.Sprintf("%s at %s", size(free), h.Dir)
	if h.results.Dir != h.place.Dir {
		said += fmt.Sprintf(", %s at %s", size(*h.results.FreeBytes), h.Results)
	}
	switch {
	case free < spaceLeast || *h.results.FreeBytes < 1<<30:
		return failed(said, fmt.Sprintf("the quick plan writes about %s there, and up to 1 GiB of results: free some", size(spaceLeast)))
	case free < spaceLeast+spaceReserve:
		return warned(said, fmt.Sprintf("fio's file leaves a tenth of the disk and at least %s free: H4 may refuse (free some)", size(spaceReserve)))
	}
	return passed(said)
}

func diskLog(ctx context.Context, h *host) Finding {
	if h.Device == "" {
		return warned("no disk to ask", "see above")
	}
	s, err := h.smart(ctx, h.Device)
	const lost = "H7 then judges by the kernel's own counters"
	switch {
	case err != nil:
		return warned(err.Error(), lost)
	case s.Log != nil:
		return passed(fmt.Sprintf("of %s, by %s", s.Device, s.Source))
	case errors.Is(errNotRoot(s), smart.ErrNotRoot):
		return warned(s.Why(), "run as root; "+lost)
	}
	return warned(s.Why(), lost)
}

// errNotRoot is the reason as an error, where it is the user's rights.
func errNotRoot(s smart.Snapshot) error {
	if strings.Contains(s.Why(), smart.ErrNotRoot.Error()) {
		return smart.ErrNotRoot
	}
	return nil
}

// fio is found, and reads a scratch file on the disk with its best engine.
func fio(ctx context.Context, h *host) Finding {
	f, err := fioctl.Find(ctx, h.Fio, h.place.Dir)
	switch {
	case errors.Is(err, fioctl.ErrNoFio), errors.Is(err, fioctl.ErrOldFio):
		return warned(err.Error(), "H4 is skipped without it; SPARK_LEVER=throttle proves less")
	case err != nil:
		return warned(err.Error(), "H4 cannot load this disk (choose another directory)")
	case f.Engine == fioctl.EnginePsync:
		return warned(fmt.Sprintf("fio %s with %s: %s", f.Version, f.Engine, f.EngineWhy), "a depth takes a thread each: allow io_uring or libaio")
	}
	return passed(fmt.Sprintf("fio %s, direct reads with %s", f.Version, f.Engine))
}

func pageCache(_ context.Context, h *host) Finding {
	path := filepath.Join(h.ProcRoot, "sys/vm/drop_caches")
	if err := unix.Access(path, unix.W_OK); err != nil {
		return warned(fmt.Sprintf("may not be dropped (%s: %v)", path, err), "adapters stay warm, so that H1 and H5 drop only their own files (as root, in a container with --privileged, all of it)")
	}
	return passed("may be dropped")
}

func controlGroup(_ context.Context, h *host) Finding {
	const remedy = "a server's own I/O cannot be told apart nor limited (H4's second lever): run as root, in a container with --privileged"
	own, err := cgroup.Own(h.ProcRoot)
	if err != nil {
		return warned(err.Error(), remedy)
	}
	root := filepath.Join(h.SysRoot, "fs/cgroup")
	dir, version := filepath.Join(root, filepath.Dir(own[""])), "version 2"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		parent, ok := own["blkio"]
		if !ok {
			return warned("neither version 2 nor blkio of version 1 in "+root, remedy)
		}
		dir, version = filepath.Join(root, "blkio", parent), "version 1"
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return warned(fmt.Sprintf("%s, and %s is not writable: %v", version, dir, err), remedy)
	}
	return passed(version + ", groups may be made in " + dir)
}
