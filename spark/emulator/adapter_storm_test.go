package emulator

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/spark/adapters"
)

// TestStormOverRealFiles has many users ask for any of more adapters than fit,
// while others come and go.
func TestStormOverRealFiles(t *testing.T) {
	dir, list := makeAdapters(t, 7)
	want := map[string]uint64{}
	for _, a := range list {
		want[a.Name] = crcOf(t, a.File)
	}
	for _, mapped := range []bool{false, true} {
		dropped(t, list)
		cfg := adapterConfig(dir, 3)
		cfg.AdapterMmap = mapped
		h := newHost(t, cfg, list)
		var mu sync.Mutex
		var bytes int64
		cold, resident := 0, 0
		var users sync.WaitGroup
		for u := range 12 {
			users.Go(func() {
				r := rand.New(rand.NewPCG(uint64(u), 4))
				for range 20 {
					a := list[r.IntN(len(list))]
					q, err := h.serveOne(t, a.Name)
					if !assert.NoError(t, err) {
						return
					}
					assert.Equal(t, want[a.Name], q.adapterSum, "the answer is made with the adapter that was asked for")
					mu.Lock()
					bytes += q.adapterBytes
					if q.adapterLoad > 0 {
						cold++
					} else {
						resident++
					}
					mu.Unlock()
				}
			})
		}
		guests := 0
		users.Go(func() {
			read, loads := h.comeAndGo(t, list[0], 20)
			mu.Lock()
			defer mu.Unlock()
			bytes, guests = bytes+read, loads
		})
		users.Wait()
		s := h.settled(t)
		require.Equal(t, bytes, s.AdapterReadBytes, "the requests account for every byte")
		require.Equal(t, s.AdapterReadBytes, s.AdapterLoads*list[0].Bytes)
		require.LessOrEqual(t, s.AdapterResident, 3)
		require.Zero(t, s.AdapterErrors)
		require.GreaterOrEqual(t, cold+guests, int(s.AdapterLoads), "who begins a load waits for it")
		require.Positive(t, s.AdapterEvictions)
		inMemory := map[string]bool{}
		h.eng.call(func() {
			for _, slot := range h.eng.sched.bank.slots {
				if slot != nil {
					inMemory[slot.lora.file] = true
				}
			}
		})
		for _, a := range list {
			require.Equal(t, inMemory[a.File], cached(t, a) > 0.5, "%s: in memory and in the page cache, or in neither", a.Name)
		}
	}
}

// serveOne is ask by name, for use off the test's goroutine.
func (h *host) serveOne(t *testing.T, name string) (*seq, error) {
	q, st, err := h.begin(name)
	if err != nil {
		return nil, err
	}
	return q, hear(t, st)
}

// begin submits a sequence that asks for an adapter.
func (h *host) begin(name string) (*seq, *stream, error) {
	l, err := h.loras.named(name)
	if err != nil {
		return nil, nil, err
	}
	q, st := newSeq(h.cfg, prompt(1, 8), 2), newStream()
	q.out, q.adapter = st, l.id
	if !h.eng.submit(q) {
		return nil, nil, errStopping
	}
	return q, st, nil
}

// hear returns at the sequence's end.
func hear(t *testing.T, st *stream) error {
	for {
		events, err := st.next(t.Context(), nil)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.err != nil || e.last {
				return e.err
			}
		}
	}
}

// comeAndGo registers another name for an adapter's file, asks for it, and takes
// it away again, every other time from under a request that is then aborted. It
// returns what was read for that, in how many loads.
func (h *host) comeAndGo(t *testing.T, a adapters.Adapter, times int) (read int64, loads int) {
	for i := range times {
		name := fmt.Sprintf("guest%d", i)
		if !assert.NoError(t, h.loras.register(name, a.Dir)) {
			return
		}
		q, st, err := h.begin(name)
		if !assert.NoError(t, err) {
			return
		}
		if i%2 == 0 {
			h.eng.abort(q)
		}
		assert.NoError(t, h.loras.unregister(name))
		if i%2 == 1 {
			assert.NoError(t, hear(t, st), "it was accepted, so it is served")
		}
		if read += q.adapterBytes; q.adapterBytes > 0 {
			loads++
		}
	}
	return read, loads
}
