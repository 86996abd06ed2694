package emulator

// census remembers how often blocks were asked for, also those that are long
// gone, so that only blocks that came back once are worth a write: a prompt
// that nobody repeats would otherwise wear the disk for nothing, which is why
// real servers filter what they offload. It forgets the oldest half now and
// then, so its size is bounded.
type census struct {
	recent, older map[uint64]uint8
	limit         int
}

func newCensus(limit int) *census {
	return &census{recent: make(map[uint64]uint8), limit: max(limit, 1)}
}

// add counts one more use, up to 255.
func (c *census) add(hash uint64) {
	n := c.uses(hash)
	if n < 255 {
		n++
	}
	if len(c.recent) >= c.limit {
		c.recent, c.older = make(map[uint64]uint8), c.recent
	}
	c.recent[hash] = n
}

func (c *census) uses(hash uint64) uint8 {
	if n, ok := c.recent[hash]; ok {
		return n
	}
	return c.older[hash]
}
