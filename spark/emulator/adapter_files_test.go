package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/internal/pagecache"
	"github.com/spark-harness/harness/spark/adapters"
)

// makeAdapters writes small adapters, or skips the test where files cannot be
// cold.
func makeAdapters(t testing.TB, count int) (dir string, list []adapters.Adapter) {
	t.Helper()
	dir = t.TempDir()
	if err := checkDroppable(dir); err != nil {
		t.Skipf("SKIPPED, cold adapters not tested: %v (set TMPDIR to a directory on a disk)", err)
	}
	list, err := adapters.Make(t.Context(), dir, adapters.Spec{Model: "L8B", Rank: 4, Modules: []string{"q_proj"}, Seed: 3}, count, nil)
	require.NoError(t, err)
	require.Len(t, list, count)
	return dir, list
}

func dropped(t testing.TB, list []adapters.Adapter) {
	t.Helper()
	for _, a := range list {
		require.NoError(t, pagecache.Drop(a.File))
		require.Less(t, cached(t, a), 0.01, "%s is cold", a.Name)
	}
}

// cached is the part of an adapter's file that the page cache holds.
func cached(t testing.TB, a adapters.Adapter) float64 {
	t.Helper()
	r, err := pagecache.Of(a.File)
	require.NoError(t, err)
	return r.Share()
}

func crcOf(t testing.TB, path string) uint64 {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return uint64(crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
}

// host is an engine with adapters and no HTTP before it.
type host struct {
	*server
	list []adapters.Adapter
}

// newHost runs an engine and its loaders until the test ends.
func newHost(t testing.TB, cfg Config, list []adapters.Adapter) *host {
	t.Helper()
	h, stop := hostUntil(t, cfg, list)
	t.Cleanup(stop)
	return h
}

func hostUntil(t testing.TB, cfg Config, list []adapters.Adapter) (*host, func()) {
	t.Helper()
	require.NoError(t, cfg.Validate())
	s := &server{cfg: cfg, clk: clock.New()}
	require.NoError(t, s.furnish(context.Background()))
	done := make(chan error, 2)
	go func() { done <- s.eng.run() }()
	go func() { done <- s.eng.loader.run() }()
	return &host{s, list}, func() {
		s.eng.stop(nil)
		s.eng.loader.close()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.NoError(t, s.free())
	}
}

func adapterConfig(dir string, slots int) Config {
	c := small()
	c.Step = 200 * time.Microsecond
	c.AdapterDir, c.AdapterSlots = dir, slots
	return c
}

// ask serves one sequence with adapter i of the list, -1 for the base model.
func (h *host) ask(t testing.TB, i int) (*seq, error) {
	t.Helper()
	q := newSeq(h.cfg, prompt(1, 8), 2)
	if i >= 0 {
		l, err := h.loras.named(h.list[i].Name)
		require.NoError(t, err)
		q.adapter = l.id
	}
	st := newStream()
	q.out = st
	require.True(t, h.eng.submit(q))
	return q, await(t, st)
}

// await reads a sequence's events to its end.
func await(t testing.TB, st *stream) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		events, err := st.next(ctx, nil)
		require.NoError(t, err, "the sequence never ends")
		for _, e := range events {
			if e.err != nil || e.last {
				return e.err
			}
		}
	}
}

// must is ask for sequences that succeed.
func (h *host) must(t testing.TB, i int) *seq {
	t.Helper()
	q, err := h.ask(t, i)
	require.NoError(t, err)
	return q
}

// settled waits until the loaders have nothing to do, and gives the state.
func (h *host) settled(t testing.TB) SecondTruth {
	t.Helper()
	var s SecondTruth
	require.Eventually(t, func() bool {
		idle := false
		h.eng.call(func() {
			b := h.eng.sched.bank
			s, idle = h.eng.state(), len(b.leaving)+len(b.ops) == 0
			for _, slot := range b.slots {
				idle = idle && (slot == nil || !slot.moving)
			}
		})
		return idle
	}, 10*time.Second, time.Millisecond)
	return s
}

