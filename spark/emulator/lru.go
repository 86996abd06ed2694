package emulator

// lru orders small integers by last use. Members are 0 to n-1, each in the
// list or not; every operation is O(1) and allocates nothing.
type lru struct {
	prev, next []int32 // element n is the ring's anchor
	in         []bool
	len        int
}

func newLRU(n int) *lru {
	l := &lru{prev: make([]int32, n+1), next: make([]int32, n+1), in: make([]bool, n)}
	l.prev[n], l.next[n] = int32(n), int32(n)
	return l
}

// push makes id the most recently used.
func (l *lru) push(id int32) {
	anchor := int32(len(l.in))
	last := l.prev[anchor]
	l.prev[id], l.next[id] = last, anchor
	l.next[last], l.prev[anchor] = id, id
	l.in[id] = true
	l.len++
}

// remove takes id out, if it is in.
func (l *lru) remove(id int32) {
	if !l.in[id] {
		return
	}
	p, n := l.prev[id], l.next[id]
	l.next[p], l.prev[n] = n, p
	l.in[id] = false
	l.len--
}

// pop takes out the least recently used.
func (l *lru) pop() (int32, bool) {
	if l.len == 0 {
		return 0, false
	}
	id := l.next[len(l.in)]
	l.remove(id)
	return id, true
}
