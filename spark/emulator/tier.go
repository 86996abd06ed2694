package emulator

// none is no block and no slot.
const none int32 = -1

// slot is one block's place in the spill file.
type slot struct {
	hash    uint64
	crc     uint32
	used    bool
	writing bool    // bytes are on their way out; readers wait
	readers int     // reads in flight or waiting
	waiting []int32 // blocks that want to read once it is written
}

// tier keeps the books of the spill file: which slot holds which block. It does
// no I/O. Slots that are being written or read are never reused.
type tier struct {
	slots []slot
	index map[uint64]int32
	free  []int32
	lru   *lru // used slots at rest
}

func newTier(slots int) *tier {
	t := &tier{slots: make([]slot, slots), index: make(map[uint64]int32), lru: newLRU(slots)}
	for i := slots - 1; i >= 0; i-- {
		t.free = append(t.free, int32(i))
	}
	return t
}

// find is the slot that holds or will hold the block, and marks it as used now.
func (t *tier) find(hash uint64) (int32, bool) {
	id, ok := t.index[hash]
	if ok && t.lru.in[id] {
		t.lru.remove(id)
		t.lru.push(id)
	}
	return id, ok
}

// reserve gives the block a slot to be written to, forgetting the block that
// was used least lately if it must. It fails if every slot is busy.
func (t *tier) reserve(hash uint64) (int32, bool) {
	var id int32
	if n := len(t.free); n > 0 {
		id, t.free = t.free[n-1], t.free[:n-1]
	} else if old, ok := t.lru.pop(); ok {
		delete(t.index, t.slots[old].hash)
		id = old
	} else {
		return none, false
	}
	t.slots[id] = slot{hash: hash, used: true, writing: true}
	t.index[hash] = id
	return id, true
}

// wrote ends a write; the blocks that waited for it are returned. A failed
// write leaves the slot to be dropped by its last reader.
func (t *tier) wrote(id int32, crc uint32, failed bool) []int32 {
	s := &t.slots[id]
	waiting := s.waiting
	s.writing, s.crc, s.waiting = false, crc, nil
	if failed {
		t.forget(id)
	}
	t.rest(id)
	return waiting
}

// hold keeps the slot from being reused until drop.
func (t *tier) hold(id int32) {
	t.lru.remove(id)
	t.slots[id].readers++
}

// drop ends a hold; a slot whose bytes were bad is forgotten.
func (t *tier) drop(id int32, bad bool) {
	t.slots[id].readers--
	if bad {
		t.forget(id)
	}
	t.rest(id)
}

// forget makes sure that nobody finds the slot's block any more.
func (t *tier) forget(id int32) {
	s := &t.slots[id]
	if s.used {
		delete(t.index, s.hash)
		s.used = false
	}
}

// rest puts an idle slot where it can be reused.
func (t *tier) rest(id int32) {
	s := &t.slots[id]
	switch {
	case s.writing || s.readers > 0 || t.lru.in[id]:
	case s.used:
		t.lru.push(id)
	default:
		t.free = append(t.free, id)
	}
}
