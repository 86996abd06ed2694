package fioctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sampleBytes   = 4096
	sampleBlocks  = 48       // read back at random places, besides the first and the last
	progressEvery = 16 << 20 // bytes
)

// Prefill makes the file of the spec, or finds it: a file of the right size,
// owner, header and sampled bytes, with no holes, is reused. An older target
// under the name is replaced; anything else there is refused.
//
// It writes 1 MiB at a time, direct, bytes that do not compress, to
// Name.partial, syncs, reads samples back, renames, and syncs the directory.
// When it fails or ctx is done, the partial file is removed and nothing else has
// been touched. One that a killed process left behind is removed by the next
// Prefill of the name; two at a time are ErrBusy.
//
// progress, which may be nil, is called from the calling goroutine about every
// 16 MiB and at the end. Errors are those of [TargetSpec.Validate], the Err
// values of this package, ctx's cause, and the system's.
func Prefill(ctx context.Context, s TargetSpec, progress func(done, total int64)) (Target, error) {
	return host().prefill(ctx, s, progress)
}

func (g guard) prefill(ctx context.Context, s TargetSpec, progress func(done, total int64)) (t Target, err error) {
	if err := s.Validate(); err != nil {
		return Target{}, err
	}
	if ctx.Err() != nil {
		return Target{}, fmt.Errorf("fioctl: prefill: %w", context.Cause(ctx))
	}
	p, err := g.openPlace(s.Dir, s.Memory)
	if err != nil {
		return Target{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()

	want := header{s.Seed, s.SizeBytes}
	t = Target{
		Path: p.join(s.Name), SizeBytes: s.SizeBytes, Seed: s.Seed,
		Device: p.dev, Memory: s.Memory, Made: true,
	}
	old, have, err := p.examine(s.Name)
	if err != nil {
		return Target{}, err
	}
	if old != nil {
		same := have == want && old.st.Size == want.Size && old.fullyWritten() == nil && old.matches(want) == nil
		t.AlignBytes, t.Reused = old.align, same
		if err := old.close(); err != nil || same {
			return t, err
		}
	}
	w := writer{place: p, spec: s, old: old, progress: progress}
	if err := w.run(ctx, &t); err != nil {
		return Target{}, err
	}
	return t, nil
}

// matches reads the first, the last and random blocks back and compares them
// with what the header says belongs there.
func (f *file) matches(h header) error {
	n := max(sampleBytes, f.align)
	got, free, err := alignedBuffer(int(n))
	if err != nil {
		return err
	}
	defer free()
	want := make([]byte, n)
	offs := []int64{0, h.Size - n}
	for range sampleBlocks {
		offs = append(offs, rand.Int64N(h.Size/n)*n)
	}
	for _, off := range offs {
		if err := f.readAt(got, off); err != nil {
			return err
		}
		if h.fill(want, off); !bytes.Equal(got, want) {
			return fmt.Errorf("fioctl: %s: other bytes at %d than were written (the disk or somebody changed them)", f.path, off)
		}
	}
	return nil
}

// Remove removes the file if Prefill made it and it still says so itself: same
// owner, header, seed and size. Nothing to remove is no error; a file that is
// not ours is ErrForeign and stays.
func (t Target) Remove() (err error) {
	if !t.Made {
		return fmt.Errorf("fioctl: remove %s: %w (remove it by hand)", t.Path, ErrForeign)
	}
	p, err := host().openPlace(filepath.Dir(t.Path), t.Memory)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	name := filepath.Base(t.Path)
	defer func() { err = errors.Join(err, p.close()) }()
	f, h, err := p.examine(name)
	if f == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if want := (header{t.Seed, t.SizeBytes}); h != want || !p.is(name, f) {
		return fmt.Errorf("fioctl: remove %s: %w: its header is of another target (remove it by hand)", t.Path, ErrForeign)
	}
	if err := unix.Unlinkat(p.fd, name, 0); err != nil {
		return fmt.Errorf("fioctl: remove %s: %w", t.Path, err)
	}
	return nil
}

// rate is bytes per second, 0 over no time.
func rate(n int64, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return float64(n) / took.Seconds()
}
