package emulator

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tiny is a server small enough to reason about: blocks of 4 tokens and 4 KiB.
func tiny() Config {
	return Config{
		Model: "tiny", Step: time.Millisecond, PrefillBudgetTokens: 8, PrefillChunkTokens: 4, MaxSeqs: 4,
		MaxContextTokens: 128, KVBytesPerToken: 1024, BlockTokens: 4, PoolTokens: 64 * 4,
		SpillBytes: 32 * 4096, SpillDir: "unused", IODepth: 4, SpillAfterUses: 1, Seed: 7,
	}
}

// heard is a sink that remembers.
type heard struct {
	tokens int
	last   bool
	err    error
}

func (h *heard) token(index int, last bool, _ *stepMark) {
	h.tokens++
	h.last = h.last || last
}
func (h *heard) fail(err error) { h.err = err }

// prompts of one name share all tokens up to the shorter one's end.
func prompt(name uint32, tokens int) []uint32 {
	toks := make([]uint32, tokens)
	for i := range toks {
		toks[i] = name<<16 + uint32(i)
	}
	return toks
}

func newSeq(cfg Config, toks []uint32, output int) *seq {
	return &seq{prompt: len(toks), output: output, out: &heard{}, hashes: chainHashes(cfg.Seed, toks, cfg.BlockTokens)}
}

// world is a scheduler over a make-believe memory and disk, which hold the
// names of blocks instead of their bytes.
type world struct {
	t      *testing.T
	s      *sched
	now    time.Duration
	mem    []uint64
	slots  []uint64
	flying []op
	live   []*seq
}

func newWorld(t *testing.T, cfg Config) *world {
	return &world{t: t, s: newSched(cfg), mem: make([]uint64, cfg.poolBlocks()), slots: make([]uint64, cfg.spillSlots())}
}

func (w *world) submit(toks []uint32, output int) *seq {
	q := newSeq(w.s.cfg, toks, output)
	w.s.submit(q)
	w.live = append(w.live, q)
	return q
}

// begin admits and collects the I/O that starts, checking that no two touch the
// same memory or a slot that is being written.
func (w *world) begin() {
	w.s.admit(w.now)
	for _, o := range w.s.store.takeOps() {
		for _, f := range w.flying {
			require.NotEqual(w.t, f.block, o.block, "two I/Os on one block of memory")
			if f.write || o.write {
				require.NotEqual(w.t, f.slot, o.slot, "a slot is written while it is in use")
			}
		}
		if o.write {
			require.Equal(w.t, o.hash, w.mem[o.block], "writes the block it names")
		} else {
			require.Equal(w.t, o.hash, w.slots[o.slot], "reads the block it names")
		}
		w.flying = append(w.flying, o)
	}
}

// land finishes I/O i.
func (w *world) land(i int, err error) {
	o := w.flying[i]
	w.flying = append(w.flying[:i], w.flying[i+1:]...)
	switch {
	case o.write:
		require.Equal(w.t, o.hash, w.mem[o.block], "memory changed while it was written")
		w.slots[o.slot] = o.hash
		if err != nil {
			w.slots[o.slot] = 0
		}
	case err == nil:
		require.Equal(w.t, o.hash, w.slots[o.slot], "slot changed while it was read")
		w.mem[o.block] = o.hash
	}
	w.s.done(o, err)
}

func (w *world) landAll() {
	for len(w.flying) > 0 {
		w.land(0, nil)
		w.begin()
	}
}

// step is one engine step; it returns what left.
func (w *world) step() []emission {
	w.begin()
	dur, fills := w.s.plan(nil)
	for _, f := range fills {
		w.mem[f.block] = f.hash
	}
	for _, q := range w.s.decoding {
		w.checkMemory(q)
	}
	w.now += dur
	out := w.s.advance(w.now, nil)
	for _, e := range out {
		e.q.out.token(e.index, e.last, nil)
	}
	return out
}

// checkMemory says that a running sequence still has the blocks of its prompt.
func (w *world) checkMemory(q *seq) {
	for i, h := range q.hashes {
		require.Equal(w.t, h, w.mem[q.blocks[i]], "a pinned block lost its content")
	}
}

