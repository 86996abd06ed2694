package emulator

import (
	"slices"
	"time"
)

// seq is one request inside the engine.
type seq struct {
	id          int64
	face        string // the model of Triton's that was asked, "" = the OpenAI face's
	prompt      int    // tokens
	output      int    // tokens it will emit
	blockTokens int
	need        int // blocks for prompt and output
	hashes      []uint64
	adapter     int32 // the catalogue's id; none or 0 for the base model
	out         sink

	// Of a sequence with an adapter, valid from its first token on: how long it
	// waited for the load, 0 if the adapter was resident; the checksum of the
	// adapter's bytes as they were read; and how many bytes were read on its account.
	adapterLoad  time.Duration
	adapterSum   uint64
	adapterBytes int64

	blocks             []int32
	fromPool, fromDisk int // blocks
	pending            int // blocks still moving
	err                error
	state              seqState
	computed           int // prompt tokens that need no more work
	named              int // blocks that later prompts can find
	emitted            int
	stamps             stamps
}

// stamps are instants on the shared clock; 0 = not yet.
type stamps struct {
	arrival, admitted, loadEnd, prefill, first, last time.Duration
}

type seqState int8

const (
	seqWaiting seqState = iota
	seqLoading
	seqPrefilling
	seqDecoding
	seqGone
)

// cached is how many prompt tokens were found, in memory or on disk.
func (q *seq) cached() int { return (q.fromPool + q.fromDisk) * q.blockTokens }

// sink receives what a sequence produces. Its methods must not block.
type sink interface {
	token(index int, last bool, m *stepMark)
	fail(error)
}

// emission is one token that leaves at the end of a step.
type emission struct {
	q     *seq
	index int
	last  bool
}

// fill is a block whose keys and values the step computes.
type fill struct {
	block int32
	hash  uint64
}

// sched is the engine's brain: continuous batching over the store, as a state
// machine that is told the time. One step is plan, then advance when its
// duration is over. It is for one goroutine.
type sched struct {
	cfg        Config
	store      *store
	bank       *bank // nil without adapters
	waiting    []*seq
	loading    []*seq
	prefilling []*seq
	decoding   []*seq
	blocked    bool // a sequence found no memory and nothing changed since

	prompted, queried, hitPool, hitDisk, generated int64 // tokens
	finished, aborted, failed                      int64 // sequences
}

func newSched(cfg Config) *sched { return &sched{cfg: cfg, store: newStore(cfg)} }

func (s *sched) seats() int { return len(s.loading) + len(s.prefilling) + len(s.decoding) }

// busy says whether a step has anything to do.
func (s *sched) busy() bool { return len(s.prefilling)+len(s.decoding) > 0 }

// submit enters a sequence, or fails it if its adapter is unknown.
func (s *sched) submit(q *seq) {
	if !s.bank.want(q) {
		q.state = seqGone
		s.failed++
		q.out.fail(errUnknownAdapter)
		return
	}
	q.state = seqWaiting
	q.blockTokens = s.cfg.BlockTokens
	q.need = (q.prompt + q.output + s.cfg.BlockTokens - 1) / s.cfg.BlockTokens
	s.waiting = append(s.waiting, q)
}

// admit lets waiting sequences in, in order, while there is a seat and memory,
// and lets loaded ones start. A sequence whose adapter finds no slot is passed
// over; one that finds no memory holds up all behind it.
func (s *sched) admit(now time.Duration) {
	s.loading = slices.DeleteFunc(s.loading, func(q *seq) bool {
		if q.pending > 0 {
			return false
		}
		q.stamps.loadEnd = now
		s.begin(q, now)
		return true
	})
	for i := 0; i < len(s.waiting) && !s.blocked && s.seats() < s.cfg.MaxSeqs; {
		q := s.waiting[i]
		if !s.bank.fits(q) {
			i++
			continue
		}
		if !s.store.acquire(q) {
			s.blocked = true
			return
		}
		s.waiting = slices.Delete(s.waiting, i, i+1)
		s.bank.take(q)
		q.state = seqLoading
		q.stamps.admitted = now
		s.prompted += int64(q.prompt)
		s.queried += int64(q.prompt)
		s.hitPool += int64(q.fromPool * q.blockTokens)
		s.hitDisk += int64(q.fromDisk * q.blockTokens)
		if q.pending > 0 {
			s.loading = append(s.loading, q)
			continue
		}
		s.begin(q, now)
	}
}

