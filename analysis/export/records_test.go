package export

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/loadgen"
)

// readRow is a row as another implementation of Parquet reads it.
type readRow struct {
	Run          string  `parquet:"run"`
	Arm          string  `parquet:"arm"`
	Block        int64   `parquet:"block"`
	ID           int64   `parquet:"id"`
	User         int64   `parquet:"user"`
	Turn         int64   `parquet:"turn"`
	Phase        string  `parquet:"phase"`
	Outcome      string  `parquet:"outcome"`
	Adapter      *string `parquet:"adapter,optional"`
	Due          *int64  `parquet:"due_ns,optional"`
	FirstToken   *int64  `parquet:"first_token_ns,optional"`
	Close        *int64  `parquet:"close_ns,optional"`
	TTFT         *int64  `parquet:"ttft_ns,optional"`
	E2E          *int64  `parquet:"e2e_ns,optional"`
	Lag          *int64  `parquet:"lag_ns,optional"`
	AdapterLoad  *int64  `parquet:"adapter_load_ns,optional"`
	PromptTokens *int64  `parquet:"prompt_tokens,optional"`
	Estimated    bool    `parquet:"tokens_estimated"`
	Status       *int64  `parquet:"status,optional"`
	Error        *string `parquet:"error,optional"`
	EventNs      []int64 `parquet:"event_ns,list"`
	EventTokens  []int64 `parquet:"event_tokens,list"`
}

// A recorded run, written by this package and read by another implementation,
// is what its JSON says, row by row.
func TestParquetIsTheRecords(t *testing.T) {
	for _, id := range []string{"H1", "H2"} {
		runs, err := bundle.Runs("../../hypotheses/testdata/runs", id)
		require.NoError(t, err)
		require.NotEmpty(t, runs)
		path := filepath.Join(t.TempDir(), "r.parquet")
		n, err := Parquet(runs[0], path)
		require.NoError(t, err)
		rows := readAll(t, path)
		require.Len(t, rows, int(n))
		require.Greater(t, n, int64(20))
		requireRecords(t, runs[0], rows)

		_, err = Parquet(runs[0], path)
		require.ErrorIs(t, err, fs.ErrExist, "nothing is overwritten")
	}
}

func requireRecords(t *testing.T, dir string, rows []readRow) {
	t.Helper()
	arms, err := filepath.Glob(filepath.Join(dir, "raw", "*", "requests.jsonl.zst"))
	require.NoError(t, err)
	i := 0
	for _, path := range arms {
		for r, err := range loadgen.ReadRecords(path) {
			require.NoError(t, err)
			require.Equal(t, rowOf(filepath.Base(dir), filepath.Base(filepath.Dir(dir)), filepath.Base(filepath.Dir(path)), r), withoutBlock(rows[i]))
			i++
		}
	}
	require.Len(t, rows, i)
}

func withoutBlock(r readRow) readRow { r.Block = 0; return r }

func rowOf(run, id, arm string, r *loadgen.Record) readRow {
	row := readRow{
		Run: id + "/" + run, Arm: arm, ID: r.ID, User: int64(r.User), Turn: int64(r.Turn), Phase: string(r.Phase), Outcome: string(r.Outcome),
		Due: ns(r.Due), FirstToken: ns(r.FirstToken), Close: ns(r.Close), Estimated: r.TokensEstimated,
		TTFT: gap(r.FirstToken, r.Due), E2E: gap(r.LastToken, r.Due), Lag: gap(r.Dispatched, r.Due),
		EventNs: []int64{}, EventTokens: []int64{},
	}
	if r.Adapter != "" {
		row.Adapter = &r.Adapter
	}
	if r.AdapterLoad != nil {
		row.AdapterLoad = new(int64(*r.AdapterLoad))
	}
	if r.PromptTokens != nil {
		row.PromptTokens = new(int64(*r.PromptTokens))
	}
	if r.Status != 0 {
		row.Status = new(int64(r.Status))
	}
	if r.Error != "" {
		row.Error = &r.Error
	}
	for _, e := range r.Events {
		row.EventNs, row.EventTokens = append(row.EventNs, int64(e.At)), append(row.EventTokens, int64(e.Tokens))
	}
	return row
}

