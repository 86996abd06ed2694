package smart

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/spark-harness/harness/internal/blockdev"
	"github.com/spark-harness/harness/internal/clock"
)

// Reader reads snapshots of one machine's disks. It keeps to the source that
// answered first, so that a run's snapshots compare and a disk without a log is
// not asked for one before every arm. It is for one goroutine. The zero value
// reads this machine.
type Reader struct {
	Epoch time.Duration // instants count from it

	proc, sys, dev string // roots, "" for this machine's
	clk            clock.Clock
	started        bool
	page           func(node string) ([]byte, error)
	tool           func(ctx context.Context, name string, args ...string) ([]byte, error)

	device  string    // the one that settled is about
	settled string    // the source that answered, "" before
	tried   []Attempt // those before it
}

// Read takes one snapshot of a device such as "nvme0n1" of this machine.
func Read(ctx context.Context, device string) (Snapshot, error) {
	return new(Reader).Read(ctx, device)
}

// Read takes a snapshot of a block device by its kernel name; of a partition,
// device-mapper or loop device, of the one disk below it. Where no source has the
// disk's log the stand-in is taken and no error given: Snapshot.Tried says why.
// With an error, the snapshot says only that and why nothing was read. It takes
// about a millisecond with the ioctl, tens of them with a tool.
func (r *Reader) Read(ctx context.Context, device string) (Snapshot, error) {
	r.start()
	s := Snapshot{Asked: device, At: r.clk.Now() - r.Epoch}
	fail := func(err error) (Snapshot, error) {
		return Snapshot{Asked: device, At: s.At, Absent: err.Error()}, err
	}
	d, err := blockdev.Named(device, r.sys)
	if err != nil {
		return fail(fmt.Errorf("smart: read %s: %w", device, err))
	}
	s.Device = d.Name
	if r.device != d.Name {
		r.device, r.settled, r.tried = d.Name, "", nil
	}
	dir := filepath.Join(r.sys, "block", d.Name)
	r.identify(&s, dir)
	if err := r.log(ctx, &s, d); err != nil {
		return fail(err)
	}
	if err := r.kernel(&s, dir); err != nil {
		return fail(err)
	}
	s.Took = r.clk.Now() - r.Epoch - s.At
	return s, nil
}

func (r *Reader) start() {
	if r.started {
		return
	}
	r.started, r.clk = true, clock.New()
	r.proc, r.sys, r.dev = cmp.Or(r.proc, "/proc"), cmp.Or(r.sys, "/sys"), cmp.Or(r.dev, "/dev")
	if r.page == nil {
		r.page = readPage
	}
	if r.tool == nil {
		r.tool = runTool
	}
}

// identify reads who the disk is from sysfs, of NVMe from its controller.
func (r *Reader) identify(s *Snapshot, dir string) {
	s.Model = text(filepath.Join(dir, "device/model"))
	s.Firmware = text(filepath.Join(dir, "device/firmware_rev"))
	if serial := text(filepath.Join(dir, "device/serial")); serial != "" {
		sum := sha256.Sum256([]byte(serial))
		s.SerialHash = hex.EncodeToString(sum[:])[:12]
	}
	s.Limits = limitsOf(filepath.Join(dir, "queue"))
}

// kernel reads the block layer's counters and the kernel's second count.
func (r *Reader) kernel(s *Snapshot, dir string) error {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return fmt.Errorf("smart: read %s: %w", s.Device, err)
	}
	vmstat, err := os.ReadFile(filepath.Join(r.proc, "vmstat"))
	if err == nil { // absent otherwise: the log is worth keeping without
		s.Paged = ParsePaged(string(vmstat))
	}
	b, err := ParseBlock(string(stat))
	if err != nil {
		return fmt.Errorf("%w: %s", err, s.Device)
	}
	s.Block = &b
	return nil
}

// log fills in the disk's log from the first source that has it.
func (r *Reader) log(ctx context.Context, s *Snapshot, d blockdev.Device) error {
	var tried []Attempt
	for _, source := range r.sources(d) {
		err := source.read(ctx, s)
		if err == nil {
			s.Source, s.Tried = source.name, slices.Concat(r.tried, tried)
			r.settle(s)
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("smart: read %s: %w", s.Device, err)
		}
		s.Log, s.Page, s.Raw = nil, nil, nil
		tried = append(tried, Attempt{source.name, err.Error()})
	}
	s.Source, s.Tried = SourceDiskstats, slices.Concat(r.tried, tried)
	r.settle(s)
	return nil
}

// settle keeps to a source once it answered. A later failure is that snapshot's
// alone.
func (r *Reader) settle(s *Snapshot) {
	if r.settled == "" {
		r.settled, r.tried = s.Source, s.Tried
	}
}

// source is one way to the log.
type source struct {
	name string
	read func(context.Context, *Snapshot) error
}

// namespace is the kernel's name of an NVMe disk; its controller is the first
// part.
var namespace = regexp.MustCompile(`^(nvme\d+)n\d+$`)

// sources are the ways worth trying for the disk.
func (r *Reader) sources(d blockdev.Device) []source {
	if r.settled == SourceDiskstats {
		return nil
	}
	all := []source{
		{SourceIoctl, func(_ context.Context, s *Snapshot) error { return r.fromPage(s, d) }},
		{SourceSmartctl, func(ctx context.Context, s *Snapshot) error {
			return r.fromTool(ctx, s, d, ParseSmartctl, "smartctl", "--json", "-A")
		}},
		{SourceNVMeCLI, func(ctx context.Context, s *Snapshot) error {
			return r.fromTool(ctx, s, d, ParseNVMeCLI, "nvme", "smart-log", "-o", "json")
		}},
	}
	if r.settled == "" {
		return all
	}
	return slices.DeleteFunc(all, func(s source) bool { return s.name != r.settled })
}

func (r *Reader) fromPage(s *Snapshot, d blockdev.Device) error {
	names := namespace.FindStringSubmatch(d.Name)
	if names == nil || d.Several {
		return fmt.Errorf("smart: %s is not an NVMe disk: %w", d.Name, ErrNoLog)
	}
	var errs []error
	for _, name := range names { // the namespace, then its controller
		page, err := r.page(filepath.Join(r.dev, name))
		if err == nil {
			var l Log
			if l, err = ParsePage(page); err == nil {
				s.Log, s.Page = &l, page
				return nil
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (r *Reader) fromTool(ctx context.Context, s *Snapshot, d blockdev.Device, parse func([]byte) (Log, error), name string, args ...string) error {
	if d.Several {
		return fmt.Errorf("smart: %s stands on several disks: %w", d.Name, ErrNoLog)
	}
	out, err := r.tool(ctx, name, append(args, filepath.Join(r.dev, d.Name))...)
	if err != nil {
		return err
	}
	l, err := parse(out)
	if err != nil {
		return err
	}
	raw, err := redact(out)
	if err != nil {
		return err
	}
	s.Log, s.Raw = &l, json.RawMessage(raw)
	return nil
}
