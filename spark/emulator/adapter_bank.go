package emulator

import (
	"slices"
	"time"
)

// adapterOp is one thing to do with an adapter's file: load it into a slot of
// memory, or drop it from the page cache.
type adapterOp struct {
	lora *lora
	slot int32 // none: drop
}

// loaded is what became of an adapterOp.
type loaded struct {
	op   adapterOp
	sum  uint64        // of the bytes read
	took time.Duration // from opening the file to its last byte in memory
	err  error
}

// holding is what the bank knows of one adapter.
type holding struct {
	lora    *lora
	slot    int32 // none: not in memory
	moving  bool  // its bytes are on their way into the slot
	waiting int   // sequences not admitted yet
	users   int   // admitted sequences, those that wait for the load among them
	waiters []*seq
	sum     uint64
}

// bank keeps the books of the adapters in memory: which slot holds which
// adapter, and who needs it. It is a state machine without clock, goroutine or
// file: the caller performs ops and reports them with done. A nil bank is that
// of a server without adapters.
//
// A sequence needs its adapter's slot from its admission to its end. Slots whose
// adapter no admitted sequence needs are idle, and the one idle for the longest
// time is taken for the next adapter. While no slot is free or idle, a sequence
// that would need one is passed over, in favour of those behind it that need
// none: as in vLLM, a busy adapter keeps its slot for as long as its requests
// overlap, and of those passed over the first gets the next slot.
type bank struct {
	find    func(id int32) *lora
	drop    bool // evicted adapters leave the page cache too
	pinned  bool // nothing is ever evicted
	slots   []*holding
	free    []int32
	idle    *lru
	known   map[int32]*holding
	retired map[int32]bool  // unregistered: nobody new may ask
	copies  map[string]int  // adapters in memory, by file
	leaving map[string]bool // files that are being dropped from the page cache
	ops     []adapterOp

	loads, evictions, readBytes int64
}

func newBank(slots int, drop, pinned bool, find func(id int32) *lora) *bank {
	b := &bank{
		find: find, drop: drop, pinned: pinned, slots: make([]*holding, slots), idle: newLRU(slots),
		known: map[int32]*holding{}, retired: map[int32]bool{}, copies: map[string]int{}, leaving: map[string]bool{},
	}
	for i := slots - 1; i >= 0; i-- {
		b.free = append(b.free, int32(i))
	}
	return b
}

// takeOps hands over the work to be started.
func (b *bank) takeOps() []adapterOp {
	if b == nil {
		return nil
	}
	ops := b.ops
	b.ops = nil
	return ops
}

// want enters a sequence that will need its adapter; false if nobody has it.
func (b *bank) want(q *seq) bool {
	if q.adapter <= 0 {
		return true
	}
	if b == nil || b.retired[q.adapter] {
		return false
	}
	h := b.known[q.adapter]
	if h == nil {
		l := b.find(q.adapter)
		if l == nil {
			return false
		}
		h = &holding{lora: l, slot: none}
		b.known[q.adapter] = h
	}
	h.waiting++
	return true
}

// fits says whether take would find the adapter in memory or a slot for it.
func (b *bank) fits(q *seq) bool {
	if q.adapter <= 0 {
		return true
	}
	h := b.known[q.adapter]
	if h.slot != none {
		return true
	}
	if b.leaving[h.lora.file] { // what is read now would be dropped again
		return false
	}
	return len(b.free) > 0 || b.idle.len > 0 && !b.pinned
}

// take gives an admitted sequence its adapter, which must fit. If it has to be
// loaded, q waits: q.pending counts it.
func (b *bank) take(q *seq) {
	if q.adapter <= 0 {
		return
	}
	h := b.known[q.adapter]
	h.waiting--
	h.users++
	switch {
	case h.slot == none:
		b.load(h)
		q.adapterBytes = h.lora.bytes
	case !h.moving:
		b.idle.remove(h.slot)
		q.adapterSum = h.sum
		return
	}
	h.waiters = append(h.waiters, q)
	q.pending++
}

