package emulator

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spark-harness/harness/internal/jsonl"
)

// Kinds of Truth.
const (
	TruthStart   = "start"
	TruthRequest = "request"
	TruthSecond  = "second"
	TruthEnd     = "end"
)

// Truth is one line of the server's own account. Exactly the member that Kind
// names is set. Instants are on the shared clock less Config.Epoch.
type Truth struct {
	Kind    string        `json:"kind"`
	At      time.Duration `json:"at_ns"`
	Start   *StartTruth   `json:"start,omitempty"`
	Request *RequestTruth `json:"request,omitempty"`
	Second  *SecondTruth  `json:"second,omitempty"`
	End     *EndTruth     `json:"end,omitempty"`
}

// StartTruth says what server this is.
type StartTruth struct {
	Config Config `json:"config"`
	Info   Info   `json:"info"`
}

// RequestTruth is the life of one request that entered the engine. Instants
// that were never reached are nil.
type RequestTruth struct {
	// ID is the answer's id, which ends in the client's X-Request-Id if it sent one.
	ID           string `json:"id"`
	PromptTokens int    `json:"prompt_tokens"`
	// OutputTokens is how many tokens the engine made.
	OutputTokens     int   `json:"output_tokens"`
	CachedPoolTokens int   `json:"cached_pool_tokens"`
	CachedDiskTokens int   `json:"cached_disk_tokens"`
	LoadedBytes      int64 `json:"loaded_bytes"`

	// Adapter is the adapter's name, "" for the base model. AdapterLoad is how long
	// the request waited for its load, from its admission on: 0 if it was resident,
	// nil for the base model and for those that did not live to see it.
	// AdapterBytes is what was read on its account; those who wait for a load that
	// another began have none.
	Adapter      string         `json:"adapter,omitempty"`
	AdapterLoad  *time.Duration `json:"adapter_load_ns,omitempty"`
	AdapterBytes int64          `json:"adapter_bytes,omitempty"`

	Arrival time.Duration `json:"arrival_ns"`
	// Admitted is when memory was found for it, and reads of its blocks began.
	Admitted *time.Duration `json:"admitted_ns,omitempty"`
	// LoadEnd is when the last block it waited for had come; nil if none had to.
	LoadEnd *time.Duration `json:"load_end_ns,omitempty"`
	Prefill *time.Duration `json:"prefill_ns,omitempty"`
	// FirstToken and LastToken end the engine's steps; FirstSent and LastSent
	// follow the writes to the connection.
	FirstToken *time.Duration `json:"first_token_ns,omitempty"`
	LastToken  *time.Duration `json:"last_token_ns,omitempty"`
	FirstSent  *time.Duration `json:"first_sent_ns,omitempty"`
	LastSent   *time.Duration `json:"last_sent_ns,omitempty"`
	// Outcome is "ok", "aborted" (the client left or a fault cut the stream) or
	// "failed".
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
}

// SecondTruth is the server's state and its counters since the start.
type SecondTruth struct {
	PoolUsedBlocks   int `json:"pool_used_blocks"`
	PoolCachedBlocks int `json:"pool_cached_blocks"`
	PoolBlocks       int `json:"pool_blocks"`
	DiskBlocks       int `json:"disk_blocks"`

	Waiting    int `json:"waiting"`
	Loading    int `json:"loading"`
	Prefilling int `json:"prefilling"`
	Decoding   int `json:"decoding"`

	PageInBytes     int64 `json:"page_in_bytes"`
	PageOutBytes    int64 `json:"page_out_bytes"`
	PageIns         int64 `json:"page_ins"`
	PageOuts        int64 `json:"page_outs"`
	EvictedBlocks   int64 `json:"evicted_blocks"`
	PromptTokens    int64 `json:"prompt_tokens"`
	HitPoolTokens   int64 `json:"hit_pool_tokens"`
	HitDiskTokens   int64 `json:"hit_disk_tokens"`
	GeneratedTokens int64 `json:"generated_tokens"`
	ChecksumErrors  int64 `json:"checksum_errors"`
	Steps           int64 `json:"steps"`
	// LateSteps counts steps that ended more than a step's length late.
	LateSteps int64 `json:"late_steps"`

	// Adapters in memory, and the counters of their loads; all 0 without adapters.
	AdapterSlots     int   `json:"adapter_slots,omitempty"`
	AdapterResident  int   `json:"adapter_resident,omitempty"`
	AdapterLoads     int64 `json:"adapter_loads,omitempty"`
	AdapterEvictions int64 `json:"adapter_evictions,omitempty"`
	AdapterReadBytes int64 `json:"adapter_read_bytes,omitempty"`
	// AdapterErrors counts loads and drops that failed.
	AdapterErrors int64 `json:"adapter_errors,omitempty"`

	// Reads and Writes are the last second's I/O latencies; nil without any.
	Reads  *LatencyTruth `json:"reads,omitempty"`
	Writes *LatencyTruth `json:"writes,omitempty"`
}

