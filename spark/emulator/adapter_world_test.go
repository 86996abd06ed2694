package emulator

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/spark/adapters"
)

// loraWorld is a world whose scheduler has a bank over make-believe files. A
// slot remembers which reading of which adapter it holds.
type loraWorld struct {
	*world
	cat      *catalogue
	names    []string
	mem      []uint64 // by slot: the sum of what is in it
	moving   []adapterOp
	reads    uint64 // each reading has a sum of its own
	lastRead map[string]uint64
	idleAt   map[int32]int // since when an adapter is idle, in actions
	actions  int
}

func newLoraWorld(t *testing.T, cfg Config, slots, loras int, drop bool) *loraWorld {
	w := &loraWorld{
		world: newWorld(t, cfg), cat: newCatalogue(), mem: make([]uint64, slots),
		lastRead: map[string]uint64{}, idleAt: map[int32]int{},
	}
	for range loras {
		w.register()
	}
	w.s.bank = newBank(slots, drop, false, w.cat.at)
	return w
}

// register adds one more adapter; every third shares its file with the one
// before, as one directory registered under two names does.
func (w *loraWorld) register() {
	n := len(w.names)
	name := fmt.Sprintf("a%d", n)
	require.NoError(w.t, w.cat.add(adapters.Adapter{Name: name, File: fmt.Sprintf("f%d", n-n%3/2), Bytes: 100}, 0))
	w.names = append(w.names, name)
}

func (w *loraWorld) ask(adapter string, toks []uint32, output int) *seq {
	q := newSeq(w.s.cfg, toks, output)
	if adapter != "" {
		l, err := w.cat.named(adapter)
		if err != nil {
			return nil
		}
		q.adapter = l.id
		q.hashes = chainHashes(w.s.cfg.blockSeed(q.adapter), toks, w.s.cfg.BlockTokens)
	}
	w.s.submit(q)
	w.live = append(w.live, q)
	return q
}

// begin admits, collects the work that starts, and checks that nothing reads a
// file that is being dropped, or into a slot that is in use.
func (w *loraWorld) begin() {
	before := w.snapshot()
	w.world.begin()
	w.checkVictims(before)
	for _, list := range [][]*seq{w.s.loading, w.s.prefilling, w.s.decoding} {
		for _, q := range list {
			delete(w.idleAt, q.adapter)
		}
	}
	for _, o := range w.s.bank.takeOps() {
		for _, f := range w.moving {
			require.False(w.t, o.slot != none && f.slot == o.slot, "two loads into one slot")
			require.False(w.t, o.lora.file == f.lora.file && (o.slot == none) != (f.slot == none), "a file is read and dropped at once")
		}
		if o.slot != none {
			w.mem[o.slot] = 0
		}
		w.moving = append(w.moving, o)
	}
}

// arrive ends load or drop i.
func (w *loraWorld) arrive(i int, err error) {
	o := w.moving[i]
	w.moving = append(w.moving[:i], w.moving[i+1:]...)
	r := loaded{op: o, err: err}
	if o.slot != none && err == nil {
		w.reads++
		r.sum = w.reads
		w.mem[o.slot] = r.sum
	}
	w.s.adapterDone(r, w.now+1)
}

func (w *loraWorld) arriveAll() {
	for len(w.moving)+len(w.flying) > 0 {
		if len(w.moving) > 0 {
			w.arrive(0, nil)
		} else {
			w.land(0, nil)
		}
		w.begin()
	}
}

func (w *loraWorld) step() []emission {
	w.begin()
	for _, list := range [][]*seq{w.s.prefilling, w.s.decoding} {
		for _, q := range list {
			w.checkAdapter(q)
		}
	}
	return w.world.step()
}

// checkAdapter says that a running sequence's adapter is in memory, as it was
// read for it.
func (w *loraWorld) checkAdapter(q *seq) {
	if q.adapter <= 0 {
		require.Zero(w.t, q.adapterSum)
		return
	}
	h := w.s.bank.known[q.adapter]
	require.NotEqual(w.t, none, h.slot, "a running sequence's adapter was evicted")
	require.False(w.t, h.moving, "it runs before its adapter is there")
	require.Equal(w.t, w.mem[h.slot], q.adapterSum, "it knows the bytes in memory")
	require.Positive(w.t, q.adapterSum)
}

// snapshot is since when each idle adapter is idle.
func (w *loraWorld) snapshot() map[int32]int {
	w.actions++
	now := map[int32]int{}
	for slot, h := range w.s.bank.slots {
		if h == nil || !w.s.bank.idle.in[slot] {
			continue
		}
		at, ok := w.idleAt[h.lora.id]
		if !ok {
			at = w.actions
		}
		now[h.lora.id] = at
	}
	w.idleAt = now
	return maps.Clone(now)
}