func TestAdapterIsReadOnFirstUse(t *testing.T) {
	dir, list := makeAdapters(t, 3)
	for _, mapped := range []bool{false, true} {
		t.Run(fmt.Sprintf("mmap=%v", mapped), func(t *testing.T) {
			dropped(t, list)
			cfg := adapterConfig(dir, 2)
			cfg.AdapterMmap = mapped
			h := newHost(t, cfg, list)
			for _, a := range list {
				require.Less(t, cached(t, a), 0.05, "starting reads headers only")
			}
			q := h.must(t, 0)
			require.Positive(t, q.adapterLoad, "its bytes had to come from the disk")
			require.Equal(t, list[0].Bytes, q.adapterBytes)
			require.Greater(t, cached(t, list[0]), 0.99, "through the page cache")
			require.Less(t, cached(t, list[1]), 0.05, "and of no other adapter")
			require.Equal(t, crcOf(t, list[0].File), q.adapterSum, "all of its bytes")
			l, err := h.loras.named(list[0].Name)
			require.NoError(t, err)
			text, err := os.ReadFile(list[0].File)
			require.NoError(t, err)
			h.eng.call(func() {
				slot := h.eng.sched.bank.known[l.id].slot
				require.Equal(t, text, h.lora.slots.bytes(slot)[:l.bytes], "they are in memory")
			})

			again := h.must(t, 0)
			require.Zero(t, again.adapterLoad, "resident")
			require.Zero(t, again.adapterBytes)
			require.Equal(t, q.adapterSum, again.adapterSum)
			base := h.must(t, -1)
			require.Zero(t, base.adapterSum)
			other := h.must(t, 1)
			require.NotEqual(t, q.adapterSum, other.adapterSum)
			s := h.settled(t)
			require.Equal(t, []int64{2, 0, list[0].Bytes + list[1].Bytes, 0},
				[]int64{s.AdapterLoads, s.AdapterEvictions, s.AdapterReadBytes, s.AdapterErrors})
			require.Equal(t, []int{2, 2}, []int{s.AdapterSlots, s.AdapterResident})
		})
	}
}

func TestWhatThePageCacheKeeps(t *testing.T) {
	dir, list := makeAdapters(t, 3)
	rows := []struct {
		pages  AdapterPages
		pinned bool
		start  float64 // part of each file that is cached once the server runs
		gone   bool    // an evicted one has left
		why    string
	}{
		{"", false, 0, true, "the default drops"},
		{AdapterPagesDrop, false, 0, true, "an evicted adapter leaves the page cache"},
		{AdapterPagesKeep, false, 0, false, "the page cache is the kernel's business"},
		{AdapterPagesHold, false, 1, false, "every file is held from the start"},
	}
	for _, r := range rows {
		t.Run(string(r.pages)+r.why, func(t *testing.T) {
			dropped(t, list)
			cfg := adapterConfig(dir, 1)
			cfg.AdapterPages = r.pages
			h := newHost(t, cfg, list)
			for _, a := range list {
				require.InDelta(t, r.start, cached(t, a), 0.05, r.why)
			}
			h.must(t, 0)
			require.Greater(t, cached(t, list[0]), 0.99, "in use it stays")
			h.must(t, 1) // one slot: evicts 0
			s := h.settled(t)
			require.EqualValues(t, 1, s.AdapterEvictions)
			if r.gone {
				require.Less(t, cached(t, list[0]), 0.01, r.why)
			} else {
				require.Greater(t, cached(t, list[0]), 0.99, r.why)
			}
			if r.pages == AdapterPagesHold {
				require.NoError(t, pagecache.Drop(list[0].File))
				require.Greater(t, cached(t, list[0]), 0.99, "nobody can make it cold")
			}
			require.Positive(t, h.must(t, 0).adapterLoad, "its slot is another's, so it is read again")
			require.Equal(t, 3*list[0].Bytes, h.settled(t).AdapterReadBytes)
		})
	}
}

func TestPinnedAdaptersAreReadOnce(t *testing.T) {
	dir, list := makeAdapters(t, 4)
	dropped(t, list)
	cfg := adapterConfig(dir, 0)
	cfg.AdapterPinned = true
	h := newHost(t, cfg, list)
	for _, a := range list {
		require.Greater(t, cached(t, a), 0.99, "read at the start")
	}
	dropped(t, list)
	for i := range 12 {
		q := h.must(t, i%4)
		require.Zero(t, q.adapterLoad)
		require.NotZero(t, q.adapterSum)
	}
	for _, a := range list {
		require.Less(t, cached(t, a), 0.01, "and never again")
	}
	s := h.settled(t)
	require.Equal(t, []int64{4, 0, 4 * list[0].Bytes}, []int64{s.AdapterLoads, s.AdapterEvictions, s.AdapterReadBytes})
	require.Equal(t, 4, s.AdapterSlots)
	require.ErrorIs(t, h.loras.register("more", list[0].Dir), ErrAdapters, "there is no room for it, ever")
}

