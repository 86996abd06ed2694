package emulator

import (
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// pageBytes is the alignment that direct I/O and the pool keep.
	pageBytes = 4096
	// maxTokens bounds every token count of a Config, so that products with
	// bytes per token stay far from overflow.
	maxTokens = 1 << 26
	// maxAdapterSlots bounds Config.AdapterSlots.
	maxAdapterSlots = 1 << 16
)

// ErrConfig marks a Config that cannot work. Validate's error names every
// fault at once.
var ErrConfig = errors.New("emulator: bad config")

// Config is a whole server: its model's speed, its memory, its storage. The
// zero Config is not usable; start from Preset. It may be copied and compared
// field by field, and survives JSON unchanged.
type Config struct {
	// Model is the name served and checked. Required.
	Model string `json:"model"`
	// Addr is the TCP address to listen on; "" means 127.0.0.1 and any port.
	Addr string `json:"addr,omitempty"`

	// Step is the duration of one engine step with nothing to decode. Above 0.
	Step time.Duration `json:"step_ns"`
	// StepPerSeq is added to a step for each sequence that decodes in it.
	StepPerSeq time.Duration `json:"step_per_seq_ns"`
	// PrefillBudgetTokens is how many prompt tokens one step computes over all
	// sequences, first come first served. At least 1.
	PrefillBudgetTokens int `json:"prefill_budget_tokens"`
	// PrefillChunkTokens is the most prompt tokens that one sequence computes
	// in one step. 1 to PrefillBudgetTokens.
	PrefillChunkTokens int `json:"prefill_chunk_tokens"`
	// MaxSeqs is how many sequences may hold memory at once. At least 1.
	MaxSeqs int `json:"max_seqs"`
	// MaxContextTokens bounds prompt plus output of one sequence. The server
	// reports the smaller of it and PoolTokens as max_model_len.
	MaxContextTokens int `json:"max_context_tokens"`
	// NaturalTokens bounds how long an answer is when the request does not set
	// ignore_eos: the length is 1 to NaturalTokens by the prompt's hash. 0
	// means that answers never stop by themselves.
	NaturalTokens int `json:"natural_tokens,omitempty"`

	// KVBytesPerToken times BlockTokens is the size of a block, which must be a
	// multiple of 4096 bytes.
	KVBytesPerToken int64 `json:"kv_bytes_per_token"`
	// BlockTokens is how many tokens' keys and values one block holds.
	BlockTokens int `json:"block_tokens"`
	// PoolTokens is the memory for keys and values; a multiple of BlockTokens.
	PoolTokens int `json:"pool_tokens"`

	// SpillBytes is the size of the disk tier; 0 means none, so that evicted
	// blocks are forgotten and no file is touched.
	SpillBytes int64 `json:"spill_bytes"`
	// SpillDir is a directory on the disk under test. Required with SpillBytes.
	SpillDir string `json:"spill_dir,omitempty"`
	// IODepth is the most reads and writes in flight. 1 to 256 with SpillBytes.
	IODepth int `json:"io_depth"`
	// SpillAfterUses is how many requests must have asked for a block before its
	// eviction writes it; blocks used less are forgotten and computed again. 1
	// to 255 with SpillBytes. With 2, prompts that nobody repeats never touch
	// the disk.
	SpillAfterUses int `json:"spill_after_uses"`
	// KeepSpill leaves the spill file for the next server, which then starts
	// without writing it again.
	KeepSpill bool `json:"keep_spill,omitempty"`

	// TritonAddr is the address of Triton's face, which serves the models
	// "ensemble", "tensorrt_llm" and "vllm_model"; "" means no such face.
	TritonAddr string `json:"triton_addr,omitempty"`

	// AdapterDir holds LoRA adapters, a PEFT directory each, named by directory;
	// "" serves the base model alone. Adapters are read on first use.
	AdapterDir string `json:"adapter_dir,omitempty"`
	// AdapterSlots is how many adapters memory holds, of the largest one's size
	// each. At least 1 with AdapterDir.
	AdapterSlots int `json:"adapter_slots,omitempty"`
	// AdapterPages says what the page cache keeps of adapter files.
	AdapterPages AdapterPages `json:"adapter_pages,omitempty"`
	// AdapterPinned loads every adapter at the start and evicts none: the control
	// without adapter traffic. AdapterSlots is then as many as there are.
	AdapterPinned bool `json:"adapter_pinned,omitempty"`
	// AdapterMmap maps the files, as safetensors does in Python, instead of reading
	// them.
	AdapterMmap bool `json:"adapter_mmap,omitempty"`

	// Seed varies the generated text and the bytes of blocks.
	Seed uint64 `json:"seed"`
	// Strict refuses unknown request fields, as trtllm-serve does; otherwise
	// they are ignored, as vLLM does.
	Strict bool `json:"strict,omitempty"`
	// StampEvents adds "spark_sent_ns" to every token event: the instant before
	// its write, on the shared clock less Epoch.
	StampEvents bool `json:"stamp_events,omitempty"`
	// Faults break answers on purpose; see Fault.
	Faults []Fault `json:"faults,omitempty"`

	// TruthPath is the file that receives the server's own account, as lines of
	// Truth; "" means none. It must not exist.
	TruthPath string `json:"truth_path,omitempty"`
	// Epoch is the CLOCK_MONOTONIC instant that all instants count from.
	Epoch time.Duration `json:"epoch_ns"`
}

