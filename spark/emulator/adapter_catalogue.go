package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/spark-harness/harness/spark/adapters"
)

// ErrAdapters says that a directory's adapters cannot be served.
var ErrAdapters = errors.New("emulator: adapters cannot be served")

// Conditions of one request's adapter, or of one change to the catalogue.
var (
	// errUnknownAdapter: nobody is registered under that name or number.
	errUnknownAdapter = errors.New("emulator: unknown adapter")
	// errAdapterEvicted: the adapter left memory while a sequence needed it.
	errAdapterEvicted = errors.New("emulator: adapter is no longer in memory")
	// errAdapterExists: the name is taken.
	errAdapterExists = errors.New("emulator: adapter is there already")
	// errAdapterChanged: the file is not the one that was registered.
	errAdapterChanged = errors.New("emulator: adapter's file has changed")
)

// evictedError is errAdapterEvicted in TensorRT-LLM's words.
type evictedError struct{ task int64 }

func (e *evictedError) Error() string {
	return fmt.Sprintf("LoRA task %d not found in cache. Please send LoRA weights with request", e.task)
}

func (e *evictedError) Is(target error) bool { return target == errAdapterEvicted }

// maxAdapterName bounds a name, which appears in metrics and in every answer.
const maxAdapterName = 256

// lora is one adapter as the catalogue knows it. It never changes; whoever
// registers a name again makes another lora with another id.
type lora struct {
	id     int32 // from 1, never used again; what seq.adapter says
	name   string
	number int64 // how TensorRT-LLM calls it, from 1; 0 = it has none
	dir    string
	file   string // of the weights
	bytes  int64  // of the file
	rank   int
}

// catalogue names the adapters that requests may ask for. It is safe for
// concurrent use. A nil catalogue is that of a server without adapters: it knows
// nobody.
type catalogue struct {
	mu       sync.RWMutex
	loras    []*lora // by id; the first is nil
	byName   map[string]*lora
	byNumber map[int64]*lora
	given    map[string]int64 // numbers by name, also of those that left: a name keeps its own

	// Set before the catalogue is shared. admit refuses adapters that the server
	// has no place for, or makes ready for them; retired hears of those that left.
	admit   func(*lora) error
	retired func(id int32)
}

func newCatalogue() *catalogue {
	return &catalogue{loras: []*lora{nil}, byName: map[string]*lora{}, byNumber: map[int64]*lora{}, given: map[string]int64{}}
}

// openCatalogue checks the adapters below dir, headers only, and registers them
// in the order of their names.
func openCatalogue(dir string) (*catalogue, error) {
	found, err := adapters.List(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAdapters, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: none in %s (make some, or leave adapter_dir empty)", ErrAdapters, dir)
	}
	slices.SortFunc(found, func(a, b adapters.Adapter) int { return cmp.Compare(a.Name, b.Name) })
	c := newCatalogue()
	// Numbers that are names come first: a place in the list must not take them.
	for _, numeric := range []bool{true, false} {
		for i, a := range found {
			n := ownNumber(a.Name)
			if n > 0 != numeric {
				continue
			}
			if n == 0 {
				n = int64(i) + 1
			}
			if err := c.add(a, n); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrAdapters, err)
			}
		}
	}
	return c, nil
}

// ownNumber is a name that is a number, or 0.
func ownNumber(name string) int64 {
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil || n < 1 {
		return 0
	}
	return n
}

