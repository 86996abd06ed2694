package emulator

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/internal/pagecache"
)

// adapterLoaders is how many adapters are read at once. More would hold more of
// the processors that the engine needs and share the same disk.
const adapterLoaders = 2

// loader performs the bank's ops on real files and real memory: it reads
// adapters into their slots, at most adapterLoaders at a time and in order of
// arrival, and drops those that were evicted from the page cache, beside them
// so that no load waits for a drop.
type loader struct {
	clk    clock.Clock
	slots  *arena // one block a slot
	mapped bool
	land   func(loaded) // called from run's goroutines; must not block

	mu     sync.Mutex
	more   *sync.Cond
	loads  []adapterOp
	drops  []adapterOp
	closed bool // take no more, forget the queues

	table *crc32.Table
}

func newLoader(clk clock.Clock, slots *arena, mapped bool, land func(loaded)) *loader {
	l := &loader{clk: clk, slots: slots, mapped: mapped, land: land, table: crc32.MakeTable(crc32.Castagnoli)}
	l.more = sync.NewCond(&l.mu)
	return l
}

// submit queues ops. It may be called from any goroutine.
func (l *loader) submit(ops []adapterOp) {
	if len(ops) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	for _, o := range ops {
		if o.slot == none {
			l.drops = append(l.drops, o)
		} else {
			l.loads = append(l.loads, o)
		}
	}
	l.more.Broadcast()
}

// close makes run forget what is queued and return after the pieces being read.
func (l *loader) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.loads, l.drops = true, nil, nil
	l.more.Broadcast()
}

// stopping is the reason to give up a read, or nil.
func (l *loader) stopping() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errStopping
	}
	return nil
}

// run works until close.
func (l *loader) run() error {
	var all sync.WaitGroup
	for range adapterLoaders {
		all.Go(func() { l.serve(&l.loads, l.load) })
	}
	all.Go(func() { l.serve(&l.drops, l.forget) })
	all.Wait()
	return nil
}

// serve does what comes into one queue.
func (l *loader) serve(queue *[]adapterOp, do func(adapterOp) loaded) {
	for {
		l.mu.Lock()
		for len(*queue) == 0 && !l.closed {
			l.more.Wait()
		}
		if l.closed {
			l.mu.Unlock()
			return
		}
		o := (*queue)[0]
		*queue = (*queue)[1:]
		l.mu.Unlock()
		l.land(do(o))
	}
}

func (l *loader) load(o adapterOp) loaded {
	start := l.clk.Now()
	f := adapterFile{lora: o.lora, mapped: l.mapped, stop: l.stopping, table: l.table, buf: l.slots.bytes(o.slot)}
	sum, err := f.read()
	return loaded{op: o, sum: sum, took: l.clk.Now() - start, err: err}
}

func (l *loader) forget(o adapterOp) loaded {
	start := l.clk.Now()
	err := pagecache.Drop(o.lora.file)
	return loaded{op: o, took: l.clk.Now() - start, err: err}
}

// loadAll loads each adapter into the slot of its place, for a server that
// pins them, before run.
func (l *loader) loadAll(ctx context.Context, all []*lora) ([]loaded, error) {
	defer context.AfterFunc(ctx, l.close)()
	done := make([]loaded, len(all))
	var g errgroup.Group
	g.SetLimit(adapterLoaders)
	for i, a := range all {
		g.Go(func() error {
			done[i] = l.load(adapterOp{a, int32(i)})
			return done[i].err
		})
	}
	if err := g.Wait(); err != nil {
		if errors.Is(err, errStopping) {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("%w: %w", ErrAdapters, err)
	}
	return done, nil
}
