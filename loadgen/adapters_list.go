package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest parts of an adapter, in bytes. A name is part of every request, and
// on most servers of a path.
const (
	MaxAdapterName = 255
	MaxAdapterPath = 4095
)

// maxAdapterList bounds what is read of a list of adapters, in bytes.
const maxAdapterList = 4 << 20

// AdapterListError is one fault of a list of adapters.
type AdapterListError struct {
	File  string
	Line  int // from 1, 0 for the whole file
	Fault string
}

// Error names the file and the line.
func (e *AdapterListError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("loadgen: read adapters: %s: %s", e.File, e.Fault)
	}
	return fmt.Sprintf("loadgen: read adapters: %s:%d: %s", e.File, e.Line, e.Fault)
}

// ReadAdapters reads a list of adapters, one a line:
//
//	name [id [path]]
//
// White space (spaces and tabs) parts the columns, and the path is the rest of
// its line. The id is what TensorRT-LLM's and llama.cpp's requests call an
// adapter by; without one, or with 0, it is the adapter's place in the list,
// from 1. The path is the adapter's directory as the server sees it, which
// trtllm-serve and Triton's llmapi model ask for. A # at the start of a line or
// after white space begins a comment, blank lines mean nothing, and lines end
// with LF or CRLF. A byte order mark at the start is passed over.
//
// The error joins an *AdapterListError for every fault: no name at all, a name
// or id twice, an id that is no number, a name or path that is too long, is not
// UTF-8 or has control or other invisible characters.
func ReadAdapters(path string) ([]Adapter, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("loadgen: read adapters: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxAdapterList+1))
	if err != nil {
		return nil, fmt.Errorf("loadgen: read adapters: %w", err)
	}
	if len(text) > maxAdapterList {
		return nil, &AdapterListError{File: path, Fault: fmt.Sprintf("is longer than %d bytes (is it a list of names?)", maxAdapterList)}
	}
	return parseAdapters(path, text)
}

// parseAdapters is ReadAdapters of a file's text.
func parseAdapters(file string, text []byte) ([]Adapter, error) {
	var (
		list  []Adapter
		lines []int // of each adapter
		errs  []error
	)
	fault := func(line int, text string) {
		errs = append(errs, &AdapterListError{File: file, Line: line, Fault: text})
	}
	n := 0
	for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\ufeff"))) {
		n++
		a, some, err := parseAdapter(string(line))
		switch {
		case err != nil:
			fault(n, err.Error())
		case some:
			list = append(list, a)
			lines = append(lines, n)
		}
	}
	for _, f := range adapterFaults(list) {
		text := f.text
		if f.first >= 0 {
			text += fmt.Sprintf(" (first on line %d)", lines[f.first])
		}
		fault(lines[f.place], text)
	}
	if len(list) == 0 && len(errs) == 0 {
		fault(0, "names no adapter (write one name a line)")
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return list, nil
}

// parseAdapter reads one line; some is false where it names nothing.
func parseAdapter(line string) (a Adapter, some bool, err error) {
	line = strings.TrimSuffix(line, "\n")
	line = cutComment(strings.TrimSuffix(line, "\r"))
	var id string
	a.Name, line = cutColumn(line)
	id, a.Path = cutColumn(line)
	if a.Name == "" {
		return a, false, nil
	}
	if id == "" {
		return a, true, nil
	}
	a.ID, err = strconv.ParseInt(id, 10, 64)
	if err != nil || a.ID < 0 {
		return a, false, fmt.Errorf("id %s is not a whole number (the columns are name, id, path; write 0 for the place in the list)", quoted(id))
	}
	return a, true, nil
}

const columnSpace = " \t"

// cutComment drops a comment. A # within a word belongs to the word.
func cutComment(line string) string {
	for from := 0; ; {
		i := strings.IndexByte(line[from:], '#')
		if i < 0 {
			return line
		}
		from += i
		if from == 0 || strings.IndexByte(columnSpace, line[from-1]) >= 0 {
			return line[:from]
		}
		from++
	}
}

// cutColumn parts the first column from the rest.
func cutColumn(line string) (column, rest string) {
	line = strings.Trim(line, columnSpace)
	i := strings.IndexAny(line, columnSpace)
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.Trim(line[i:], columnSpace)
}

// adapterFault is a fault of the adapter at a place of a list; first is the
// place of the one whose name or id it repeats, else -1.
type adapterFault struct {
	place, first int
	text         string
}

// adapterFaults finds what makes a list of adapters unusable.
func adapterFaults(list []Adapter) []adapterFault {
	var found []adapterFault
	names, ids := map[string]int{}, map[int64]int{}
	for i, a := range list {
		for _, text := range a.faults() {
			found = append(found, adapterFault{i, -1, text})
		}
		if first, twice := names[a.Name]; twice {
			found = append(found, adapterFault{i, first, "name " + quoted(a.Name) + " stands there twice"})
		} else if a.Name != "" {
			names[a.Name] = i
		}
		id := adapterID(list, i)
		if first, twice := ids[id]; twice {
			found = append(found, adapterFault{i, first, fmt.Sprintf("id %d stands for two adapters (without an id it is the place in the list)", id)})
		} else {
			ids[id] = i
		}
	}
	return found
}

// faults says what is wrong with one adapter.
func (a Adapter) faults() (found []string) {
	switch {
	case a.Name == "":
		found = append(found, "has no name")
	case len(a.Name) > MaxAdapterName:
		found = append(found, fmt.Sprintf("name %s is too long (%d bytes, at most %d)", quoted(a.Name), len(a.Name), MaxAdapterName))
	}
	if a.Name == RestOfAdapters {
		found = append(found, "name "+quoted(a.Name)+" is kept for what a summary pools")
	}
	if a.ID < 0 {
		found = append(found, fmt.Sprintf("id %d is negative (use 0 for the place in the list)", a.ID))
	}
	if len(a.Path) > MaxAdapterPath {
		found = append(found, fmt.Sprintf("path %s is too long (%d bytes, at most %d)", quoted(a.Path), len(a.Path), MaxAdapterPath))
	}
	if !printable(a.Name) {
		found = append(found, "name "+quoted(a.Name)+" has a character that cannot be seen, or is not UTF-8")
	}
	if !printable(a.Path) {
		found = append(found, "path "+quoted(a.Path)+" has a character that cannot be seen, or is not UTF-8")
	}
	return found
}

// printable reports whether s is UTF-8 that a terminal shows as it is.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// quoted is s for a message: escaped, and not long.
func quoted(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
