package loadgen

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHeadsAreThoseOfTheRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl.zst")
	w, err := NewRecordWriter(path)
	require.NoError(t, err)
	draws := newDraws(31, 7, 0)
	for range 300 {
		require.NoError(t, w.Write(randomRecord(draws)))
	}
	require.NoError(t, w.Close())
	heads := []RecordHead{}
	for h, err := range ReadHeads(path) {
		require.NoError(t, err)
		heads = append(heads, *h)
	}
	n := 0
	for r, err := range ReadRecords(path) {
		require.NoError(t, err)
		h := heads[n]
		n++
		require.Equal(t, []any{r.Turn, r.Phase, r.Outcome, r.Adapter}, []any{h.Turn, h.Phase, h.Outcome, h.Adapter})
		require.Equal(t, []Instant{r.Due, r.FirstToken, r.LastToken, r.Close}, []Instant{h.Due, h.FirstToken, h.LastToken, h.Close})
		for _, pair := range []struct {
			p *int
			c Count
		}{{r.PromptTokens, h.PromptTokens}, {r.OutputTokens, h.OutputTokens}, {r.CachedTokens, h.CachedTokens}} {
			got, ok := pair.c.Get()
			require.Equal(t, pair.p != nil, ok)
			if ok {
				require.EqualValues(t, *pair.p, got)
			}
		}
	}
	require.Equal(t, len(heads), n)
}

// A record as the writer writes it takes the fast way; if none did, all would
// still be right and slow.
func TestWrittenRecordsArePlain(t *testing.T) {
	draws := newDraws(32, 7, 0)
	var d headDecoder
	plain := 0
	for range 100 {
		r := randomRecord(draws)
		r.Due, r.Adapter = At(5), "adapter-01"
		if d.plain(appendRecord(nil, r)) {
			plain++
		}
	}
	require.Equal(t, 100, plain)
}

func TestDecodingHeadsAllocatesNothing(t *testing.T) {
	r := randomRecord(newDraws(33, 7, 0))
	r.Due, r.Adapter = At(5), "adapter-01"
	for range 100 {
		r.Events = append(r.Events, Event{At: 5e9, Tokens: 1})
	}
	line := appendRecord(nil, r)
	var d headDecoder
	require.NoError(t, d.decode(line))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = d.decode(line) }))
}

func FuzzRecordHead(f *testing.F) {
	f.Add(string(appendRecord(nil, randomRecord(newDraws(23, 99, 0)))))
	for _, seed := range []string{
		`{"due_ns":1,"DUE_NS":2}`, `{"due_ns":1,"due_ns":null}`, `{"due_ns":1e3}`, `{"due_ns":9223372036854775808}`, `{"due_ns":-0}`,
		`{"phase":"\u006d"}`, `{"phase":"é"}`, "{\"phase\":\"\xff\"}", `{"\u0070hase":"x"}`, `{"event_ns":[1,2,}`, `{"event_ns":{"a":[1]}}`,
		`null`, `[]`, `{"turn":1.0}`, `{"turn":true}`, `{} {}`, `{"outcome":"ok"`, `{"prompt_tokens":null,"prompt_tokens":3}`, "{\"id\":\x00}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var d headDecoder
		var w wireHead
		want := json.Unmarshal([]byte(line), &w)
		got := d.decode([]byte(line))
		require.Equal(t, want == nil, got == nil, "%v against %v", want, got)
		if want == nil {
			require.Equal(t, w.head(), d.head)
		}
	})
}

func BenchmarkRecordHead(b *testing.B) {
	r := randomRecord(newDraws(33, 7, 0))
	r.Due, r.Adapter = At(5e9), ""
	r.Events = nil
	for i := range 80 {
		r.Events = append(r.Events, Event{At: 6e9 + 20_123_456*time.Duration(i), Tokens: 1})
	}
	line := appendRecord(nil, r)
	b.SetBytes(int64(len(line)))
	var d headDecoder
	for b.Loop() {
		_ = d.decode(line)
	}
}