func TestAdaptersThatCannotBeServed(t *testing.T) {
	dir, list := makeAdapters(t, 2)
	empty := t.TempDir()
	broken := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(broken, "x"), os.DirFS(list[0].Dir)))
	require.NoError(t, os.Truncate(filepath.Join(broken, "x", filepath.Base(list[0].File)), list[0].Bytes-1))
	rows := []struct {
		why  string
		cfg  Config
		is   error
		says string
	}{
		{"no such directory", adapterConfig(filepath.Join(empty, "none"), 1), ErrAdapters, "none"},
		{"no adapters", adapterConfig(empty, 1), ErrAdapters, "none in"},
		{"a damaged one", adapterConfig(broken, 1), adapters.ErrCorrupt, "x"},
		{"more memory than there is", adapterConfig(dir, maxAdapterSlots), ErrMemory, "adapter_slots"},
	}
	for _, r := range rows {
		err := Serve(t.Context(), r.cfg, nil)
		require.ErrorIs(t, err, r.is, r.why)
		require.ErrorContains(t, err, r.says, r.why)
	}
	if checkDir("/dev/shm") != nil {
		err := Serve(t.Context(), adapterConfig("/dev/shm", 1), nil)
		require.ErrorIs(t, err, ErrNoDisk, "memory cannot be cold")
	}
}

func TestRegisteringWhileTheServerRuns(t *testing.T) {
	dir, list := makeAdapters(t, 2)
	h := newHost(t, adapterConfig(dir, 1), list)
	first := h.must(t, 0)
	require.ErrorIs(t, h.loras.register(list[1].Name, list[1].Dir), errAdapterExists)
	require.ErrorIs(t, h.loras.register("x", t.TempDir()), adapters.ErrNotAdapter)
	require.Error(t, h.loras.register("a,b", list[1].Dir), "the name would read as two")
	require.NoError(t, h.loras.register("new", list[0].Dir))
	l, err := h.loras.numbered(3)
	require.NoError(t, err)
	require.Equal(t, "new", l.name, "the next number")

	h.list = append(h.list, adapters.Adapter{Name: "new"})
	q := h.must(t, 2)
	require.Positive(t, q.adapterLoad)
	require.Equal(t, first.adapterSum, q.adapterSum, "the same file by another name")
	require.Greater(t, cached(t, list[0]), 0.99, "evicted under one name, it stays for the other")
	require.NoError(t, h.loras.unregister("new"))
	require.ErrorIs(t, h.loras.unregister("new"), errUnknownAdapter)
	s := h.settled(t)
	require.Zero(t, s.AdapterResident, "its memory is free")
	require.Less(t, cached(t, list[0]), 0.01, "and its pages are gone")
	_, err = h.loras.numbered(3)
	require.ErrorIs(t, err, errUnknownAdapter)

	big := filepath.Join(t.TempDir(), "big")
	more, err := adapters.Make(t.Context(), big, adapters.Spec{Model: "L8B", Rank: 5, Modules: []string{"q_proj"}}, 1, nil)
	require.NoError(t, err)
	require.ErrorContains(t, h.loras.register("big", more[0].Dir), "slots have", "it fits no slot")
}

func TestStoppingCutsALoadShort(t *testing.T) {
	dir, list := makeAdapters(t, 1)
	h, stop := hostUntil(t, adapterConfig(dir, 1), list)
	h.eng.loader.close()
	require.ErrorIs(t, h.eng.loader.load(adapterOp{h.loras.at(1), 0}).err, errStopping)
	stop()
}

func TestAdapterMetricsAndTruth(t *testing.T) {
	dir, list := makeAdapters(t, 3)
	cfg := adapterConfig(dir, 2)
	cfg.TruthPath = filepath.Join(t.TempDir(), "truth.jsonl")
	info, stop := serveUntil(t, cfg)
	require.Equal(t, []string{list[0].Name, list[1].Name, list[2].Name}, info.Adapters)
	require.Equal(t, list[0].Bytes, info.AdapterBytes)
	require.Equal(t, 2, info.AdapterSlots)
	for _, name := range []string{"loads_total", "evictions_total", "read_bytes_total", "errors_total", "resident"} {
		require.Zero(t, metric(t, info.URL, "spark_emulator_adapter_"+name))
	}
	require.EqualValues(t, 2, metric(t, info.URL, "spark_emulator_adapter_slots"))
	_, text := get(t, info.URL+"/metrics")
	require.Contains(t, text, `vllm:lora_requests_info{running_lora_adapters="",waiting_lora_adapters="",max_lora="2"} `)
	require.Contains(t, text, "spark_emulator_adapter_load_seconds_bucket{")
	post(t, info.URL+"/v1/completions", `{"prompt":"a","max_tokens":1}`)
	stop()
	lines, err := os.ReadFile(cfg.TruthPath)
	require.NoError(t, err)
	require.Contains(t, string(lines), `"adapter_slots":2`)
	for line := range strings.Lines(string(lines)) {
		var tr Truth
		require.NoError(t, json.Unmarshal([]byte(line), &tr))
		if tr.Request != nil {
			require.Nil(t, tr.Request.AdapterLoad, "the base model has none")
			require.Empty(t, tr.Request.Adapter)
		}
	}
}