func (w *world) run(q *seq) int {
	for n := 1; ; n++ {
		w.step()
		w.landAll()
		if h := q.out.(*heard); h.last || h.err != nil {
			return n
		}
		require.Less(w.t, n, 10_000, "sequence never ends")
	}
}

func TestRandomLoadKeepsTheInvariants(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		cfg := tiny()
		cfg.SpillAfterUses = 1 + r.IntN(2)
		cfg.SpillBytes = int64(4+r.IntN(60)) * 4096
		cfg.MaxSeqs = 1 + r.IntN(6)
		if r.IntN(8) == 0 {
			cfg.SpillBytes = 0
		}
		failing := r.IntN(3) == 0
		w := newWorld(t, cfg)
		for n := range 400 {
			w.mischief(r, failing)
			if n%4 == 0 {
				w.checkBooks()
			}
		}
		for n := 0; w.s.seats()+len(w.s.waiting)+len(w.flying) > 0; n++ {
			w.step()
			w.landAll()
			require.Less(t, n, 3000, "everybody is served in the end")
		}
		w.checkBooks()
		w.checkEmpty(failing)
	}
}

// mischief does one random thing.
func (w *world) mischief(r *rand.Rand, failing bool) {
	switch k := r.IntN(10); {
	case k < 3:
		toks := prompt(uint32(r.IntN(6)), 1+r.IntN(90))
		if r.IntN(2) == 0 {
			toks = append(toks, prompt(uint32(100+r.IntN(1000)), 1+r.IntN(20))...)
		}
		w.submit(toks, 1+r.IntN(12))
	case k < 4 && len(w.live) > 0:
		w.s.abort(w.live[r.IntN(len(w.live))])
	case k < 7 && len(w.flying) > 0:
		var err error
		if failing && r.IntN(10) == 0 {
			err = errors.New("the disk is broken")
		}
		w.land(r.IntN(len(w.flying)), err)
	default:
		w.step()
	}
	w.begin()
}

// checkBooks counts every block and slot once and once only.
func (w *world) checkBooks() {
	t, p := w.t, w.s.store.pool
	refs := make([]int, len(p.blocks))
	for _, list := range [][]*seq{w.s.loading, w.s.prefilling, w.s.decoding} {
		for _, q := range list {
			for _, id := range q.blocks {
				refs[id]++
			}
		}
	}
	pinned := 0
	for id := range p.blocks {
		b := &p.blocks[id]
		if b.moving {
			refs[id]++
		}
		require.Equal(t, refs[id], b.refs, "references are the sequences' and the I/O's")
		require.Equal(t, b.refs == 0 && b.named, p.cached.in[id], "cached means named and unreferenced")
		if b.refs > 0 {
			pinned++
		}
		if b.named {
			require.EqualValues(t, id, p.index[b.hash])
		}
	}
	require.Equal(t, pinned, p.pinned)
	require.Equal(t, len(p.blocks), pinned+p.available(), "no block is lost")
	tr := w.s.store.tier
	if tr == nil {
		require.Empty(t, w.flying)
		return
	}
	busy := 0
	for id := range tr.slots {
		if s := &tr.slots[id]; s.writing || s.readers > 0 {
			busy++
			require.False(t, tr.lru.in[id], "a busy slot is not up for reuse")
		}
	}
	require.Equal(t, len(tr.slots), busy+len(tr.free)+tr.lru.len, "no slot is lost")
}

// checkEmpty wants everybody served and everything given back.
func (w *world) checkEmpty(failing bool) {
	require.Zero(w.t, w.s.seats()+len(w.s.waiting))
	require.Zero(w.t, w.s.store.pool.pinned)
	ended := 0
	for _, q := range w.live {
		h := q.out.(*heard)
		if h.last {
			require.Equal(w.t, q.output, h.tokens)
		}
		if h.last || h.err != nil {
			ended++
		}
		if !failing {
			require.NoError(w.t, h.err)
		}
	}
	require.EqualValues(w.t, len(w.live), int64(ended)+w.s.aborted)
}