// checkVictims wants those that were evicted to be idle for longer than those
// that stayed idle.
func (w *loraWorld) checkVictims(before map[int32]int) {
	for victim, at := range before {
		if h := w.s.bank.known[victim]; h == nil || h.slot != none {
			continue
		}
		for slot, h := range w.s.bank.slots {
			if h == nil || !w.s.bank.idle.in[slot] {
				continue
			}
			if other, ok := before[h.lora.id]; ok {
				require.LessOrEqual(w.t, at, other, "the one idle longest goes first")
			}
		}
	}
}

func TestRandomAdaptersKeepTheInvariants(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		cfg := tiny()
		cfg.MaxSeqs = 1 + r.IntN(8)
		if r.IntN(2) == 0 {
			cfg.SpillBytes = 0
		}
		failing := r.IntN(3) == 0
		w := newLoraWorld(t, cfg, 1+r.IntN(5), 1+r.IntN(12), r.IntN(2) == 0)
		for n := range 400 {
			w.mischief(r, failing)
			if n%3 == 0 {
				w.checkBank()
			}
		}
		for n := 0; w.s.seats()+len(w.s.waiting)+len(w.flying)+len(w.moving) > 0; n++ {
			w.step()
			w.arriveAll()
			require.Less(t, n, 5000, "everybody is served in the end")
		}
		w.checkBank()
		w.checkBooks()
		w.checkEmpty(failing)
		for _, name := range w.names { // those still there leave nothing behind
			if l, err := w.cat.named(name); err == nil {
				require.NoError(t, w.cat.unregister(name))
				w.s.retire(l.id)
			}
		}
		w.begin()
		w.arriveAll()
		require.Empty(t, w.s.bank.known)
		require.Empty(t, w.s.bank.copies)
		require.Empty(t, w.s.bank.leaving)
		require.Len(t, w.s.bank.free, len(w.s.bank.slots))
	}
}

// mischief does one random thing.
func (w *loraWorld) mischief(r *rand.Rand, failing bool) {
	fault := func() error {
		if failing && r.IntN(8) == 0 {
			return errors.New("the disk is broken")
		}
		return nil
	}
	switch k := r.IntN(20); {
	case k < 7:
		name := ""
		if r.IntN(5) > 0 {
			name = w.names[r.IntN(len(w.names))]
		}
		w.ask(name, prompt(uint32(r.IntN(6)), 1+r.IntN(90)), 1+r.IntN(12))
	case k < 8 && len(w.live) > 0:
		w.s.abort(w.live[r.IntN(len(w.live))])
	case k < 11 && len(w.moving) > 0:
		w.arrive(r.IntN(len(w.moving)), fault())
	case k < 12 && len(w.flying) > 0:
		w.land(r.IntN(len(w.flying)), fault())
	case k < 13 && r.IntN(3) == 0:
		name := w.names[r.IntN(len(w.names))]
		if l, err := w.cat.named(name); err == nil {
			require.NoError(w.t, w.cat.unregister(name))
			w.s.retire(l.id)
		}
	case k < 14 && r.IntN(3) == 0:
		w.register()
	default:
		w.step()
	}
	w.begin()
}

// checkBank counts every slot and every need once and once only.
func (w *loraWorld) checkBank() {
	t, b := w.t, w.s.bank
	users, waiting := map[int32]int{}, map[int32]int{}
	for _, list := range [][]*seq{w.s.loading, w.s.prefilling, w.s.decoding} {
		for _, q := range list {
			users[q.adapter]++
		}
	}
	for _, q := range w.s.waiting {
		waiting[q.adapter]++
	}
	for id, h := range b.known {
		require.Equal(t, users[id], h.users, "users are the admitted sequences")
		require.Equal(t, waiting[id], h.waiting)
		if h.slot != none {
			require.True(t, h == b.slots[h.slot])
		}
		for _, q := range h.waiters {
			require.True(t, slices.Contains(w.s.loading, q), "nobody waits who is gone")
		}
	}
	busy := 0
	for slot, h := range b.slots {
		if h == nil {
			require.True(t, slices.Contains(b.free, int32(slot)))
			continue
		}
		require.EqualValues(t, slot, h.slot)
		idle := h.users == 0 && !h.moving
		require.Equal(t, idle, b.idle.in[slot], "idle means in memory and needed by nobody")
		if !idle {
			busy++
		}
	}
	require.Equal(t, len(b.slots), busy+b.idle.len+len(b.free), "no slot is lost")
}