func checkAdapterName(name string) error {
	bad := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`",\`, r) }
	if name == "" || !utf8.ValidString(name) || len(name) > maxAdapterName || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("emulator: adapter name %q: want 1 to %d bytes without commas, quotes, backslashes and control characters", name, maxAdapterName)
	}
	return nil
}

// add enters a checked adapter. A number that is taken is not given twice: the
// adapter then goes by its name alone. 0 asks for the next number.
func (c *catalogue) add(a adapters.Adapter, number int64) error {
	if err := checkAdapterName(a.Name); err != nil {
		return err
	}
	if _, err := c.named(a.Name); err == nil {
		return fmt.Errorf("%w: %s", errAdapterExists, a.Name)
	}
	l := &lora{name: a.Name, dir: a.Dir, file: a.File, bytes: a.Bytes, rank: a.Rank}
	if c.admit != nil { // may read files, so without the lock
		if err := c.admit(l); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byName[a.Name]; ok {
		return fmt.Errorf("%w: %s", errAdapterExists, a.Name)
	}
	if number == 0 {
		number = c.nextNumber(a.Name)
	}
	if _, taken := c.byNumber[number]; !taken {
		l.number = number
		c.byNumber[number] = l
		c.given[a.Name] = number
	}
	l.id = int32(len(c.loras))
	c.loras = append(c.loras, l)
	c.byName[l.name] = l
	return nil
}

// nextNumber is the number that a name had before, or the lowest above all that
// were ever given.
func (c *catalogue) nextNumber(name string) int64 {
	if n, ok := c.given[name]; ok {
		return n
	}
	var top int64
	for _, n := range c.given {
		top = max(top, n)
	}
	return top + 1
}

// register adds an adapter while the server runs: a PEFT directory, anywhere,
// under a name that is free. Its weights are read on first use.
func (c *catalogue) register(name, dir string) error {
	if c == nil {
		return fmt.Errorf("%w: this server has no memory for adapters (start it with adapter_dir)", ErrAdapters)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("emulator: register adapter %s: %w", name, err)
	}
	a, err := adapters.Check(dir)
	if err != nil {
		return fmt.Errorf("emulator: register adapter %s: %w", name, err)
	}
	a.Name = name
	return c.add(a, ownNumber(name))
}

// unregister forgets a name. Sequences under way finish; then the adapter's
// memory is free.
func (c *catalogue) unregister(name string) error {
	l, err := c.named(name)
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.byName[name] != l {
		c.mu.Unlock()
		return fmt.Errorf("%w: %s", errUnknownAdapter, name)
	}
	delete(c.byName, name)
	if c.byNumber[l.number] == l {
		delete(c.byNumber, l.number)
	}
	c.mu.Unlock()
	if c.retired != nil {
		c.retired(l.id)
	}
	return nil
}

// named looks an adapter up by its name.
func (c *catalogue) named(name string) (*lora, error) {
	if c != nil {
		c.mu.RLock()
		defer c.mu.RUnlock()
		if l, ok := c.byName[name]; ok {
			return l, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", errUnknownAdapter, name)
}

// numbered looks an adapter up as TensorRT-LLM does: by a directory's name that
// is a number, else by its place in the order of names, from 1. Adapters that
// are registered later follow with the next numbers; numbers never move.
func (c *catalogue) numbered(n int64) (*lora, error) {
	if c != nil {
		c.mu.RLock()
		defer c.mu.RUnlock()
		if l, ok := c.byNumber[n]; ok {
			return l, nil
		}
	}
	return nil, fmt.Errorf("%w: number %d", errUnknownAdapter, n)
}

// at is the adapter of an id, also of one that was unregistered; nil for the
// base model.
func (c *catalogue) at(id int32) *lora {
	if c == nil || id <= 0 {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if int(id) >= len(c.loras) {
		return nil
	}
	return c.loras[id]
}

// all are the registered adapters in the order of their names.
func (c *catalogue) all() []*lora {
	if c == nil {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	list := make([]*lora, 0, len(c.byName))
	for _, l := range c.byName {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *lora) int { return cmp.Compare(a.name, b.name) })
	return list
}

// blockSeed starts the names of blocks: keys and values under one adapter are
// not those under another or under the base model.
func (c Config) blockSeed(adapter int32) uint64 {
	if adapter <= 0 {
		return c.Seed
	}
	return mix(c.Seed ^ mix(uint64(adapter)*weyl))
}
