package emulator

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/spark/adapters"
)

func TestAdapterWaits(t *testing.T) {
	w := newLoraWorld(t, tiny(), 2, 4, true)
	a, twin, base := w.ask("a0", prompt(1, 4), 3), w.ask("a0", prompt(2, 4), 3), w.ask("", prompt(3, 4), 3)
	w.step()
	require.Equal(t, []seqState{seqLoading, seqLoading}, []seqState{a.state, twin.state}, "the load takes its time")
	require.Equal(t, seqDecoding, base.state, "the base model waits for nobody's adapter")
	require.Len(t, w.moving, 1, "two that want one adapter share its load")
	w.now += 5 * time.Millisecond
	w.arrive(0, nil)
	w.begin()
	require.Equal(t, []seqState{seqPrefilling, seqPrefilling}, []seqState{a.state, twin.state})
	require.Equal(t, 6*time.Millisecond+1, a.adapterLoad, "from admission to the load's end")
	require.Equal(t, []int64{100, 0}, []int64{a.adapterBytes, twin.adapterBytes}, "the bytes are counted once")
	late := w.ask("a0", prompt(4, 4), 3)
	w.step()
	require.Zero(t, late.adapterLoad, "resident")
	require.Equal(t, a.adapterSum, late.adapterSum)
	require.EqualValues(t, 1, w.s.bank.loads)
}

func TestNoSlotPassesOver(t *testing.T) {
	cfg := tiny()
	cfg.MaxSeqs = 8
	w := newLoraWorld(t, cfg, 2, 6, true)
	a, b := w.ask("a0", prompt(1, 4), 6), w.ask("a3", prompt(2, 4), 9)
	w.step()
	w.arriveAll()
	third, fourth := w.ask("a4", prompt(3, 4), 2), w.ask("a5", prompt(4, 4), 2)
	again, base := w.ask("a3", prompt(5, 4), 2), w.ask("", prompt(6, 4), 2)
	w.step()
	require.Equal(t, []seqState{seqWaiting, seqWaiting}, []seqState{third.state, fourth.state}, "both slots are in use")
	require.NotEqual(t, seqWaiting, again.state, "its adapter is there")
	require.NotEqual(t, seqWaiting, base.state, "it needs none")
	for a.state != seqGone {
		w.step()
	}
	w.begin()
	require.Equal(t, seqLoading, third.state, "the first of those passed over gets the next slot")
	require.Equal(t, seqWaiting, fourth.state)
	require.Equal(t, seqDecoding, b.state)
	require.EqualValues(t, 1, w.s.bank.evictions)
}

func TestDropComesBeforeTheNextLoad(t *testing.T) {
	w := newLoraWorld(t, tiny(), 1, 4, true)
	w.runAlone("a0")
	q := w.ask("a3", prompt(2, 4), 1)
	w.begin()
	require.Len(t, w.moving, 2)
	require.Equal(t, none, w.moving[0].slot, "a0 leaves the page cache")
	w.arrive(1, nil) // a3 is in memory, a0 still leaving
	for q.state != seqGone {
		w.step()
	}
	back := w.ask("a0", prompt(3, 4), 1)
	w.begin()
	require.Equal(t, seqWaiting, back.state, "what is read now would be dropped again")
	w.arrive(0, errors.New("the file is gone"))
	w.begin()
	require.Equal(t, seqLoading, back.state, "the drop is over, whatever came of it")
}

func TestDropUnblocksThosePassedOver(t *testing.T) {
	cfg := tiny()
	cfg.SpillBytes = 0
	w := newLoraWorld(t, cfg, 1, 1, true)
	w.runAlone("a0")
	l, err := w.cat.named("a0")
	require.NoError(t, err)
	require.NoError(t, w.cat.unregister("a0"))
	w.s.retire(l.id)
	require.NoError(t, w.cat.add(adapters.Adapter{Name: "a0", File: l.file, Bytes: l.bytes}, 0))
	base := w.ask("", prompt(4, 90), 60) // 38 of 64 blocks
	w.begin()
	back, huge := w.ask("a0", prompt(3, 4), 1), w.ask("", prompt(5, 90), 60)
	w.begin()
	require.Equal(t, []seqState{seqPrefilling, seqWaiting, seqWaiting}, []seqState{base.state, back.state, huge.state})
	require.True(t, w.s.blocked, "no memory for the last")
	require.Len(t, w.moving, 1)
	w.arrive(0, nil)
	w.begin()
	require.Equal(t, seqLoading, back.state, "its file has left, so it may come back")
}

