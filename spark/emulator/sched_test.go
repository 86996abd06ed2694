package emulator

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStepsOfOneSequence(t *testing.T) {
	w := newWorld(t, tiny())
	q := w.submit(prompt(1, 18), 3)
	var first []int
	for n := 1; n <= 7; n++ {
		if len(w.step()) > 0 {
			first = append(first, n)
		}
	}
	// 18 tokens in chunks of 4 take 5 steps; the fifth brings the first token.
	require.Equal(t, []int{5, 6, 7}, first)
	require.Equal(t, 5*time.Millisecond, q.stamps.first)
	require.Equal(t, 7*time.Millisecond, q.stamps.last)
	require.False(t, w.s.busy())
	require.Zero(t, w.s.store.pool.pinned, "all memory is back")
}

func TestPresetsSaturateAtSixteenUsers(t *testing.T) {
	// The plan's queue knee: 256 tokens in, 32 out, no think time. Throughput
	// doubles up to 16 users and stays beyond; the batch limit is 64.
	rate := map[int]float64{}
	for _, users := range []int{1, 8, 16, 32, 48} {
		cfg, err := Preset("L8B")
		require.NoError(t, err)
		cfg.StepPerSeq = 0
		w := newWorld(t, cfg)
		name := uint32(0)
		for range users {
			name++
			w.submit(prompt(name, 256), 32)
		}
		done := 0
		const steps = 2000
		for range steps {
			for _, e := range w.step() {
				if e.last {
					done++
					name++
					w.submit(prompt(name, 256), 32)
				}
			}
			require.Empty(t, w.flying, "unique prompts must not page")
		}
		rate[users] = float64(done) / steps
	}
	require.InDelta(t, 8*rate[1], rate[8], 0.1*rate[8], "below the knee users do not disturb each other")
	require.InDelta(t, 16*rate[1], rate[16], 0.1*rate[16])
	require.InDelta(t, rate[16], rate[32], 0.1*rate[16], "past it throughput is flat")
	require.InDelta(t, rate[16], rate[48], 0.1*rate[16])
}

func TestFirstComeFirstServed(t *testing.T) {
	cfg := tiny()
	cfg.MaxSeqs = 2
	w := newWorld(t, cfg)
	a, b, c := w.submit(prompt(1, 8), 2), w.submit(prompt(2, 8), 2), w.submit(prompt(3, 8), 2)
	w.step()
	require.Equal(t, []seqState{seqPrefilling, seqPrefilling, seqWaiting}, []seqState{a.state, b.state, c.state}, "two seats")
	w.step()
	require.Equal(t, 2*time.Millisecond, a.stamps.first, "8 tokens of budget serve both at once")
	require.Equal(t, a.stamps.first, b.stamps.first, "tokens leave in lockstep")
	w.step()
	w.step()
	require.Equal(t, 3*time.Millisecond, c.stamps.admitted, "as soon as a seat is free")
}

func TestPrefixIsFoundInMemory(t *testing.T) {
	w := newWorld(t, tiny())
	w.run(w.submit(prompt(1, 32), 2))
	rows := []struct {
		reason string
		toks   []uint32
		cached int
	}{
		{"the last token is always computed, so the last block is too", prompt(1, 32), 28},
		{"a longer prompt finds all of the shorter", prompt(1, 40), 32},
		{"a shorter one finds what it has", prompt(1, 18), 16},
		{"another finds nothing", prompt(2, 32), 0},
		{"a changed first token changes every name", append([]uint32{9}, prompt(1, 32)[1:]...), 0},
		{"a changed last token leaves the blocks before", append(prompt(1, 31), 9), 28},
	}
	for _, r := range rows {
		q := w.submit(r.toks, 1)
		w.run(q)
		require.Equal(t, r.cached, q.cached(), r.reason)
		require.Zero(t, q.fromDisk, r.reason)
	}
}

// fillPool runs enough unique prompts to push everything out of the pool.
func fillPool(w *world, from uint32) {
	for i := range uint32(3) {
		w.run(w.submit(prompt(from+i, 100), 1))
	}
}

func TestEvictedPrefixComesBackFromDisk(t *testing.T) {
	w := newWorld(t, tiny())
	w.run(w.submit(prompt(1, 32), 2))
	fillPool(w, 10)
	other := w.submit(prompt(2, 4), 20)
	w.begin()
	w.landAll()
	w.step()
	q := w.submit(prompt(1, 40), 2)
	w.begin()
	require.Equal(t, seqLoading, q.state)
	require.Equal(t, 32, q.cached())
	require.Equal(t, 8, q.fromDisk)
	for range 5 {
		require.Len(t, w.step(), 1, "loading holds nobody else up")
	}
	require.Equal(t, 6, other.emitted)
	require.Zero(t, q.computed, "no prefill before the last block is there")
	w.run(q)
	w.now += time.Second
	require.Positive(t, q.stamps.loadEnd)
	require.LessOrEqual(t, q.stamps.loadEnd, q.stamps.first)
}

