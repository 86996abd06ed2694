package loadgen

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// randomRecord fills every field by chance, each of them absent sometimes.
func randomRecord(s *draws) *Record {
	instant := func() Instant {
		if s.below(4) == 0 {
			return Instant{}
		}
		return At(time.Duration(s.pcg.Uint64() >> 20))
	}
	count := func() *int {
		if s.below(3) == 0 {
			return nil
		}
		return new(int(s.below(1 << 20)))
	}
	texts := []string{"", "a0", `say "hi"`, "line\nbreak\t\x00\x1f", `C:\x`, "größe 木 🙂", "<&>\u2028", "plain text"}
	text := func() string { return texts[s.below(uint64(len(texts)))] }
	r := &Record{
		ID: int64(s.pcg.Uint64()), User: int(int32(s.pcg.Uint64())), Turn: int(s.below(100)), Phase: PhaseMeasure, Adapter: text(),
		Due: instant(), Dispatched: instant(), Written: instant(), FirstByte: instant(), Header: instant(),
		FirstToken: instant(), FirstVisible: instant(), LastToken: instant(), Close: instant(),
		Reads: int(s.below(3)), Stamp: []StampSource{"", StampKernel, StampUser}[s.below(3)],
		PromptTokensAsked: count(), PromptTokens: count(), OutputTokens: count(), CachedTokens: count(),
		TokensEstimated: s.below(2) == 0, Status: int(s.below(3)) * 200, Finish: text(), Outcome: OutcomeOK, Error: text(),
		ReusedConn: s.below(2) == 0, PromptHash: Hash(s.pcg.Uint64() >> (s.below(2) * 60)), BytesIn: int64(s.below(2)) * 1e12,
		AnswerHash: Hash(s.pcg.Uint64() >> (s.below(2) * 60)), Cumulative: s.below(2) == 0,
	}
	if s.below(2) == 0 {
		r.AdapterLoad = new(time.Duration(s.below(3)) * time.Millisecond)
	}
	counted := s.below(2)
	for range s.below(40) {
		// Stamps may go back by a little: they come from several reads.
		r.Events = append(r.Events, Event{At: time.Duration(s.below(1 << 50)), Tokens: int(s.below(4) * counted)})
	}
	return r
}

func TestRecordsSurviveTheirFile(t *testing.T) {
	s := newDraws(21, 99, 0)
	for _, name := range []string{"r.jsonl", "r.jsonl.zst"} {
		path := filepath.Join(t.TempDir(), name)
		w, err := NewRecordWriter(path)
		require.NoError(t, err)
		var want []*Record
		for range 2000 {
			r := randomRecord(s)
			want = append(want, r)
			require.NoError(t, w.Write(r))
		}
		require.NoError(t, w.Flush())
		require.NoError(t, w.Close())
		i := 0
		for got, err := range ReadRecords(path) {
			require.NoError(t, err)
			require.Equal(t, want[i], got)
			i++
		}
		require.Len(t, want, i)
	}
}

// standardJSON is what encoding/json makes of a record's fields.
func standardJSON(t testing.TB, r *Record) []byte {
	w := wireRecord{bareRecord: (*bareRecord)(r)}
	var last time.Duration
	for _, e := range r.Events {
		w.EventNs = append(w.EventNs, int64(e.At-last))
		w.EventTokens = append(w.EventTokens, e.Tokens)
		last = e.At
	}
	if !slices.ContainsFunc(w.EventTokens, func(n int) bool { return n != 0 }) {
		w.EventTokens = nil
	}
	b, err := json.Marshal(w)
	require.NoError(t, err)
	return b
}

func TestHandWrittenJSONIsTheStandardJSON(t *testing.T) {
	s := newDraws(22, 99, 0)
	for range 2000 {
		r := randomRecord(s)
		std := standardJSON(t, r)
		line := appendRecord(nil, r)
		require.JSONEq(t, string(std), string(line))
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(line, &members))
		size := len("{") // and each member once: its name in quotes, a colon, its value, a comma or the end
		for name, value := range members {
			size += len(name) + len(value) + len(`"":,`)
		}
		require.Len(t, line, size)
	}
}

func TestRecordLinesAreCompact(t *testing.T) {
	r := &Record{
		ID: 7, Phase: PhaseMeasure, Due: At(1000), Outcome: OutcomeOK,
		Events: []Event{{At: 5000, Tokens: 1}, {At: 6000, Tokens: 2}, {At: 6500, Tokens: 1}},
	}
	require.Equal(t, `{"id":7,"user":0,"turn":0,"phase":"measure","due_ns":1000,"event_ns":[5000,1000,500],"event_tokens":[1,2,1],"outcome":"ok"}`,
		string(appendRecord(nil, r)))
	r.Events = []Event{{At: 5000}, {At: 6000}}
	require.Contains(t, string(appendRecord(nil, r)), `"event_ns":[5000,1000],"outcome"`, "unknown counts are left out")
}

func TestInvalidTextStaysReadable(t *testing.T) {
	r := &Record{Error: "bad \xff byte", Outcome: OutcomeBadEvent}
	var back Record
	require.NoError(t, json.Unmarshal(appendRecord(nil, r), &back))
	require.Equal(t, "bad \ufffd byte", back.Error)
}

func TestRecordFileErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "r.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"id":1,"due_ns":5,"outcome":"ok"}`+"\nnull\n"), 0o644))
	var errs []error
	n := 0
	for _, err := range ReadRecords(path) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		n++
	}
	require.Equal(t, 1, n)
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "null")

	_, err := NewRecordWriter(path)
	require.ErrorIs(t, err, os.ErrExist, "results are never overwritten")
	_, err = NewRecordWriter(filepath.Join(dir, "none", "r.jsonl"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzReadRecord(f *testing.F) {
	f.Add(string(appendRecord(nil, randomRecord(newDraws(23, 99, 0)))))
	f.Add(`{"event_ns":[1],"event_tokens":[1,2]}`)
	f.Add(`{"phase":"measure","outcome":"ok","due_ns":-9223372036854775808,"first_token_ns":9223372036854775807,"event_ns":[9223372036854775807,1],"event_tokens":[-5,3],"output_tokens":-3}`)
	f.Fuzz(func(t *testing.T, line string) {
		var r, again Record
		if json.Unmarshal([]byte(line), &r) != nil {
			return
		}
		require.NoError(t, json.Unmarshal(appendRecord(nil, &r), &again))
		require.Equal(t, r, again)
		a := NewAccumulator(planOf(Users(1)), 0)
		a.Add(&r)
		_, err := json.Marshal(a.Summary(time.Minute))
		require.NoError(t, err)
	})
}

// streamed is a record of a stream of n tokens as a healthy server gives it.
func streamed(id int64, due time.Duration, n int) *Record {
	r := &Record{
		ID: id, User: int(id % 64), Turn: int(id / 64), Phase: PhaseMeasure, Outcome: OutcomeOK, Status: 200, Finish: "length",
		Due: At(due), Dispatched: At(due + 80*time.Microsecond), Written: At(due + 150*time.Microsecond),
		FirstByte: At(due + 199*time.Millisecond), Header: At(due + 199*time.Millisecond),
		FirstToken: At(due + 200*time.Millisecond), FirstVisible: At(due + 200*time.Millisecond),
		PromptTokensAsked: new(256), PromptTokens: new(256), OutputTokens: new(n), Reads: n, Stamp: StampKernel,
		ReusedConn: true, PromptHash: Hash(mix(uint64(id))), BytesIn: int64(300 * n),
	}
	for i := range n {
		at := due + 200*time.Millisecond + time.Duration(i)*20*time.Millisecond + time.Duration(mix(uint64(id)+uint64(i))%1e6)
		r.Events = append(r.Events, Event{At: at, Tokens: 1})
	}
	last := r.Events[n-1].At
	r.FirstToken, r.FirstVisible = At(r.Events[0].At), At(r.Events[0].At)
	r.LastToken, r.Close = At(last), At(last+time.Millisecond)
	return r
}

// TestMemoryDoesNotGrowWithTheRun feeds summary and file as a run does and
// compares the live heap after a short and a ten times longer run.
func TestMemoryDoesNotGrowWithTheRun(t *testing.T) {
	p := planOf(Users(64))
	p.Measure, p.MinRequests = time.Hour, 1_000_000
	acc := NewAccumulator(p, 0)
	w, err := NewRecordWriter(filepath.Join(t.TempDir(), "r.jsonl.zst"))
	require.NoError(t, err)
	id := int64(0)
	feed := func(n int) uint64 {
		for range n {
			r := streamed(id, time.Duration(id)*20*time.Millisecond, 32)
			id++
			acc.Add(r)
			require.NoError(t, w.Write(r))
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	short := feed(2000)
	long := feed(20_000)
	require.Less(t, int64(long)-int64(short), int64(256<<10), "heap after 2,000 records %d, after 22,000 %d", short, long)

	r := streamed(id, time.Second, 32)
	perRecord := testing.AllocsPerRun(1000, func() {
		acc.Add(r)
		require.NoError(t, w.Write(r))
	})
	require.LessOrEqual(t, perRecord, 1.0, "allocations for a record; require.NoError boxes one now and then")
	require.NoError(t, w.Close())
}

func BenchmarkRecordWriter(b *testing.B) {
	w, err := NewRecordWriter(filepath.Join(b.TempDir(), "r.jsonl.zst"))
	require.NoError(b, err)
	records := make([]*Record, 8192) // more than the compressor remembers
	for i := range records {
		records[i] = streamed(int64(i), time.Duration(i)*time.Millisecond, 64)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := w.Write(records[i%len(records)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	require.NoError(b, w.Close())
}

func BenchmarkAccumulator(b *testing.B) {
	acc := NewAccumulator(planOf(Users(64)), 0)
	r := streamed(1, 6*time.Second, 64)
	b.ReportAllocs()
	for b.Loop() {
		acc.Add(r)
	}
}

func BenchmarkRecordEncoders(b *testing.B) {
	r := streamed(1, 6*time.Second, 64)
	b.Run("append", func(b *testing.B) {
		var line []byte
		for b.Loop() {
			line = appendRecord(line[:0], r)
		}
		b.SetBytes(int64(len(line)))
	})
	b.Run("encoding/json", func(b *testing.B) {
		for b.Loop() {
			b.SetBytes(int64(len(standardJSON(b, r))))
		}
	})
}

func TestZstdFilesAreSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl.zst")
	w, err := NewRecordWriter(path)
	require.NoError(t, err)
	const n = 2000
	for i := range n {
		require.NoError(t, w.Write(streamed(int64(i), time.Duration(i)*time.Millisecond, 64)))
	}
	require.NoError(t, w.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, info.Size()/n, int64(700), "bytes a record of 64 events, with gaps random to 1 ms")
}
