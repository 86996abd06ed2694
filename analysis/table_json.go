package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// fileTable is a table as JSON has it. A cell is a string, a bool, null, or a
// number; one with a point or an exponent is a float64. An infinite cell is the
// object {"inf": 1} or {"inf": -1}, because a string would make its column text.
type fileTable struct {
	Title   string
	Columns []TableColumn
	Rows    [][]json.RawMessage
}

// MarshalJSON keeps what CSV and Markdown make of the table: reading it back
// gives the same files. Fails for a cell of a type that Rows does not list.
func (t Table) MarshalJSON() ([]byte, error) {
	f := fileTable{Title: t.Title, Columns: t.Columns, Rows: make([][]json.RawMessage, len(t.Rows))}
	for i, row := range t.Rows {
		f.Rows[i] = make([]json.RawMessage, len(row))
		for j, v := range row {
			cell, err := cellJSON(v)
			if err != nil {
				return nil, fmt.Errorf("analysis: write table %q: row %d: %w", visible(t.Title), i, err)
			}
			f.Rows[i][j] = cell
		}
	}
	return json.Marshal(f)
}

func cellJSON(v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case nil, string, bool, int, int64:
		return json.Marshal(v)
	case float64:
		return floatJSON(v), nil
	case *float64:
		if v == nil {
			return json.RawMessage("null"), nil
		}
		return floatJSON(*v), nil
	}
	return nil, fmt.Errorf("cannot write a %T", v)
}

func floatJSON(v float64) json.RawMessage {
	switch {
	case math.IsNaN(v):
		return json.RawMessage("null")
	case math.IsInf(v, 1):
		return json.RawMessage(`{"inf":1}`)
	case math.IsInf(v, -1):
		return json.RawMessage(`{"inf":-1}`)
	}
	return strconv.AppendFloat(nil, v, 'e', -1, 64) // the exponent marks it as a float64
}

// UnmarshalJSON is the inverse of MarshalJSON, but for int and *float64, which
// come back as int64 and float64.
func (t *Table) UnmarshalJSON(b []byte) error {
	var f fileTable
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("analysis: read table: %w", err)
	}
	out := Table{Title: f.Title, Columns: f.Columns}
	for i, row := range f.Rows {
		cells := make([]any, len(row))
		for j, raw := range row {
			v, err := readCell(raw)
			if err != nil {
				return fmt.Errorf("analysis: read table: row %d: %w", i, err)
			}
			cells[j] = v
		}
		out.Rows = append(out.Rows, cells)
	}
	*t = out
	return nil
}

func readCell(raw json.RawMessage) (any, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	switch raw[0] {
	case '{':
		var inf struct {
			Inf int `json:"inf"`
		}
		err := json.Unmarshal(raw, &inf)
		return math.Inf(inf.Inf), err
	case '"', 't', 'f':
		var v any
		err := json.Unmarshal(raw, &v)
		return v, err
	case '[':
		return nil, fmt.Errorf("a cell holds a list")
	}
	if bytes.ContainsAny(raw, ".eE") {
		v, err := strconv.ParseFloat(string(raw), 64)
		return v, err
	}
	v, err := strconv.ParseInt(string(raw), 10, 64)
	return v, err
}
