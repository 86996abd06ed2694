package emulator

import "errors"

// ErrCorrupt marks a block that came back from the disk other than it went.
// The sequence that needed it fails; it is never served.
var ErrCorrupt = errors.New("emulator: block read back from the spill file is corrupt")

// op is one I/O that the store wants done: a whole block to or from a slot.
type op struct {
	write       bool
	block, slot int32
	hash        uint64
	crc         uint32 // what a read must find; what a write has sent
}

// errLost marks a block whose only copy could not be written.
var errLost = errors.New("emulator: block lost: it could not be written to the spill file")

// store is the pool over the tier: it finds a prompt's blocks, makes room, and
// says which I/O that takes. It is a state machine without clock, goroutine or
// file: the caller performs ops and reports them with done.
type store struct {
	pool   *pool
	tier   *tier // nil without a disk
	census *census
	worth  uint8 // uses after which an evicted block is written
	ops    []op  // to be started, in order

	evicted     int64 // blocks that left the pool
	unshared    int64 // of them, without a copy because they were used too seldom
	forgotten   int64 // of them, without a copy because there was no place
	writeErrors int64
}

func newStore(cfg Config) *store {
	s := &store{pool: newPool(cfg.poolBlocks())}
	if cfg.SpillBytes > 0 {
		s.tier = newTier(cfg.spillSlots())
		s.census = newCensus(4 * (cfg.poolBlocks() + cfg.spillSlots()))
		s.worth = uint8(cfg.SpillAfterUses)
	}
	return s
}

// takeOps hands over the I/O to be started.
func (s *store) takeOps() []op {
	ops := s.ops
	s.ops = nil
	return ops
}

// acquire gives q all blocks it will ever need, or nothing: the cached ones of
// its prefix (from memory, or from the disk, which starts reads) and room for
// the rest (which may start writes). q.pending counts the blocks that are still
// moving. The last prompt token is always computed, never found.
func (s *store) acquire(q *seq) bool {
	limit := (q.prompt - 1) / q.blockTokens
	found, inPool, idle := s.look(q.hashes[:min(limit, len(q.hashes))])
	if s.pool.available()-idle < q.need-inPool {
		return false
	}
	if s.tier != nil {
		for _, h := range q.hashes {
			s.census.add(h)
		}
	}
	q.blocks = make([]int32, q.need)
	for i, at := range found {
		q.blocks[i] = none
		if at.slot != none {
			s.tier.hold(at.slot) // before victims look for slots
			q.fromDisk++
			continue
		}
		s.pool.pin(at.block)
		q.blocks[i] = at.block
		q.fromPool++
		s.await(at.block, q)
	}
	for i := range q.blocks {
		switch {
		case i >= len(found):
			q.blocks[i] = s.makeRoom(q)
		case found[i].slot != none:
			q.blocks[i] = s.load(q, q.hashes[i], found[i].slot)
		}
	}
	return true
}

// place is where a block was found: in memory or, if slot is set, on disk.
type place struct{ block, slot int32 }

func (s *store) look(hashes []uint64) (found []place, inPool, idle int) {
	for _, h := range hashes {
		if id, ok := s.pool.index[h]; ok {
			found = append(found, place{id, none})
			inPool++
			if s.pool.blocks[id].refs == 0 {
				idle++
			}
			continue
		}
		if s.tier == nil {
			break
		}
		id, ok := s.tier.find(h)
		if !ok {
			break
		}
		found = append(found, place{none, id})
	}
	return found, inPool, idle
}

// await makes q wait for a block that is moving.
func (s *store) await(id int32, q *seq) {
	if b := &s.pool.blocks[id]; b.moving {
		b.waiters = append(b.waiters, q)
		q.pending++
	}
}

// makeRoom takes a block for q, writing out what it held if that is worth it and
// the disk has no copy yet.
func (s *store) makeRoom(q *seq) int32 {
	id, old, evicted, _ := s.pool.take()
	if !evicted {
		return id
	}
	s.evicted++
	if s.tier == nil {
		s.forgotten++
		return id
	}
	if _, ok := s.tier.find(old); ok {
		return id
	}
	if s.census.uses(old) < s.worth {
		s.unshared++
		return id
	}
	to, ok := s.tier.reserve(old)
	if !ok {
		s.forgotten++
		return id
	}
	s.start(id, op{write: true, block: id, slot: to, hash: old})
	s.await(id, q)
	return id
}

// load takes a block for q and fills it from a slot held before.
func (s *store) load(q *seq, hash uint64, from int32) int32 {
	id := s.makeRoom(q)
	b := &s.pool.blocks[id]
	s.pool.name(id, hash)
	b.load = from
	if !b.moving {
		s.read(id)
		s.await(id, q)
	}
	return id
}

// start lets an I/O have the block's memory.
func (s *store) start(id int32, o op) {
	if b := &s.pool.blocks[id]; !b.moving {
		b.moving = true
		s.pool.pin(id)
	}
	s.ops = append(s.ops, o)
}

// read starts the block's read, or queues it behind the slot's own write. A
// slot that was forgotten while the block waited has nothing to read.
func (s *store) read(id int32) {
	b := &s.pool.blocks[id]
	sl := &s.tier.slots[b.load]
	if !sl.used {
		s.tier.drop(b.load, false)
		s.settle(id, errLost)
		return
	}
	if sl.writing {
		if !b.moving {
			b.moving = true
			s.pool.pin(id)
		}
		sl.waiting = append(sl.waiting, id)
		return
	}
	s.start(id, op{block: id, slot: b.load, hash: sl.hash, crc: sl.crc})
}

// done reports a finished op. Sequences whose blocks have all arrived have
// pending 0 afterwards; those whose block is lost have err set as well.
func (s *store) done(o op, err error) {
	if o.write {
		s.wrote(o, err)
		return
	}
	s.tier.drop(o.slot, err != nil)
	s.settle(o.block, err)
}

func (s *store) wrote(o op, err error) {
	if err != nil {
		s.writeErrors++
	}
	for _, id := range s.tier.wrote(o.slot, o.crc, err != nil) {
		if err != nil {
			s.tier.drop(o.slot, true)
			s.settle(id, err)
			continue
		}
		s.read(id)
	}
	if s.pool.blocks[o.block].load != none {
		s.read(o.block)
		return
	}
	s.settle(o.block, nil)
}

// settle ends a block's journey and tells those who wait for it.
func (s *store) settle(id int32, err error) {
	b := &s.pool.blocks[id]
	b.moving, b.load = false, none
	if err != nil {
		s.pool.unname(id)
	}
	waiters := b.waiters
	b.waiters = nil
	for _, q := range waiters {
		q.pending--
		if err != nil && q.err == nil {
			q.err = err
		}
	}
	s.pool.unpin(id)
}

// computed names block i of q, whose tokens' keys and values now exist, so that
// later prompts find it. A twin computed meanwhile keeps the name.
func (s *store) computed(q *seq, i int) { s.pool.name(q.blocks[i], q.hashes[i]) }

// release gives q's blocks back, last first, so that a prefix outlives its tail.
func (s *store) release(q *seq) {
	for i := len(q.blocks) - 1; i >= 0; i-- {
		s.pool.unpin(q.blocks[i])
	}
	q.blocks = nil
}