// LatencyTruth sums up one second's I/O, from submission to collection.
type LatencyTruth struct {
	Count int           `json:"count"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

// EndTruth closes a complete account.
type EndTruth struct {
	// Dropped counts lines that came faster than they could be written.
	Dropped int64 `json:"dropped"`
}

// latencies sums up and reorders l.
func latencies(l []time.Duration) *LatencyTruth {
	n := len(l)
	if n == 0 {
		return nil
	}
	slices.Sort(l)
	var sum time.Duration
	for _, d := range l {
		sum += d
	}
	rank := func(q float64) time.Duration { return l[min(int(q*float64(n)), n-1)] }
	return &LatencyTruth{Count: n, Mean: sum / time.Duration(n), P50: rank(0.5), P99: rank(0.99), Max: l[n-1]}
}

// journal writes the truth without ever holding up those who report it.
type journal struct {
	epoch   time.Duration
	lines   chan Truth
	dropped atomic.Int64
	last    time.Duration // set by end, before the channel closes
	w       *jsonl.Writer
}

// newJournal makes the file, or nothing without a path: a nil journal takes
// lines and forgets them.
func newJournal(path string, epoch time.Duration) (*journal, error) {
	if path == "" {
		return nil, nil
	}
	w, err := jsonl.Create(path)
	if err != nil {
		return nil, fmt.Errorf("emulator: create truth log: %w", err)
	}
	return &journal{epoch: epoch, lines: make(chan Truth, 1<<14), w: w}, nil
}

// put queues a line whose At is an instant of the clock.
func (j *journal) put(t Truth) {
	if j == nil {
		return
	}
	t.At -= j.epoch
	select {
	case j.lines <- t:
	default:
		j.dropped.Add(1)
	}
}

// run writes until the channel is closed.
func (j *journal) run() error {
	var failed error
	keep := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	for t := range j.lines {
		keep(j.w.Write(t))
		if t.Kind == TruthSecond { // once a second, so that a killed server leaves its account
			keep(j.w.Flush())
		}
	}
	keep(j.w.Write(Truth{Kind: TruthEnd, At: j.last - j.epoch, End: &EndTruth{Dropped: j.dropped.Load()}}))
	keep(j.w.Close())
	if failed != nil {
		return fmt.Errorf("emulator: write truth log: %w", failed)
	}
	return nil
}

// end makes run finish; nothing may be put afterwards.
func (j *journal) end(now time.Duration) {
	if j != nil {
		j.last = now
		close(j.lines)
	}
}

// instant is a stamp relative to the epoch, nil if it was never taken.
func (c Config) instant(d time.Duration) *time.Duration {
	if d == 0 {
		return nil
	}
	d -= c.Epoch
	return &d
}

func (q *seq) truth(cfg Config, id string, firstSent, lastSent time.Duration, outcome string, err error) *RequestTruth {
	t := &RequestTruth{
		ID: id, PromptTokens: q.prompt, OutputTokens: q.emitted,
		CachedPoolTokens: q.fromPool * q.blockTokens, CachedDiskTokens: q.fromDisk * q.blockTokens,
		LoadedBytes: int64(q.fromDisk) * cfg.BlockBytes(),
		Arrival:     q.stamps.arrival - cfg.Epoch,
		Admitted:    cfg.instant(q.stamps.admitted), LoadEnd: cfg.instant(q.stamps.loadEnd), Prefill: cfg.instant(q.stamps.prefill),
		FirstToken: cfg.instant(q.stamps.first), LastToken: cfg.instant(q.stamps.last),
		FirstSent: cfg.instant(firstSent), LastSent: cfg.instant(lastSent),
		Outcome: outcome,
	}
	if q.adapter > 0 {
		t.AdapterBytes = q.adapterBytes
		if wait := q.adapterLoad; q.stamps.prefill != 0 {
			t.AdapterLoad = &wait
		}
	}
	if err != nil {
		t.Error = err.Error()
	}
	return t
}