func TestUnsharedBlocksAreNotWritten(t *testing.T) {
	cfg := tiny()
	cfg.SpillAfterUses = 2
	w := newWorld(t, cfg)
	w.run(w.submit(prompt(1, 32), 1))
	for i := range uint32(6) {
		w.run(w.submit(prompt(10+i, 100), 1))
	}
	st := w.s.store
	require.Zero(t, len(st.tier.index))
	require.Positive(t, st.unshared)
	// The second visit computes again, and from then on the prefix is worth it.
	q := w.submit(prompt(1, 32), 1)
	w.run(q)
	require.Zero(t, q.cached())
	for i := range uint32(6) {
		w.run(w.submit(prompt(20+i, 100), 1))
	}
	require.Equal(t, 8, len(st.tier.index))
	q = w.submit(prompt(1, 32), 1)
	w.run(q)
	require.Equal(t, 7, q.fromDisk)
}

func TestHeadWaitsForMemory(t *testing.T) {
	w := newWorld(t, tiny()) // 64 blocks
	a := w.submit(prompt(1, 100), 28)
	b := w.submit(prompt(2, 100), 28)
	c := w.submit(prompt(3, 4), 1)
	w.begin()
	require.Equal(t, seqPrefilling, a.state)
	require.Equal(t, seqPrefilling, b.state, "32 blocks each fill the pool")
	require.Equal(t, seqWaiting, c.state)
	w.run(a)
	w.run(c)
	require.True(t, c.out.(*heard).last)
}

func TestAbortInEveryState(t *testing.T) {
	w := newWorld(t, tiny())
	w.run(w.submit(prompt(1, 32), 1))
	fillPool(w, 10)
	pinned := func() int { return w.s.store.pool.pinned }
	require.Zero(t, pinned())

	q := w.submit(prompt(1, 32), 9)
	require.True(t, w.s.abort(q), "waiting")
	q = w.submit(prompt(1, 32), 9)
	w.begin()
	require.Equal(t, seqLoading, q.state)
	require.True(t, w.s.abort(q))
	require.Positive(t, pinned(), "memory under I/O is not given away")
	w.landAll()
	require.Zero(t, pinned())
	q = w.submit(prompt(2, 32), 9)
	w.step()
	w.landAll()
	w.step()
	require.Equal(t, seqPrefilling, q.state)
	require.True(t, w.s.abort(q))
	q = w.submit(prompt(2, 4), 9)
	for q.state != seqDecoding {
		w.step()
		w.landAll()
	}
	require.True(t, w.s.abort(q))
	require.False(t, w.s.abort(q), "it is gone")
	require.Zero(t, pinned())
	require.EqualValues(t, 4, w.s.aborted)
}

func TestLostBlockFailsItsReaders(t *testing.T) {
	w := newWorld(t, tiny())
	w.run(w.submit(prompt(1, 32), 1))
	fillPool(w, 10)
	a, b := w.submit(prompt(1, 32), 1), w.submit(prompt(1, 40), 1)
	w.begin()
	require.Equal(t, seqLoading, a.state)
	require.Equal(t, seqLoading, b.state, "waits for the same reads")
	reads := 0
	for len(w.flying) > 0 {
		var err error
		if !w.flying[0].write {
			if reads++; reads == 3 {
				err = ErrCorrupt
			}
		}
		w.land(0, err)
		w.begin()
	}
	w.step()
	require.ErrorIs(t, a.out.(*heard).err, ErrCorrupt)
	require.ErrorIs(t, b.out.(*heard).err, ErrCorrupt)
	require.Zero(t, w.s.store.pool.pinned)
	c := w.submit(prompt(1, 32), 1)
	w.run(c)
	require.NoError(t, c.out.(*heard).err, "the bad block is computed again")
	require.Less(t, c.cached(), 28)
}

func TestLandingUnblocksTheHead(t *testing.T) {
	w := newWorld(t, tiny())
	w.run(w.submit(prompt(1, 120), 1))
	for i := range uint32(3) {
		w.run(w.submit(prompt(10+i, 100), 1))
	}
	q := w.submit(prompt(1, 124), 4)
	w.begin()
	require.Equal(t, seqLoading, q.state)
	w.s.abort(q)
	head := w.submit(prompt(2, 124), 132)
	w.begin()
	require.Equal(t, seqWaiting, head.state, "memory under I/O is not free yet")
	w.landAll()
	require.NotEqual(t, seqWaiting, head.state, "nothing else will ever happen")
}

func TestTailsAreEvictedFirst(t *testing.T) {
	cfg := tiny()
	cfg.SpillBytes = 0
	w := newWorld(t, cfg)
	w.run(w.submit(prompt(1, 32), 1))     // 9 blocks, one of them for the answer
	w.run(w.submit(prompt(2, 58*4-1), 1)) // 58 of 64
	q := w.submit(append(prompt(1, 32), 7), 1)
	w.run(q)
	require.Equal(t, 6*4, q.cached(), "two of eight are gone, and a prefix without its middle is none")
}