// AdapterPages says what the page cache keeps of the adapters' files.
type AdapterPages string

// The ways of the page cache. The empty one is AdapterPagesDrop.
const (
	// AdapterPagesDrop has an evicted adapter leave the page cache too, as on a
	// machine whose memory is full.
	AdapterPagesDrop AdapterPages = "drop"
	// AdapterPagesKeep leaves the page cache to the kernel, which has room on a
	// machine whose memory is not full.
	AdapterPagesKeep AdapterPages = "keep"
	// AdapterPagesHold keeps every file mapped and resident from the start, so
	// that nobody can make it cold: the control of a page cache that stayed warm.
	AdapterPagesHold AdapterPages = "hold"
)

// AdaptersPinned is the control without adapter traffic.
func (c Config) AdaptersPinned() Config {
	c.AdapterPinned = true
	return c
}

// AdaptersFit is the control whose memory holds so many adapters.
func (c Config) AdaptersFit(n int) Config {
	c.AdapterSlots = max(c.AdapterSlots, n)
	return c
}

// AdaptersWarm is the control whose page cache never loses an adapter's file.
func (c Config) AdaptersWarm() Config {
	c.AdapterPages = AdapterPagesHold
	return c
}

// Preset is the Config of one of the two models of the plan, "L8B" or "L70B",
// scaled down 16 times in bytes so that it fits a small machine; the ratio of
// the two models' bytes per token (128 to 320 KiB) is the true one. Nine users
// of 1,150 tokens fill the pool. The caller sets SpillDir. Any other name is an
// error.
func Preset(name string) (Config, error) {
	c := Config{
		PrefillBudgetTokens: 64,
		PrefillChunkTokens:  8,
		MaxSeqs:             64,
		MaxContextTokens:    8192,
		NaturalTokens:       256,
		BlockTokens:         16,
		PoolTokens:          647 * 16,
		IODepth:             8,
		SpillAfterUses:      2,
		TritonAddr:          "127.0.0.1:0",
		AdapterSlots:        12,
		AdapterPages:        AdapterPagesDrop,
		Seed:                1,
	}
	switch name {
	case "L8B":
		c.Step, c.StepPerSeq = 1250*time.Microsecond, 4*time.Microsecond
		c.KVBytesPerToken, c.SpillBytes = 8<<10, 2<<30
	case "L70B":
		c.Step, c.StepPerSeq = 2500*time.Microsecond, 8*time.Microsecond
		c.KVBytesPerToken, c.SpillBytes = 20<<10, 4<<30
	default:
		return Config{}, fmt.Errorf("%w: no preset %q (have L8B and L70B)", ErrConfig, name)
	}
	c.Model = name
	return c, nil
}

