package loadgen

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parseAll feeds text in pieces that end at the given offsets, and renders the
// events.
func parseAll(t testing.TB, text string, cuts ...int) []string {
	t.Helper()
	var p sseParser
	var got []string
	show := func(e sseEvent) {
		s := string(e.data)
		if e.isError {
			s = "ERROR " + s
		}
		if len(e.comment) > 0 {
			s += " comment=" + string(e.comment)
		}
		if len(e.stray) > 0 {
			s += " stray=" + string(e.stray)
		}
		got = append(got, s)
	}
	from := 0
	for _, to := range append(cuts, len(text)) {
		for piece := text[from:to]; len(piece) > 0; {
			room, err := p.space()
			require.NoError(t, err)
			n := copy(room, piece)
			piece = piece[n:]
			p.filled(n)
			for e, ok := p.next(); ok; e, ok = p.next() {
				show(e)
			}
		}
		from = to
	}
	if e, ok := p.last(); ok {
		show(e)
	}
	return got
}

// sseCases has one row per rule of the format, or habit of some server.
var sseCases = []struct {
	why, in string
	want    []string
}{
	{"plain events", "data: a\n\ndata: b\n\n", []string{"a", "b"}},
	{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
	{"CR alone", "data: a\r\rdata: b\r\r", []string{"a", "b"}},
	{"mixed line ends", "data: a\r\n\ndata: b\r\r\ndata: c\n\r\n", []string{"a", "b", "c"}},
	{"no space after the colon", "data:a\n\n", []string{"a"}},
	{"only one space is dropped", "data:  a\n\n", []string{" a"}},
	{"trailing space stays", "data: {\"a\":1} \n\n", []string{"{\"a\":1} "}},
	{"several data lines join with LF", "data: a\ndata: b\ndata:\ndata: c\n\n", []string{"a\nb\n\nc"}},
	{"data without a colon is an empty line", "data\ndata\n\n", []string{"\n"}},
	{"comments alone and inside", ": ping\n\n:\n\ndata: a\n: x\ndata: b\n\n", []string{"a\nb"}},
	{"a long second line over what stood between", "data: a\nevent: e\n: comment\ndata: bbbbbbbbbbbbbbbbbbbbbbbb\n\n", []string{"a\nbbbbbbbbbbbbbbbbbbbbbbbb"}},
	{"event, id and retry", "id: 1\nevent: message\nretry: 5\ndata: a\n\n", []string{"a"}},
	{"no last blank line", "data: a\n\ndata: b\n", []string{"a", "b"}},
	{"no last line end", "data: a\n\ndata: [DONE]", []string{"a", "[DONE]"}},
	{"blank lines in plenty", "\n\n\r\n\rdata: a\n\n\n\n", []string{"a"}},
	{"byte order mark", "\xef\xbb\xbfdata: a\n\n", []string{"a"}},
	{"named error with data", "event: error\ndata: boom\n\n", []string{"ERROR boom"}},
	{"named error with a comment only (older Dynamo)", "event: error\n: boom\n\n", []string{"ERROR  comment=boom"}},
	{"error field (older llama.cpp)", "error: {\"m\":1}\n\n", []string{"ERROR {\"m\":1}"}},
	{"bare JSON (proxies)", "{\"error\":\"x\"}", []string{"ERROR {\"error\":\"x\"}"}},
	{"bare JSON, indented", "{\n  \"error\": \"x\"\n}\n", []string{"ERROR {\n  \"error\": \"x\"\n}"}},
	{"bare text", "Internal Server Error", []string{" stray=Internal Server Error"}},
	{"unknown field with data", "foo: bar\ndata: a\n\n", []string{"a"}},
	{"UTF-8", "data: żółw 🐢\n\n", []string{"żółw 🐢"}},
	{"nothing", "", nil},
}

func TestParserRules(t *testing.T) {
	for _, c := range sseCases {
		require.Equal(t, c.want, parseAll(t, c.in), c.why)
	}
}

func TestParserDoesNotCareWhereReadsEnd(t *testing.T) {
	for _, c := range sseCases {
		for i := range len(c.in) {
			for j := i; j <= len(c.in); j++ {
				require.Equal(t, c.want, parseAll(t, c.in, i, j), "%s, cut at %d and %d", c.why, i, j)
			}
		}
	}
}

func TestParserTakesLongLines(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	text := "data: a\n\ndata: " + long + "\ndata: y\n\ndata: b\n\n"
	want := []string{"a", long + "\ny", "b"}
	require.Equal(t, want, parseAll(t, text))
	var cuts []int
	for i := 1; i < len(text); i += 1500 {
		cuts = append(cuts, i)
	}
	require.Equal(t, want, parseAll(t, text, cuts...))
}

func TestParserRefusesEndlessLines(t *testing.T) {
	var p sseParser
	for range 1 << 20 {
		room, err := p.space()
		if err != nil {
			require.ErrorIs(t, err, errEventTooLong)
			return
		}
		for i := range room {
			room[i] = 'x'
		}
		p.filled(len(room))
		_, ok := p.next()
		require.False(t, ok)
	}
	t.Fatal("a line without end was taken in")
}

func TestParserDoesNotAllocate(t *testing.T) {
	var p sseParser
	event := []byte("data: {\"choices\":[{\"index\":0,\"text\":\" w\"}]}\n\n")
	feed := func() {
		room, err := p.space()
		if err != nil {
			t.Fatal(err)
		}
		n := copy(room, event)
		p.filled(n)
		if _, ok := p.next(); !ok {
			t.Fatal("no event")
		}
	}
	feed()
	require.Zero(t, testing.AllocsPerRun(1000, feed))
}

// slowParse is the WHATWG algorithm written for clarity: whole text at once.
func slowParse(text string) []string {
	text = strings.TrimPrefix(text, "\xef\xbb\xbf")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	var got []string
	var data []string
	for _, line := range append(strings.Split(text, "\n"), "") {
		if line == "" {
			if data != nil {
				got = append(got, strings.Join(data, "\n"))
			}
			data = nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		if name == "data" {
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return got
}

func FuzzParser(f *testing.F) {
	for _, c := range sseCases {
		f.Add(c.in, uint16(3), uint16(7))
	}
	f.Fuzz(func(t *testing.T, text string, a, b uint16) {
		whole := parseAll(t, text)
		n := len(text)
		i, j := int(a)%(n+1), int(b)%(n+1)
		require.Equal(t, whole, parseAll(t, text, min(i, j), max(i, j)))
		if plainSSE(text) {
			require.Equal(t, slowParse(text), whole)
		}
	})
}

// plainSSE reports texts without the extensions to the format.
func plainSSE(text string) bool {
	for _, s := range []string{"error", "{", "\ufeff", "\xef\xbb\xbf"} {
		if strings.Contains(text, s) {
			return false
		}
	}
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		name, _, colon := strings.Cut(line, ":")
		known := name == "data" || colon && (name == "" || name == "id" || name == "event" || name == "retry")
		if !known {
			return false // kept as a stray line
		}
	}
	return true
}

func BenchmarkParse(b *testing.B) {
	one := []byte("data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\" word\",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n")
	many := bytes.Repeat(one, 8)
	var p sseParser
	b.SetBytes(int64(len(many)))
	b.ReportAllocs()
	for b.Loop() {
		room, _ := p.space()
		p.filled(copy(room, many))
		for _, ok := p.next(); ok; _, ok = p.next() {
		}
	}
}