func ns(i loadgen.Instant) *int64 {
	if d, ok := i.Get(); ok {
		return new(int64(d))
	}
	return nil
}

func gap(to, from loadgen.Instant) *int64 {
	if d, ok := to.Sub(from); ok {
		return new(int64(d))
	}
	return nil
}

func readAll(t *testing.T, path string) []readRow {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	r := parquet.NewGenericReader[readRow](f)
	defer r.Close()
	rows := make([]readRow, r.NumRows())
	n, err := r.Read(rows)
	require.True(t, err == nil || errors.Is(err, io.EOF), "%v", err)
	require.Equal(t, len(rows), n)
	for i := range rows {
		if rows[i].EventNs == nil {
			rows[i].EventNs = []int64{}
		}
		if rows[i].EventTokens == nil {
			rows[i].EventTokens = []int64{}
		}
	}
	return rows
}

// Absent values, empty lists, empty and odd texts, and several row groups.
func TestEveryKindOfColumnComesBack(t *testing.T) {
	type row struct {
		N     int64   `parquet:"n"`
		Maybe *int64  `parquet:"maybe,optional"`
		S     string  `parquet:"s"`
		OptS  *string `parquet:"opt_s,optional"`
		Flag  bool    `parquet:"flag"`
		List  []int64 `parquet:"list,list"`
	}
	path := filepath.Join(t.TempDir(), "k.parquet")
	out, err := os.Create(path)
	require.NoError(t, err)
	cs := []*column{
		{name: "n", kind: typeInt64},
		{name: "maybe", kind: typeInt64, optional: true},
		{name: "s", kind: typeByteArray},
		{name: "opt_s", kind: typeByteArray, optional: true},
		{name: "flag", kind: typeBoolean},
		{name: "list", kind: typeInt64, list: true},
	}
	f, err := newFile(out, cs)
	require.NoError(t, err)
	var want []row
	for i := range 100 {
		r := row{N: int64(i) - 50, S: []string{"", "é\x00\n", "plain"}[i%3], Flag: i%5 == 0, List: []int64{}}
		cs[0].int(r.N)
		if i%4 == 0 {
			cs[1].absent()
		} else {
			r.Maybe = new(int64(i) << 40)
			cs[1].int(*r.Maybe)
		}
		cs[2].text(r.S)
		if i%7 == 0 {
			r.OptS = new("x")
			cs[3].text("x")
		} else {
			cs[3].absent()
		}
		cs[4].flag(r.Flag)
		for k := range i % 6 {
			r.List = append(r.List, int64(k-i))
		}
		cs[5].ints(len(r.List), func(k int) int64 { return r.List[k] })
		require.NoError(t, f.endRow())
		if i%33 == 0 {
			require.NoError(t, f.endGroup())
		}
		want = append(want, r)
	}
	require.NoError(t, f.close([][2]string{{"k", "v"}}))
	info, err := out.Stat()
	require.NoError(t, err)
	pf, err := parquet.OpenFile(out, info.Size())
	require.NoError(t, err)
	v, ok := pf.Lookup("k")
	require.True(t, ok)
	require.Equal(t, "v", v)
	require.Len(t, pf.RowGroups(), 4)
	r := parquet.NewGenericReader[row](out)
	got := make([]row, r.NumRows())
	n, err := r.Read(got)
	require.True(t, err == nil || errors.Is(err, io.EOF), "%v", err)
	require.Equal(t, 100, n)
	for i := range got {
		if got[i].List == nil {
			got[i].List = []int64{}
		}
	}
	require.Equal(t, want, got)
}

func TestParquetRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "H0", "x")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	out := filepath.Join(t.TempDir(), "o.parquet")
	_, err := Parquet(dir, out)
	require.ErrorIs(t, err, bundle.ErrCorrupt, "no checksums")
	require.NoError(t, os.WriteFile(filepath.Join(dir, bundle.SumsFile), nil, 0o644))
	_, err = Parquet(dir, out)
	require.ErrorIs(t, err, ErrNoRecords)
	require.NoFileExists(t, out)
}