// runAlone serves one sequence with an adapter from start to end.
func (w *loraWorld) runAlone(name string) *seq {
	q := w.ask(name, prompt(99, 4), 1)
	for n := 0; q.state != seqGone; n++ {
		w.step()
		for len(w.moving) > 0 && q.state == seqLoading {
			w.arrive(0, nil)
			w.begin()
		}
		require.Less(w.t, n, 100)
	}
	return q
}

func TestLeastLatelyUsedGoes(t *testing.T) {
	w := newLoraWorld(t, tiny(), 3, 9, false)
	for _, name := range []string{"a0", "a1", "a3", "a0", "a6"} {
		w.runAlone(name)
	}
	require.Zero(t, w.runAlone("a0").adapterLoad, "used again, so a1 had to go")
	require.Zero(t, w.runAlone("a3").adapterLoad)
	require.Positive(t, w.runAlone("a1").adapterLoad)
	require.EqualValues(t, 2, w.s.bank.evictions)
	require.Empty(t, w.moving, "nothing is dropped")
}

func TestFailedLoadFailsItsWaitersOnly(t *testing.T) {
	w := newLoraWorld(t, tiny(), 1, 2, true)
	a, twin, base := w.ask("a0", prompt(1, 4), 2), w.ask("a0", prompt(2, 4), 2), w.ask("", prompt(3, 4), 9)
	w.begin()
	w.arrive(0, errAdapterChanged)
	w.step()
	require.ErrorIs(t, a.out.(*heard).err, errAdapterChanged)
	require.ErrorIs(t, twin.out.(*heard).err, errAdapterChanged)
	require.NoError(t, base.out.(*heard).err)
	w.arriveAll() // the drop
	again := w.runAlone("a0")
	require.NoError(t, again.out.(*heard).err, "the next one tries again")
	require.EqualValues(t, 1, w.s.bank.loads)
}

func TestUnregisteredAdapterServesThoseItHas(t *testing.T) {
	w := newLoraWorld(t, tiny(), 2, 2, true)
	running := w.ask("a0", prompt(1, 4), 4)
	w.step()
	w.arriveAll()
	l, err := w.cat.named("a0")
	require.NoError(t, err)
	slow := newSeq(w.s.cfg, prompt(2, 4), 1) // found its adapter, but comes too late
	slow.adapter = l.id
	require.NoError(t, w.cat.unregister("a0"))
	quick := newSeq(w.s.cfg, prompt(5, 4), 1) // comes before the engine hears of it
	quick.adapter = l.id
	w.s.submit(quick)
	w.s.retire(l.id)
	w.s.submit(slow)
	require.ErrorIs(t, slow.out.(*heard).err, errUnknownAdapter)
	require.Equal(t, 1, w.s.bank.resident())
	for running.state != seqGone {
		w.step()
	}
	require.True(t, running.out.(*heard).last)
	require.True(t, quick.out.(*heard).last)
	require.Zero(t, w.s.bank.resident(), "its slot is free")
	w.begin()
	require.Len(t, w.moving, 1)
	require.Equal(t, none, w.moving[0].slot, "and its file leaves the page cache")
	require.ErrorIs(t, w.cat.unregister("a0"), errUnknownAdapter)
}

func TestWithoutAdaptersNobodyHasOne(t *testing.T) {
	w := newWorld(t, tiny())
	q := newSeq(w.s.cfg, prompt(1, 4), 1)
	q.adapter = 1
	w.s.submit(q)
	require.ErrorIs(t, q.out.(*heard).err, errUnknownAdapter)
	require.False(t, w.s.abort(q))
}
