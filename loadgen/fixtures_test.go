package loadgen

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// streamRows are the situations that a reader of event streams must get right,
// each in OpenAI's API and in Triton's.
var streamRows = []string{
	"happy stream", "several tokens per event", "empty text, then text", "cumulative text",
	"counts null", "counts zero", "counts absent", "counts on the finish event", "counts on every event",
	"no text first", "ids change", "several choices", "reasoning only", "a line of 200 KB", "CRLF", "comments between and inside",
	"data: without space", "trailing space", "multi-line data", "gzip by a proxy",

	"200 with a JSON error", "200 with an error event", "error event, then the end mark", "event: error with a comment only",
	"first answer is an error, as an event stream", "cut before the first event", "cut inside an event", "clean end without finish",
	"finish without end mark", "end mark without tokens", "error, then never closes", "stalls with keep-alives only",
	"connection reset", "200 with zero tokens", "prompt cut silently", "LoRA cache miss", "unknown adapter",
}

// rowsElsewhere are those that no text of a stream can show, and the tests that
// show them for both families.
var rowsElsewhere = map[string]func(*testing.T){
	"split at every byte offset":                       TestFixturesSplitAnywhere,
	"HTTP/2 by a proxy":                                TestHTTP2IsNotUsed,
	"400, 404, 422, 429, 500, 503 in every body shape": TestRefusalsInEveryShape,
	"connection refused":                               TestNobodyListens,
	"server restarts between requests":                 TestServerRestartsBetweenRequests,
}

// fixture is one of them.
type fixture struct {
	row, source, how string
	target           Target
	adapter          string
	status           int
	kind             string // content type
	body             string

	want      Outcome
	says      string
	tokens    []int // of each token-bearing event
	first     int   // the event that the first token is in, of those with data, from 1
	output    int   // 0 is not told
	prompt    int
	estimated bool
	finish    string
	answer    string
	load      string
	// cumulative is "yes", "no" or not told; invisible is "yes" where no event has
	// text for the user and "first" where the first token's has none.
	cumulative, invisible string
}

func (f fixture) name() string { return strings.ReplaceAll(f.row+" ("+f.source+")", "/", "|") }

var sized = regexp.MustCompile("⟪([0-9]+)⟫")

// unmarked resolves a body's marks.
func unmarked(body string) string {
	body, _, _ = strings.Cut(body, "␃")
	body = sized.ReplaceAllStringFunc(body, func(m string) string {
		n, _ := strconv.Atoi(sized.FindStringSubmatch(m)[1])
		return strings.Repeat("-1.25,", n/6)
	})
	return strings.NewReplacer("␍", "\r", "␠", " ").Replace(body)
}

// fixtures reads a family's.
func fixtures(t testing.TB, family string) []fixture {
	t.Helper()
	text, err := os.ReadFile("testdata/" + family + ".streams")
	require.NoError(t, err)
	var all []fixture
	for _, part := range strings.Split("\n"+strings.TrimSuffix(string(text), "\n"), "\n=== ")[1:] {
		head, body, ok := strings.Cut(part, "\n---")
		require.True(t, ok, head)
		lines := strings.Split(head, "\n")
		body = strings.TrimPrefix(body+"\n", "\n") // the line's end before "=== "
		f := fixture{row: lines[0], status: 200, kind: "text/event-stream", want: OutcomeOK, body: unmarked(body)}
		f.target = Target{Model: "m", Dialect: OpenAICompletions}
		for _, line := range lines[1:] {
			key, value, ok := strings.Cut(line, ": ")
			require.True(t, ok, line)
			f.set(t, key, value)
		}
		require.NotEmpty(t, f.source, f.row)
		all = append(all, f)
	}
	return all
}

func (f *fixture) set(t testing.TB, key, value string) {
	t.Helper()
	num := func() int {
		n, err := strconv.Atoi(value)
		require.NoError(t, err, "%s: %s", f.row, key)
		return n
	}
	switch key {
	case "source":
		f.source = value
	case "how":
		f.how = value
	case "dialect":
		f.target.Dialect = Dialect(value)
	case "adapter":
		f.adapter = value
	case "status":
		f.status = num()
	case "type":
		f.kind = value
	case "want":
		f.want = Outcome(value)
	case "says":
		f.says = value
	case "tokens":
		for _, n := range strings.Fields(value) {
			v, err := strconv.Atoi(n)
			require.NoError(t, err)
			f.tokens = append(f.tokens, v)
		}
	case "first":
		f.first = num()
	case "output":
		f.output = num()
	case "prompt":
		f.prompt = num()
	case "estimated":
		f.estimated = value == "yes"
	case "finish":
		f.finish = value
	case "answer":
		f.answer = value
	case "load":
		f.load = value
	case "cumulative":
		f.cumulative = value
	case "invisible":
		f.invisible = value
	default:
		require.Fail(t, "unknown key", "%s: %s", f.row, key)
	}
}

func families() []string { return []string{"openai", "triton"} }

func TestEveryRowHasFixturesInBothFamilies(t *testing.T) {
	for _, family := range families() {
		var have []string
		for _, f := range fixtures(t, family) {
			require.Contains(t, streamRows, f.row)
			require.Equal(t, family == "triton", f.target.Dialect.Triton(), f.row)
			if f.want == OutcomeOK {
				require.NotEmpty(t, f.tokens, f.row)
				require.NotZero(t, f.first, f.row)
				require.NotZero(t, f.output, f.row)
			} else {
				require.NotEmpty(t, f.says, f.row)
			}
			have = append(have, f.row)
		}
		for _, row := range streamRows {
			require.Contains(t, have, row, family)
		}
		require.Greater(t, len(have), len(streamRows))
	}
	for row, test := range rowsElsewhere {
		require.NotNil(t, test, row)
		require.False(t, slices.Contains(streamRows, row), row)
	}
}

// check holds a record against the fixture.
func (f fixture) check(t testing.TB, r *Record) {
	t.Helper()
	require.Equal(t, f.want, r.Outcome, "%s: %s", f.name(), r.Error)
	require.Contains(t, r.Error, f.says, f.name())
	var tokens []int
	for _, e := range r.Events {
		tokens = append(tokens, e.Tokens)
	}
	require.Equal(t, f.tokens, tokens, f.name())
	if f.want != OutcomeOK {
		return
	}
	require.Empty(t, r.Error, f.name())
	require.Equal(t, f.output, *r.OutputTokens, f.name())
	require.Equal(t, f.estimated, r.TokensEstimated, f.name())
	require.Equal(t, f.finish, r.Finish, f.name())
	require.Equal(t, f.invisible == "yes", r.FirstVisible.IsZero(), f.name())
	if f.prompt > 0 {
		require.Equal(t, f.prompt, *r.PromptTokens, f.name())
	}
	if f.answer != "" {
		require.Equal(t, hashText(f.answer), r.AnswerHash, f.name())
	}
	require.Equal(t, f.cumulative == "yes", r.Cumulative, f.name())
	if f.load == "" {
		require.Nil(t, r.AdapterLoad, f.name())
	} else {
		require.Equal(t, f.load, strconv.FormatInt(int64(*r.AdapterLoad), 10), f.name())
	}
}
