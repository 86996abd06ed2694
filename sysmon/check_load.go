package sysmon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// CheckLoad is a steady load for the self-check: direct reads and writes at
// random places of a file that is written first and removed afterwards, and
// loops that keep CPUs half busy. A nil CheckLoad is no load.
type CheckLoad struct {
	Dir        string `json:"dir"`         // where to put the file; on the checked device
	FileBytes  int64  `json:"file_bytes"`  // 0 = 256 MiB
	BlockBytes int    `json:"block_bytes"` // per I/O, a multiple of 4096; 0 = 16 KiB
	Readers    int    `json:"readers"`     // reads in flight
	Writers    int    `json:"writers"`     // writes in flight
	Busy       int    `json:"busy"`        // loops, each half of one CPU
}

// loadFile is a prepared load.
type loadFile struct {
	CheckLoad
	f *os.File
}

const directAlign = 4096

// prepare writes the file with real bytes and syncs it: a sparse file is read
// without touching the disk.
func (l *CheckLoad) prepare() (*loadFile, error) {
	if l == nil {
		return nil, nil
	}
	p := &loadFile{CheckLoad: *l}
	if p.FileBytes == 0 {
		p.FileBytes = 256 << 20
	}
	if p.BlockBytes == 0 {
		p.BlockBytes = 16 << 10
	}
	if p.BlockBytes < directAlign || p.BlockBytes%directAlign != 0 || p.FileBytes < int64(p.BlockBytes) ||
		min(p.Readers, p.Writers, p.Busy) < 0 {
		return nil, fmt.Errorf("sysmon: check load: %w: blocks of %d in %d bytes, %d readers, %d writers, %d loops",
			ErrConfig, p.BlockBytes, p.FileBytes, p.Readers, p.Writers, p.Busy)
	}
	name := fmt.Sprintf("%s/sysmon-check-%d.tmp", p.Dir, os.Getpid())
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_DIRECT, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sysmon: check load: create with O_DIRECT: %w (choose a directory on a disk)", err)
	}
	p.f = f
	buf := aligned(1 << 20)
	rng := rand.NewChaCha8([32]byte{1})
	for at := int64(0); at < p.FileBytes; at += int64(len(buf)) {
		_, _ = rng.Read(buf) // never fails
		if _, err := f.WriteAt(buf, at); err != nil {
			return nil, errors.Join(fmt.Errorf("sysmon: check load: fill: %w", err), p.remove())
		}
	}
	if err := f.Sync(); err != nil {
		return nil, errors.Join(fmt.Errorf("sysmon: check load: sync: %w", err), p.remove())
	}
	return p, nil
}

// remove closes and deletes the file.
func (p *loadFile) remove() error {
	if p == nil {
		return nil
	}
	return errors.Join(p.f.Close(), os.Remove(p.f.Name()))
}

// run keeps the load up until ctx is done.
func (p *loadFile) run(ctx context.Context) error {
	if p == nil {
		return nil
	}
	var g errgroup.Group
	for i := range p.Readers + p.Writers {
		g.Go(func() error { return p.direct(ctx, uint64(i), i < p.Readers) })
	}
	for range p.Busy {
		g.Go(func() error { spin(ctx); return nil })
	}
	return g.Wait()
}

func (p *loadFile) direct(ctx context.Context, seed uint64, read bool) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	buf := aligned(p.BlockBytes)
	blocks := p.FileBytes / int64(p.BlockBytes)
	for ctx.Err() == nil {
		at := rng.Int64N(blocks) * int64(p.BlockBytes)
		var err error
		if read {
			_, err = p.f.ReadAt(buf, at)
		} else {
			_, err = p.f.WriteAt(buf, at)
		}
		if err != nil {
			return fmt.Errorf("sysmon: check load: %w", err)
		}
	}
	return nil
}

// spin is busy for 2 ms of every 4, and yields between: a loop that never
// yields would delay the stamps of the tools' reports.
func spin(ctx context.Context) {
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for start := time.Now(); time.Since(start) < 2*time.Millisecond; {
			for range 1000 {
				_ = start.Nanosecond()
			}
			runtime.Gosched()
		}
	}
}

// aligned is a buffer that O_DIRECT accepts.
func aligned(n int) []byte {
	b := make([]byte, n+directAlign)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (directAlign - 1)
	return b[skip : skip+n : skip+n]
}