// begin starts the prefill of a sequence whose cached blocks are in memory.
func (s *sched) begin(q *seq, now time.Duration) {
	if q.err != nil {
		s.failed++
		s.leave(q)
		q.out.fail(q.err)
		return
	}
	q.state = seqPrefilling
	q.computed, q.named = q.cached(), q.fromPool+q.fromDisk
	q.stamps.prefill = now
	s.prefilling = append(s.prefilling, q)
}

// leave takes q out of the engine.
func (s *sched) leave(q *seq) {
	s.bank.release(q, q.state != seqWaiting)
	q.state = seqGone
	s.store.release(q)
	s.blocked = false
}

// done reports a finished I/O.
func (s *sched) done(o op, err error) {
	s.store.done(o, err)
	s.blocked = false
}

// adapterDone reports a finished load or drop.
func (s *sched) adapterDone(r loaded, now time.Duration) {
	s.bank.done(r, now)
	s.blocked = false
}

// retire hears that an adapter was unregistered.
func (s *sched) retire(id int32) {
	s.bank.retire(id)
	s.blocked = false
}

// abort ends a sequence that nobody wants any more; false if it had ended.
func (s *sched) abort(q *seq) bool {
	list := s.list(q.state)
	if list == nil {
		return false
	}
	*list = slices.DeleteFunc(*list, func(x *seq) bool { return x == q })
	s.aborted++
	s.leave(q)
	return true
}

func (s *sched) list(st seqState) *[]*seq {
	switch st {
	case seqWaiting:
		return &s.waiting
	case seqLoading:
		return &s.loading
	case seqPrefilling:
		return &s.prefilling
	case seqDecoding:
		return &s.decoding
	}
	return nil
}

// plan spends the step's prefill budget, first come first served and at most a
// chunk for each, and says how long the step takes and which blocks it fills.
func (s *sched) plan(fills []fill) (time.Duration, []fill) {
	budget := s.cfg.PrefillBudgetTokens
	for _, q := range s.prefilling {
		n := min(budget, s.cfg.PrefillChunkTokens, q.prompt-q.computed)
		if n <= 0 {
			break
		}
		budget -= n
		for i := q.computed / q.blockTokens; i < (q.computed+n)/q.blockTokens; i++ {
			fills = append(fills, fill{q.blocks[i], q.hashes[i]})
		}
		q.computed += n
	}
	return s.cfg.Step + time.Duration(len(s.decoding))*s.cfg.StepPerSeq, fills
}

// advance ends the step: one token for each decoding sequence and the first
// one for each whose prompt is done, in order of admission. Finished sequences
// give their memory back.
func (s *sched) advance(now time.Duration, out []emission) []emission {
	s.prefilling = slices.DeleteFunc(s.prefilling, func(q *seq) bool {
		for ; q.named < q.computed/q.blockTokens; q.named++ {
			s.store.computed(q, q.named)
		}
		if q.computed < q.prompt {
			return false
		}
		q.state = seqDecoding
		q.stamps.first = now
		s.decoding = append(s.decoding, q)
		return true
	})
	s.decoding = slices.DeleteFunc(s.decoding, func(q *seq) bool {
		q.emitted++
		s.generated++
		last := q.emitted == q.output
		out = append(out, emission{q, q.emitted - 1, last})
		if last {
			q.stamps.last = now
			s.finished++
			s.leave(q)
		}
		return last
	})
	return out
}
