package loadgen

import (
	"cmp"
	"slices"
)

// MaxAdapterRows bounds the adapters that a Summary tells apart; those past it
// are pooled in a last row named RestOfAdapters. The plan's list comes first, in
// its order, then what else the records name, in theirs.
const (
	MaxAdapterRows = 256
	RestOfAdapters = "(others)"
)

// AdapterSummary is what the requests for one adapter saw.
type AdapterSummary struct {
	Name string   `json:"name"`
	Due  int64    `json:"due"`
	OK   int64    `json:"ok"`
	TTFT *Latency `json:"ttft_ms,omitempty"` // first token − due
	// Cold and Resident split TTFT by Record.AdapterLoad; absent where the server
	// does not tell.
	Cold     *Latency `json:"ttft_cold_ms,omitempty"`
	Resident *Latency `json:"ttft_resident_ms,omitempty"`
}

// adapterSums counts the measured requests of each adapter. Requests to the base
// model are not in it.
type adapterSums struct {
	rows map[string]*adapterRow
	rest adapterRow
}

type adapterRow struct {
	due, ok              int64
	ttft, cold, resident pagedHist
}

// newAdapterSums keeps rows for the first adapters of a plan, so that whether
// one has its own does not depend on what came first.
func newAdapterSums(list []Adapter) adapterSums {
	s := adapterSums{rows: make(map[string]*adapterRow, min(len(list), MaxAdapterRows))}
	for _, a := range list[:min(len(list), MaxAdapterRows)] {
		s.rows[a.Name] = &adapterRow{}
	}
	return s
}

func (s *adapterSums) row(name string) *adapterRow {
	if row := s.rows[name]; row != nil {
		return row
	}
	if len(s.rows) >= MaxAdapterRows {
		return &s.rest
	}
	row := &adapterRow{}
	s.rows[name] = row
	return row
}

func (s *adapterSums) add(r *Record) {
	if r.Adapter == "" {
		return
	}
	row := s.row(r.Adapter)
	row.due++
	if !r.Outcome.OK() {
		return
	}
	row.ok++
	ttft, ok := r.FirstToken.Sub(r.Due)
	if !ok {
		return
	}
	row.ttft.record(ttft)
	switch load := r.AdapterLoad; {
	case load == nil:
	case *load > 0:
		row.cold.record(ttft)
	default:
		row.resident.record(ttft)
	}
}

// summary has a row for every adapter that was asked for; nil for none.
func (s *adapterSums) summary() []AdapterSummary {
	var rows []AdapterSummary
	for name, row := range s.rows {
		if row.due > 0 {
			rows = append(rows, row.summary(name))
		}
	}
	slices.SortFunc(rows, func(a, b AdapterSummary) int { return cmp.Compare(a.Name, b.Name) })
	if s.rest.due > 0 {
		rows = append(rows, s.rest.summary(RestOfAdapters))
	}
	return rows
}

func (r *adapterRow) summary(name string) AdapterSummary {
	return AdapterSummary{
		Name: name, Due: r.due, OK: r.ok,
		TTFT: describe(&r.ttft, 0), Cold: describe(&r.cold, 0), Resident: describe(&r.resident, 0),
	}
}
