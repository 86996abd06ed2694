package emulator

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/spark-harness/harness/internal/clock"
)

// landed is a finished I/O.
type landed struct {
	op   op
	err  error
	took time.Duration // from the submission to its collection
}

// disk performs the store's ops on the spill file, at most depth at a time, in
// order of arrival. It checks every byte: a write's checksum is taken before it
// leaves, and a read must match it and carry the right block.
type disk struct {
	clk   clock.Clock
	aio   *aio
	spill *spill
	arena *arena
	land  func([]landed) // called from run; must not block

	mu     sync.Mutex
	queue  []op
	closed bool // take no more, forget the queue
	ended  bool // the descriptors are gone

	flying  []op // by tag
	started []time.Duration
	tags    []int // free ones
}

func newDisk(clk clock.Clock, depth int, sp *spill, ar *arena, land func([]landed)) (*disk, error) {
	a, err := newAIO(depth)
	if err != nil {
		return nil, err
	}
	d := &disk{
		clk: clk, aio: a, spill: sp, arena: ar, land: land,
		flying: make([]op, depth), started: make([]time.Duration, depth),
	}
	for tag := range depth {
		d.tags = append(d.tags, tag)
	}
	return d, nil
}

// submit queues ops. It may be called from any goroutine.
func (d *disk) submit(ops []op) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(ops) == 0 || d.closed || d.ended {
		return
	}
	d.queue = append(d.queue, ops...)
	d.aio.kick()
}

// close makes run forget what is queued and return once nothing is in flight.
func (d *disk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed, d.queue = true, nil
	if !d.ended {
		d.aio.kick()
	}
}

// run does the I/O until close.
func (d *disk) run() error {
	err := d.serve()
	d.mu.Lock()
	d.ended = true // nobody kicks a descriptor that is about to go
	d.mu.Unlock()
	return errors.Join(err, d.aio.close())
}

func (d *disk) serve() error {
	for {
		if err := d.launch(); err != nil {
			return err
		}
		if d.idleForGood() {
			return nil
		}
		if err := d.aio.wait(); err != nil {
			return err
		}
		if err := d.collect(); err != nil {
			return err
		}
	}
}

func (d *disk) idleForGood() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed && len(d.tags) == len(d.flying)
}

// launch starts as many queued ops as the depth allows.
func (d *disk) launch() error {
	d.mu.Lock()
	n := min(len(d.queue), len(d.tags))
	ops := d.queue[:n:n]
	d.queue = d.queue[n:]
	d.mu.Unlock()
	if n == 0 {
		return nil
	}
	for i, o := range ops {
		tag := d.tags[len(d.tags)-1]
		d.tags = d.tags[:len(d.tags)-1]
		if o.write {
			o.crc = d.arena.crc(o.block)
		}
		d.flying[tag] = o
		d.aio.set(i, tag, o.write, d.spill.fd, d.arena.bytes(o.block), d.spill.offset(o.slot))
		d.started[tag] = d.clk.Now()
	}
	return d.aio.submit(n)
}

// collect checks what has come back and hands it on.
func (d *disk) collect() error {
	events, err := d.aio.reap()
	if err != nil || len(events) == 0 {
		return err
	}
	now := d.clk.Now()
	out := make([]landed, 0, len(events))
	for _, e := range events {
		tag := int(e.data)
		o := d.flying[tag]
		d.tags = append(d.tags, tag)
		out = append(out, landed{op: o, err: d.check(o, e.res), took: now - d.started[tag]})
	}
	d.land(out)
	return nil
}

func (d *disk) check(o op, res int64) error {
	verb := "read"
	if o.write {
		verb = "write"
	}
	switch {
	case res < 0:
		return fmt.Errorf("emulator: %s block in %s: %w", verb, d.spill.path, syscall.Errno(-res))
	case res != int64(d.arena.block):
		return fmt.Errorf("emulator: %s block in %s: %d bytes of %d: %w", verb, d.spill.path, res, d.arena.block, io.ErrUnexpectedEOF)
	case o.write:
		return nil
	case d.arena.crc(o.block) != o.crc || !d.arena.holds(o.block, o.hash):
		return fmt.Errorf("%w: %s at byte %d", ErrCorrupt, d.spill.path, d.spill.offset(o.slot))
	}
	return nil
}
