package adapters

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxHeader is the longest header that safetensors itself reads.
const maxHeader = 100_000_000

// tensor is one entry of a safetensors header. Offsets count from the end of
// the header.
type tensor struct {
	name       string
	dtype      string
	shape      []int64
	begin, end int64
}

// dtype is a type of elements and its size.
type dtype struct {
	name string
	bits int64
}

// dtypes are all that safetensors has, by name.
func dtypes() map[string]int64 {
	return map[string]int64{
		"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
		"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
		"I16": 16, "U16": 16, "F16": 16, "BF16": 16,
		"I32": 32, "U32": 32, "F32": 32,
		"I64": 64, "U64": 64, "F64": 64, "C64": 64,
	}
}

// parseHeader reads a header, without the length before it, of a file with so
// many bytes of data behind it, and proves that its tensors cover all of them,
// each byte once. They come in the order of the data. It is stricter than the
// library: no name comes twice, and no key is unknown.
// https://github.com/huggingface/safetensors#format
func parseHeader(b []byte, data int64) ([]tensor, error) {
	if len(b) == 0 || b[0] != '{' || !utf8.Valid(b) {
		return nil, errors.New("its header is no JSON object in UTF-8")
	}
	h := headerReader{json.NewDecoder(bytes.NewReader(b))}
	h.UseNumber()
	tensors, err := h.header()
	if err != nil {
		return nil, err
	}
	if rest := bytes.Trim(b[h.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, fmt.Errorf("its header goes on after its end: %.20q", rest)
	}
	return tensors, covers(tensors, data)
}

// covers proves that the tensors, which it sorts, are the data without gap or
// overlap.
func covers(tensors []tensor, data int64) error {
	slices.SortFunc(tensors, func(a, b tensor) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	var at int64
	for _, t := range tensors {
		n, err := t.bytes()
		switch {
		case err != nil:
			return t.fault("%w", err)
		case t.begin > t.end:
			return t.fault("it ends at %d, before its begin at %d", t.end, t.begin)
		case t.end-t.begin != n:
			return t.fault("%d bytes are set aside for %s %s, which is %d", t.end-t.begin, t.dtype, t.dims(), n)
		case t.begin < at:
			return t.fault("it begins at %d, inside of the one before it, which ends at %d", t.begin, at)
		case t.begin > at:
			return t.fault("it begins at %d, %d bytes after the end of the one before it", t.begin, t.begin-at)
		case t.end > data:
			return t.fault("it ends at %d, but the file has %d bytes of data (cut short?)", t.end, data)
		}
		at = t.end
	}
	if at != data {
		return fmt.Errorf("%d bytes follow the last tensor", data-at)
	}
	return nil
}

// bytes is the size that type and shape ask for.
func (t tensor) bytes() (int64, error) {
	size, known := dtypes()[t.dtype]
	if !known {
		return 0, fmt.Errorf("dtype %.20q is unknown", t.dtype)
	}
	n := uint64(size)
	for _, d := range t.shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, fmt.Errorf("shape %s is too large", t.dims())
		}
		n = lo
	}
	if n%8 != 0 {
		return 0, fmt.Errorf("shape %s of %s is no whole number of bytes", t.dims(), t.dtype)
	}
	return int64(n / 8), nil
}

// dims is the shape for a message, which no shape floods.
func (t tensor) dims() string { return fmt.Sprintf("%.100s", fmt.Sprint(t.shape)) }

func (t tensor) fault(format string, args ...any) error {
	return fmt.Errorf("tensor %.200q: %w", t.name, fmt.Errorf(format, args...))
}

// headerReader reads JSON token by token: encoding/json's structs would take
// keys in any case, and the last of two values.
type headerReader struct{ *json.Decoder }

// header is the whole object.
func (h headerReader) header() ([]tensor, error) {
	if err := h.delim('{'); err != nil {
		return nil, err
	}
	var tensors []tensor
	seen := map[string]bool{}
	for h.More() {
		name, err := h.text()
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("tensor %.200q: its header has it twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := h.metadata(); err != nil {
				return nil, fmt.Errorf("__metadata__: %w", err)
			}
			continue
		}
		t := tensor{name: name}
		if err := h.entry(&t); err != nil {
			return nil, t.fault("%w", err)
		}
		tensors = append(tensors, t)
	}
	return tensors, h.delim('}')
}

// metadata is an object of strings.
func (h headerReader) metadata() error {
	if err := h.delim('{'); err != nil {
		return err
	}
	for h.More() {
		if _, err := h.text(); err != nil { // key
			return err
		}
		if _, err := h.text(); err != nil { // value
			return err
		}
	}
	return h.delim('}')
}

// entry is one tensor's object.
func (h headerReader) entry(t *tensor) error {
	if err := h.delim('{'); err != nil {
		return err
	}
	var offsets []int64
	seen := map[string]bool{}
	for h.More() {
		key, err := h.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("%s comes twice", key)
		}
		switch seen[key] = true; key {
		case "dtype":
			t.dtype, err = h.text()
		case "shape":
			t.shape, err = h.numbers()
		case "data_offsets":
			offsets, err = h.numbers()
		default:
			err = fmt.Errorf("key %.50q is unknown", key)
		}
		if err != nil {
			return err
		}
	}
	if err := h.delim('}'); err != nil {
		return err
	}
	if len(seen) != 3 || len(offsets) != 2 {
		return errors.New("want dtype, shape, and data_offsets with a begin and an end")
	}
	t.begin, t.end = offsets[0], offsets[1]
	return nil
}

// numbers is an array of whole numbers from 0 on.
func (h headerReader) numbers() ([]int64, error) {
	if err := h.delim('['); err != nil {
		return nil, err
	}
	all := []int64{}
	for h.More() {
		token, err := h.token()
		if err != nil {
			return nil, err
		}
		number, _ := token.(json.Number)
		n, err := strconv.ParseUint(number.String(), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("%.30q is no whole number of 63 bits", fmt.Sprint(token))
		}
		all = append(all, int64(n))
	}
	return all, h.delim(']')
}

func (h headerReader) text() (string, error) {
	token, err := h.token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%.30q where text was expected", fmt.Sprint(token))
	}
	return s, nil
}

func (h headerReader) delim(want json.Delim) error {
	token, err := h.token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%.30q where %q was expected", fmt.Sprint(token), want.String())
	}
	return nil
}

func (h headerReader) token() (json.Token, error) {
	token, err := h.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("its header is no JSON: %w", err)
	}
	return token, nil
}