// NoPaging is the control without paging: eight times the pool and no disk
// tier, so that nothing is ever written or read back.
func (c Config) NoPaging() Config {
	c.PoolTokens *= 8
	c.SpillBytes, c.SpillDir, c.KeepSpill = 0, "", false
	return c
}

// BlockBytes is the size of one block, which is also the size of every I/O.
func (c Config) BlockBytes() int64 { return int64(c.BlockTokens) * c.KVBytesPerToken }

// PoolBytes is the memory that the pool holds from start to end.
func (c Config) PoolBytes() int64 { return int64(c.PoolTokens) * c.KVBytesPerToken }

// ContextTokens is the longest sequence served: the smaller of
// MaxContextTokens and PoolTokens.
func (c Config) ContextTokens() int { return min(c.MaxContextTokens, c.PoolTokens) }

func (c Config) poolBlocks() int { return c.PoolTokens / c.BlockTokens }

func (c Config) spillSlots() int { return int(c.SpillBytes / c.BlockBytes()) }

// Validate reports every fault of the Config, wrapped in ErrConfig, or nil.
// It looks at values only, never at the machine.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.Model != "", "model: empty")
	for _, a := range []struct{ name, addr string }{{"addr", c.Addr}, {"triton_addr", c.TritonAddr}} {
		if a.addr != "" {
			_, _, err := net.SplitHostPort(a.addr)
			need(err == nil, "%s %q: not host:port", a.name, a.addr)
		}
	}
	if c.TritonAddr != "" {
		_, _, err := net.SplitHostPort(c.TritonAddr)
		need(err == nil, "triton_addr %q: not host:port", c.TritonAddr)
	}
	need(c.Step > 0 && c.Step <= time.Minute, "step_ns %d: want above 0, at most a minute", c.Step)
	need(c.StepPerSeq >= 0 && c.StepPerSeq <= time.Second, "step_per_seq_ns %d: want 0 to a second", c.StepPerSeq)
	need(inTokens(c.PrefillBudgetTokens), "prefill_budget_tokens %d: want 1 to %d", c.PrefillBudgetTokens, maxTokens)
	need(c.PrefillChunkTokens >= 1 && c.PrefillChunkTokens <= c.PrefillBudgetTokens,
		"prefill_chunk_tokens %d: want 1 to the budget, %d", c.PrefillChunkTokens, c.PrefillBudgetTokens)
	need(inTokens(c.MaxSeqs), "max_seqs %d: want 1 to %d", c.MaxSeqs, maxTokens)
	need(c.MaxContextTokens >= 2 && c.MaxContextTokens <= maxTokens, "max_context_tokens %d: want 2 to %d", c.MaxContextTokens, maxTokens)
	need(c.NaturalTokens >= 0 && c.NaturalTokens <= maxTokens, "natural_tokens %d: want 0 to %d", c.NaturalTokens, maxTokens)
	need(c.Epoch >= 0, "epoch_ns %d: negative", c.Epoch)
	errs = append(errs, c.validateMemory(), c.validateSpill(), c.validateAdapters())
	for i, f := range c.Faults {
		if err := f.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("faults[%d]: %w", i, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

func inTokens(n int) bool { return n >= 1 && n <= maxTokens }

func (c Config) validateMemory() error {
	if !inTokens(c.BlockTokens) || !inTokens(c.PoolTokens) || c.KVBytesPerToken < 1 || c.KVBytesPerToken > 1<<30 {
		return fmt.Errorf("block_tokens %d, pool_tokens %d, kv_bytes_per_token %d: want 1 to %d tokens and 1 B to 1 GiB",
			c.BlockTokens, c.PoolTokens, c.KVBytesPerToken, maxTokens)
	}
	if c.PoolTokens%c.BlockTokens != 0 {
		return fmt.Errorf("pool_tokens %d: not a multiple of block_tokens, %d", c.PoolTokens, c.BlockTokens)
	}
	if b := c.BlockBytes(); b%pageBytes != 0 || b > 1<<30 {
		return fmt.Errorf("block of %d bytes: want a multiple of %d up to 1 GiB (block_tokens x kv_bytes_per_token)", b, pageBytes)
	}
	return nil
}

func (c Config) validateSpill() error {
	switch {
	case c.SpillBytes == 0:
		return nil
	case c.SpillBytes < 0:
		return fmt.Errorf("spill_bytes %d: negative", c.SpillBytes)
	case c.SpillDir == "":
		return errors.New("spill_dir: empty (name a directory on the disk under test, or set spill_bytes to 0)")
	case c.IODepth < 1 || c.IODepth > 256:
		return fmt.Errorf("io_depth %d: want 1 to 256", c.IODepth)
	case c.SpillAfterUses < 1 || c.SpillAfterUses > 255:
		return fmt.Errorf("spill_after_uses %d: want 1 to 255", c.SpillAfterUses)
	case c.BlockTokens >= 1 && c.KVBytesPerToken >= 1 && c.SpillBytes/int64(c.BlockTokens)/c.KVBytesPerToken < 1:
		return fmt.Errorf("spill_bytes %d: less than one block", c.SpillBytes)
	case c.SpillBytes > 1<<44:
		return fmt.Errorf("spill_bytes %d: more than 16 TiB", c.SpillBytes)
	}
	return nil
}

func (c Config) validateAdapters() error {
	switch c.AdapterPages {
	case "", AdapterPagesDrop, AdapterPagesKeep, AdapterPagesHold:
	default:
		return fmt.Errorf("adapter_pages %q: want %s, %s or %s", c.AdapterPages, AdapterPagesDrop, AdapterPagesKeep, AdapterPagesHold)
	}
	switch {
	case c.AdapterSlots < 0 || c.AdapterSlots > maxAdapterSlots:
		return fmt.Errorf("adapter_slots %d: want 1 to %d with adapter_dir", c.AdapterSlots, maxAdapterSlots)
	case c.AdapterDir == "":
		return nil
	case c.AdapterSlots == 0 && !c.AdapterPinned:
		return fmt.Errorf("adapter_slots 0: want 1 to %d with adapter_dir", maxAdapterSlots)
	}
	return nil
}

// Info is what a running server is, for those who started it: where it
// listens and the sizes that decide when it pages.
type Info struct {
	// URL is the base, as in http://127.0.0.1:40123, without a path.
	URL   string `json:"url"`
	Model string `json:"model"`
	// MaxContextTokens is what /v1/models reports as max_model_len.
	MaxContextTokens int   `json:"max_context_tokens"`
	MaxSeqs          int   `json:"max_seqs"`
	PoolTokens       int   `json:"pool_tokens"`
	PoolBytes        int64 `json:"pool_bytes"`
	BlockTokens      int   `json:"block_tokens"`
	BlockBytes       int64 `json:"block_bytes"`
	KVBytesPerToken  int64 `json:"kv_bytes_per_token"`
	// TritonURL is the base of Triton's face, "" without one.
	TritonURL string `json:"triton_url,omitempty"`
	// Adapters are the names of the adapters, sorted; AdapterBytes is the size of
	// the largest one's file, AdapterSlots how many memory holds.
	Adapters     []string `json:"adapters,omitempty"`
	AdapterBytes int64    `json:"adapter_bytes,omitempty"`
	AdapterSlots int      `json:"adapter_slots,omitempty"`
	// SpillPath is the spill file, "" without a disk tier.
	SpillPath  string `json:"spill_path,omitempty"`
	SpillBytes int64  `json:"spill_bytes"`
	// SpillReused says that the spill file was found whole and not rewritten.
	SpillReused bool `json:"spill_reused,omitempty"`
	// PID is the process that serves.
	PID int `json:"pid"`
}
