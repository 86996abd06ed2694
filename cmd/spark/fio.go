package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/hypotheses"
	"github.com/spark-harness/harness/sysmon"
)

type fioCmd struct {
	Calibrate fioCalibrateCmd `cmd:"" help:"Measure what a disk can do, and find the loads that bring it to known levels of contention."`
	Probe     fioProbeCmd     `cmd:"" help:"Tell how slow a disk is for a reader right now."`
	Load      fioLoadCmd      `cmd:"" help:"Put a known load on a disk until Ctrl-C."`
}

// fioPlace is where a subcommand reads, and how.
type fioPlace struct {
	Dir     string `arg:"" type:"path" help:"A directory on the disk; the file that is read is made there once and found again."`
	Block   size   `default:"128KiB" help:"Size of one read. KV caches are read in about 128KiB."`
	Reserve *size  `help:"Bytes that stay free beside the file, 0 for none; default: a tenth of the file system, at least 20GiB."`
	Remove  bool   `help:"Remove the file at the end."`
}

// fioBinary is which fio.
type fioBinary struct {
	Fio string `default:"fio" help:"fio 3.28 or newer: a path, or a name in PATH."`
}

// disk is the disk below the directory.
func (p fioPlace) disk() (string, error) {
	d, err := sysmon.DeviceOf(p.Dir, "", "")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w (make it first)", err)
	}
	return d.Name, err
}

func (p fioPlace) spec(name string, bytes size) fioctl.TargetSpec {
	s := fioctl.TargetSpec{Dir: p.Dir, Name: name, SizeBytes: int64(bytes), Seed: hypotheses.TargetSeed}
	if p.Reserve != nil {
		s.ReserveBytes = int64(*p.Reserve)
		if s.ReserveBytes == 0 {
			s.ReserveBytes = -1
		}
	}
	return s
}

// orLarger is the spec, or that of a larger file that is there already.
func orLarger(s fioctl.TargetSpec) fioctl.TargetSpec {
	if info, err := os.Lstat(filepath.Join(s.Dir, s.Name)); err == nil && info.Size() > s.SizeBytes && info.Size()%mib == 0 {
		s.SizeBytes = info.Size()
	}
	return s
}

// open makes the file or finds it. done removes it again if that is wanted.
func (p fioPlace) open(ctx context.Context, s streams, live hypotheses.LiveLine, spec fioctl.TargetSpec) (t fioctl.Target, done func(*error), err error) {
	said := false
	t, err = fioctl.Prefill(ctx, spec, func(now, all int64) {
		if !said {
			fmt.Fprintf(s.err, "writing %s, %v\n", filepath.Join(spec.Dir, spec.Name), size(all))
			said = true
		}
		live.Show(fmt.Sprintf("writing %s: %d of %d MiB", spec.Name, now/mib, all/mib))
	})
	live.Clear()
	return t, func(err *error) {
		if p.Remove {
			*err = errors.Join(*err, t.Remove())
		}
	}, err
}

func (b fioBinary) find(ctx context.Context, s streams, dir string) (fioctl.Fio, error) {
	f, err := fioctl.Find(ctx, b.Fio, dir)
	if err != nil {
		return f, err
	}
	fmt.Fprintf(s.err, "fio %s, engine %s", f.Version, f.Engine)
	if f.EngineWhy != "" {
		fmt.Fprintf(s.err, " (%s)", f.EngineWhy)
	}
	fmt.Fprintln(s.err)
	return f, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

const mib = 1 << 20

// size is a number of bytes, typed and printed as people do: 2GiB, 128KiB.
type size int64

// units are those that a size may have. A bare letter is the binary one, as
// for fio.
func units() []struct {
	name  string
	bytes int64
} {
	return []struct {
		name  string
		bytes int64
	}{
		{"TiB", 1 << 40},
		{"GiB", 1 << 30},
		{"MiB", 1 << 20},
		{"KiB", 1 << 10},
		{"TB", 1e12},
		{"GB", 1e9},
		{"MB", 1e6},
		{"kB", 1e3},
		{"T", 1 << 40},
		{"G", 1 << 30},
		{"M", 1 << 20},
		{"K", 1 << 10},
		{"k", 1 << 10},
		{"B", 1},
		{"", 1},
	}
}

// UnmarshalText reads a whole number with one of the units.
func (z *size) UnmarshalText(text []byte) error {
	for _, u := range units() {
		number, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(number, 10, 63); err == nil && int64(n) <= math.MaxInt64/u.bytes {
			*z = size(int64(n) * u.bytes)
			return nil
		}
	}
	return fmt.Errorf("size %q: want bytes such as 2GiB, 512MiB, 128KiB or 4096", text)
}

// String is the size in the largest binary unit that leaves a whole number.
func (z size) String() string {
	for _, u := range units()[:4] {
		if z != 0 && int64(z)%u.bytes == 0 {
			return fmt.Sprintf("%d%s", int64(z)/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%dB", int64(z))
}
