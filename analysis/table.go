package analysis

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Table is rows of values under named columns with units.
type Table struct {
	Title   string
	Columns []TableColumn
	// Rows hold one value per column: string, bool, int, int64, float64,
	// *float64, or nil for absent. NaN and a nil pointer are absent too; an
	// infinite value, which stands for failures, is written "inf" or "-inf".
	Rows [][]any
}

// TableColumn is a column's name and unit; "" for a number without one.
type TableColumn struct{ Name, Unit string }

// Significant digits: files keep what a float64 of a measurement can carry,
// people read fewer.
const (
	fileDigits  = 6
	humanDigits = 4
)

// CSV is the table by RFC 4180: CRLF line ends, one header row whose names
// carry their unit in parentheses, an absent value as an empty field, numbers
// with six significant digits and no exponent between 1e-4 and 1e15. The title
// is not part of it. Fails where a row does not match the columns or holds a
// type that Rows does not list.
func (t Table) CSV() ([]byte, error) {
	cells, err := t.cells(fileDigits)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	if err := w.WriteAll(append([][]string{t.header()}, cells...)); err != nil {
		return nil, fmt.Errorf("analysis: write CSV: %w", err)
	}
	return b.Bytes(), nil
}

// Markdown is the table in GitHub's dialect, numbers to four significant digits
// and aligned right, an absent value as a dash. Fails as CSV does.
func (t Table) Markdown() (string, error) {
	cells, err := t.cells(humanDigits)
	if err != nil {
		return "", err
	}
	escape := strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "&", "&amp;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`)
	var b strings.Builder
	if t.Title != "" {
		fmt.Fprintf(&b, "**%s**\n\n", escape.Replace(visible(t.Title)))
	}
	row := func(fields []string) {
		for _, f := range fields {
			fmt.Fprintf(&b, "| %s ", escape.Replace(humanCell(f)))
		}
		b.WriteString("|\n")
	}
	row(t.header())
	for i := range t.Columns {
		if t.numeric(i) {
			b.WriteString("| ---: ")
		} else {
			b.WriteString("| --- ")
		}
	}
	b.WriteString("|\n")
	for _, r := range cells {
		row(r)
	}
	return b.String(), nil
}

// Text is the table for a terminal: columns aligned by spaces, numbers to four
// significant digits, control characters removed. Fails as CSV does.
func (t Table) Text() (string, error) {
	cells, err := t.cells(humanDigits)
	if err != nil {
		return "", err
	}
	rows := append([][]string{t.header()}, cells...)
	widths := make([]int, len(t.Columns))
	for _, r := range rows {
		for i := range r {
			r[i] = humanCell(r[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
		}
	}
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(visible(t.Title) + "\n")
	}
	for n, r := range rows {
		var line strings.Builder
		for i, f := range r {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(f))
			if t.numeric(i) {
				f = gap + f
			} else {
				f += gap
			}
			line.WriteString(f + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if n == 0 {
			b.WriteString(strings.Repeat("-", sumOf(widths)+2*max(len(widths)-1, 0)) + "\n")
		}
	}
	return b.String(), nil
}

func sumOf(widths []int) int {
	sum := 0
	for _, w := range widths {
		sum += w
	}
	return sum
}

// humanCell is one line, with a dash for what is absent.
func humanCell(s string) string {
	if s = visible(s); s == "" {
		return "–"
	}
	return s
}

func (t Table) header() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
		if c.Unit != "" {
			names[i] += " (" + c.Unit + ")"
		}
	}
	return names
}

// numeric reports whether a column holds no text.
func (t Table) numeric(column int) bool {
	for _, r := range t.Rows {
		switch r[column].(type) {
		case string, bool:
			return false
		}
	}
	return true
}

// cells writes every value, "" where it is absent.
func (t Table) cells(digits int) ([][]string, error) {
	if len(t.Columns) == 0 {
		return nil, fmt.Errorf("analysis: write table %q: no columns", visible(t.Title))
	}
	out := make([][]string, 0, len(t.Rows))
	for n, r := range t.Rows {
		if len(r) != len(t.Columns) {
			return nil, fmt.Errorf("analysis: write table %q: row %d has %d values (want %d)", visible(t.Title), n, len(r), len(t.Columns))
		}
		fields := make([]string, len(r))
		for i, v := range r {
			text, ok := cellText(v, digits)
			if !ok {
				return nil, fmt.Errorf("analysis: write table %q: row %d, column %q: cannot write a %T", visible(t.Title), n, t.Columns[i].Name, v)
			}
			fields[i] = text
		}
		out = append(out, fields)
	}
	return out, nil
}

func cellText(v any, digits int) (text string, ok bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return decimal(v, digits), true
	case *float64:
		if v == nil {
			return "", true
		}
		return decimal(*v, digits), true
	}
	return "", false
}

// decimal writes v to so many significant digits, without an exponent between
// 1e-4 and 1e15; integers in that range keep all theirs.
func decimal(v float64, digits int) string {
	size := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return ""
	case math.IsInf(v, 0):
		return map[bool]string{true: "inf", false: "-inf"}[v > 0]
	case v == 0:
		return "0"
	case size < 1e-4 || size >= 1e15:
		return strconv.FormatFloat(v, 'g', digits, 64)
	}
	places := digits - 1 - int(math.Floor(math.Log10(size)))
	s := strconv.FormatFloat(v, 'f', max(places, 0), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
