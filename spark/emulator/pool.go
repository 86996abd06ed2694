package emulator

// block is one piece of the pool's memory.
type block struct {
	hash    uint64
	named   bool // holds, or is about to hold, the block of that hash
	moving  bool // an I/O uses the memory; nobody may read or write it
	refs    int  // sequences plus the I/O
	load    int32
	waiters []*seq
}

// pool keeps the books of the memory: what each block holds and who needs it.
// A block is in one of three places: referenced, cached (named, unreferenced,
// evictable, in the lru) or free.
type pool struct {
	blocks []block
	index  map[uint64]int32
	free   []int32
	cached *lru
	pinned int
}

func newPool(n int) *pool {
	p := &pool{blocks: make([]block, n), index: make(map[uint64]int32, n), cached: newLRU(n)}
	for i := n - 1; i >= 0; i-- {
		p.blocks[i].load = none
		p.free = append(p.free, int32(i))
	}
	return p
}

// available is how many blocks could be taken now.
func (p *pool) available() int { return len(p.free) + p.cached.len }

func (p *pool) pin(id int32) {
	b := &p.blocks[id]
	if b.refs == 0 {
		p.pinned++
		p.cached.remove(id)
	}
	b.refs++
}

func (p *pool) unpin(id int32) {
	b := &p.blocks[id]
	b.refs--
	if b.refs > 0 {
		return
	}
	p.pinned--
	if b.named {
		p.cached.push(id)
	} else {
		p.free = append(p.free, id)
	}
}

// take pins a block for new content: a free one, else the cached one that was
// used least lately, whose former name is returned.
func (p *pool) take() (id int32, old uint64, evicted, ok bool) {
	if n := len(p.free); n > 0 {
		id, p.free = p.free[n-1], p.free[:n-1]
	} else if id, evicted = p.cached.pop(); !evicted {
		return none, 0, false, false
	}
	b := &p.blocks[id]
	if evicted {
		old = b.hash
		p.unname(id)
	}
	b.refs = 1
	p.pinned++
	return id, old, evicted, true
}

// name makes the block findable; false if another block has the name already.
func (p *pool) name(id int32, hash uint64) bool {
	if _, ok := p.index[hash]; ok {
		return false
	}
	b := &p.blocks[id]
	b.hash, b.named = hash, true
	p.index[hash] = id
	return true
}

func (p *pool) unname(id int32) {
	b := &p.blocks[id]
	if b.named {
		delete(p.index, b.hash)
		b.named = false
	}
}