// load starts the way of an adapter into a free slot, or into the one that has
// been idle longest.
func (b *bank) load(h *holding) {
	b.copies[h.lora.file]++ // first: the victim may be the same file by another name
	if len(b.free) == 0 {
		victim, _ := b.idle.pop()
		b.evictions++
		b.vacate(b.slots[victim])
	}
	h.slot = b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	b.slots[h.slot] = h
	h.moving = true
	b.ops = append(b.ops, adapterOp{h.lora, h.slot})
}

// vacate frees a slot that nobody needs, and the page cache of its file unless
// the same file is in memory under another name.
func (b *bank) vacate(h *holding) {
	b.idle.remove(h.slot)
	b.slots[h.slot] = nil
	b.free = append(b.free, h.slot)
	h.slot, h.moving = none, false
	file := h.lora.file
	if b.copies[file]--; b.copies[file] > 0 {
		return
	}
	delete(b.copies, file)
	if b.drop {
		b.leaving[file] = true
		b.ops = append(b.ops, adapterOp{h.lora, none})
	}
}

// done reports a finished op. Sequences that waited for nothing else have
// pending 0 afterwards; those whose adapter could not be read have err set.
func (b *bank) done(r loaded, now time.Duration) {
	if r.op.slot == none {
		delete(b.leaving, r.op.lora.file)
		return
	}
	h := b.slots[r.op.slot]
	waiters := h.waiters
	h.moving, h.waiters = false, nil
	if r.err == nil {
		b.loads++
		b.readBytes += h.lora.bytes
		h.sum = r.sum
	}
	for _, q := range waiters {
		q.pending--
		q.adapterSum, q.adapterLoad = r.sum, now-q.stamps.admitted
		if r.err != nil && q.err == nil {
			q.err = r.err
		}
	}
	if r.err != nil {
		b.vacate(h) // its users are about to fail; the next sequence tries again
	}
	b.settle(h)
}

// release ends the need of a sequence that take or only want had entered.
func (b *bank) release(q *seq, admitted bool) {
	if q.adapter <= 0 || b == nil {
		return
	}
	h := b.known[q.adapter]
	if !admitted {
		h.waiting--
	} else {
		h.users--
		// Nobody may write to a sequence that is gone.
		h.waiters = slices.DeleteFunc(h.waiters, func(x *seq) bool { return x == q })
	}
	b.settle(h)
}

// settle puts an adapter that nobody needs where it can be evicted, or away for
// good if it was unregistered.
func (b *bank) settle(h *holding) {
	if h.users > 0 || h.moving {
		return
	}
	if b.retired[h.lora.id] && h.waiting == 0 {
		if h.slot != none {
			b.vacate(h)
		}
		delete(b.known, h.lora.id)
		return
	}
	if h.slot != none && !b.idle.in[h.slot] {
		b.idle.push(h.slot)
	}
}

// retire hears that an adapter was unregistered. Those who asked before are
// served; whoever asks afterwards asks for nobody.
func (b *bank) retire(id int32) {
	b.retired[id] = true
	if h := b.known[id]; h != nil {
		b.settle(h)
	}
}

// put enters an adapter that was loaded before the engine ran.
func (b *bank) put(l *lora, slot int32, sum uint64) {
	h := &holding{lora: l, slot: slot, sum: sum}
	b.known[l.id] = h
	b.slots[slot] = h
	b.free = slices.DeleteFunc(b.free, func(id int32) bool { return id == slot })
	b.copies[l.file]++
	b.loads++
	b.readBytes += l.bytes
	b.settle(h)
}

// resident counts the adapters whose bytes are in memory.
func (b *bank) resident() int {
	n := 0
	for _, h := range b.slots {
		if h != nil && !h.moving {
			n++
		}
	}
	return n
}

// asked names the adapters that sequences run with, and those that sequences
// wait for, each in order.
func (b *bank) asked() (running, waiting []string) {
	for _, h := range b.known {
		if h.users > 0 && !h.moving {
			running = append(running, h.lora.name)
		}
		if h.waiting > 0 || h.users > 0 && h.moving {
			waiting = append(waiting, h.lora.name)
		}
	}
	slices.Sort(running)
	slices.Sort(waiting)
	return running, waiting
}
