package hypotheses

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
)

func spoilPipe(t *testing.T, dir string) {
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "raw", "pipe"), 0o644))
}

// spoilRecords edits every record of every arm.
func spoilRecords(change func(map[string]any)) func(*testing.T, string) {
	return eachArm("requests.jsonl.zst", spoilLines(func(l []string) []string {
		for i := range l {
			l[i] = string(asJSON(change)([]byte(l[i])))
		}
		return l
	}))
}

// shiftMember moves an instant of a record by so many ns.
func shiftMember(key string, ns int64) func(map[string]any) {
	return func(m map[string]any) {
		if n, ok := m[key].(json.Number); ok {
			v, _ := n.Int64()
			m[key] = v + ns
		}
	}
}

func inTurn(spoilers ...func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		for _, s := range spoilers {
			s(t, dir)
		}
	}
}

const hour = int64(3600e9)

func badRecords() []badInput {
	failed := spoilRecords(allOf(setMember("outcome", "http_5xx"), setMember("status", 500)))
	return []badInput{
		{name: "all requests failed", why: "the server was down", spoil: inTurn(failed, spoilArms(allOf(setMember("summary.requests.ok", 0), setMember("summary.requests.error_rate", 1)))), reason: "ERRORS"},
		{name: "all failed unnoticed", why: "the summary was written by hand", spoil: failed, reason: "TOO_FEW_REQUESTS|NO_FIT"},
		{name: "no request at all", why: "the load never began", spoil: eachArm("requests.jsonl.zst", spoilLines(func([]string) []string { return nil })), reason: "TOO_FEW_REQUESTS|NO_FIT"},
		{name: "lines of null", why: "JSON all the same", spoil: eachArm("requests.jsonl.zst", spoilLines(func([]string) []string { return []string{"null", "{}", "null"} })), reason: "TOO_FEW_REQUESTS|NO_FIT"},
		{name: "no due", why: "a field is lost", spoil: spoilRecords(setMember("due_ns", nil)), reason: "TOO_FEW_REQUESTS|NO_FIT"},
		{name: "due before the epoch", why: "a clock was set", spoil: spoilRecords(shiftMember("due_ns", -100*hour)), err: analysis.ErrClock},
		{name: "first token before due", why: "a clock was set between them", spoil: spoilRecords(shiftMember("first_token_ns", -hour)), err: analysis.ErrClock},
		{name: "close before the first token", why: "a clock was set between them", spoil: spoilRecords(shiftMember("close_ns", -hour)), err: analysis.ErrClock},
		{name: "instants past all time", why: "a number of the wrong unit", spoil: spoilRecords(allOf(setMember("first_token_ns", int64(1)<<62), setMember("last_token_ns", int64(1)<<62), setMember("close_ns", int64(1)<<62)))},
		{name: "an instant that is no number", why: "another program wrote it", spoil: spoilRecords(setMember("first_token_ns", "soon")), err: bundle.ErrCorrupt},
		{name: "a number too large", why: "it wraps in other programs", spoil: spoilRecords(setMember("close_ns", json.Number("99999999999999999999"))), err: bundle.ErrCorrupt},
		{name: "no tokens counted", why: "the server sends no usage", spoil: spoilRecords(allOf(setMember("prompt_tokens", nil), setMember("output_tokens", nil))), reason: "TOKENS_DIFFER"},
		{name: "prompts cut", why: "the server cuts prompts silently", spoil: spoilRecords(setMember("prompt_tokens", 7)), reason: "TOKENS_DIFFER"},
	}
}

// spoilRows edits the rows of telemetry, fields by column.
func spoilRows(change func(rows [][]string, names []string) [][]string) func(*testing.T, string) {
	return eachArm("telemetry.csv.zst", spoilLines(func(l []string) []string {
		head := slices.IndexFunc(l, func(s string) bool { return strings.HasPrefix(s, "t_mono_ns,") })
		names := strings.Split(l[head], ",")
		var table [][]string
		for _, row := range l[head+1:] {
			if !strings.HasPrefix(row, "#") {
				table = append(table, strings.Split(row, ","))
			}
		}
		out := l[:head+1]
		for _, row := range change(table, names) {
			out = append(out, strings.Join(row, ","))
		}
		return out
	}))
}

// spoilColumns rewrites every field that is not of the tick itself.
func spoilColumns(to func(first, field string) string) func(*testing.T, string) {
	return spoilRows(func(rows [][]string, names []string) [][]string {
		first := slices.Clone(rows[0])
		for _, row := range rows {
			for i := 8; i < len(row); i++ {
				row[i] = to(first[i], row[i])
			}
		}
		return rows
	})
}

func badTelemetry() []badInput {
	return []badInput{
		{name: "telemetry without values", why: "no source could be read: NaN throughout", spoil: spoilColumns(func(_, _ string) string { return "" }), reason: "TELEMETRY_HOLES"},
		{name: "telemetry of NaN", why: "another program wrote it", spoil: spoilColumns(func(_, _ string) string { return "NaN" }), reason: "TELEMETRY_HOLES"},
		{name: "telemetry that is constant", why: "the wrong device was watched", spoil: spoilColumns(func(first, _ string) string { return first }), reason: "TELEMETRY_HOLES"},
		{name: "telemetry of infinities", why: "a division by 0 was written down", spoil: spoilColumns(func(_, _ string) string { return "+Inf" }), reason: "TELEMETRY_HOLES"},
		{name: "counters that run backwards", why: "a device was replaced, a driver reloaded", spoil: spoilRows(func(rows [][]string, _ []string) [][]string {
			for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
				for k := 8; k < len(rows[i]); k++ {
					rows[i][k], rows[j][k] = rows[j][k], rows[i][k]
				}
			}
			return rows
		}), reason: "TELEMETRY_HOLES"},
		{name: "telemetry out of order", why: "a clock was set", spoil: spoilRows(func(rows [][]string, _ []string) [][]string {
			n := len(rows) / 2
			rows[n], rows[n+1] = rows[n+1], rows[n]
			return rows
		}), err: bundle.ErrCorrupt},
		{name: "telemetry twice at one time", why: "a clock stood still", spoil: spoilRows(func(rows [][]string, _ []string) [][]string { return append(rows, rows[len(rows)-1]) }), err: bundle.ErrCorrupt},
		{name: "telemetry an hour late", why: "another clock's epoch", spoil: spoilRows(func(rows [][]string, _ []string) [][]string {
			for _, row := range rows {
				ns, _ := strconv.ParseInt(row[0], 10, 64)
				row[0] = strconv.FormatInt(ns+hour, 10)
			}
			return rows
		}), reason: "TELEMETRY_HOLES"},
		{name: "telemetry with holes", why: "the sampler was starved", spoil: spoilRows(func(rows [][]string, _ []string) [][]string {
			i := 0
			return slices.DeleteFunc(rows, func([]string) bool { i++; return i%2 == 0 })
		}), reason: "TELEMETRY_HOLES"},
		{name: "telemetry of words", why: "another program wrote it", spoil: spoilColumns(func(_, _ string) string { return "high" }), err: bundle.ErrCorrupt},
		{name: "a column short", why: "a row was cut and the file went on", spoil: spoilRows(func(rows [][]string, _ []string) [][]string { rows[2] = rows[2][:9]; return rows }), err: bundle.ErrCorrupt},
	}
}

func badNumbers() []badInput {
	rows := []badInput{
		{name: "one repeat only", why: "the run was stopped after its first block", spoil: oneRepeat},
		{name: "one arm only", why: "a plan of one level", spoil: oneArm},
		{name: "a window that runs backwards", why: "a hand-made arm", spoil: spoilArms(setMember("summary.window.end_ns", 0)), err: bundle.ErrCorrupt},
		{name: "a window of centuries", why: "a wrong unit; it would be cut into a billion slices", spoil: spoilArms(setMember("summary.window.end_ns", int64(1)<<62)), err: bundle.ErrCorrupt},
		{name: "idle edges of centuries", why: "a wrong unit", spoil: spoilArms(setMember("idle.start_ns", -int64(1)<<62)), err: bundle.ErrCorrupt},
		{name: "no adapters where the rule is about them", why: "the arms are of another hypothesis", spoil: spoilArms(setMember("lora", nil)), harmless: true},
		{name: "no storage where the rule is about it", why: "the arms are of another hypothesis", spoil: spoilArms(setMember("storage", nil)), harmless: true},
		{name: "limits that are not there", why: "a throttled arm without its limits", spoil: spoilArms(setMember("storage.condition", "throttled")), harmless: true},
		{name: "no load generator's summary", why: "written by another program", spoil: spoilArms(setMember("summary", map[string]any{})), reason: "ERRORS"},
		{name: "no pool", why: "the server does not tell", spoil: spoilJSON("manifest.json", setMember("facts", nil)), harmless: true},
		{name: "all arms of one block", why: "numbers were lost", spoil: spoilArms(setMember("block", 0))},
		{name: "blocks of large numbers", why: "nothing may be as large as they say", spoil: spoilArms(setMember("block", int64(1)<<40))},
	}
	for _, c := range []struct {
		path string
		v    any
	}{
		{"users", 0}, {"users", -5}, {"context_tokens", 0}, {"context_tokens", -1}, {"output_tokens", 0}, {"users", int64(1) << 50},
	} {
		rows = append(rows, badInput{name: "arms with " + c.path + " " + strconvAny(c.v), why: "a hand-made arm", spoil: spoilArms(setMember(c.path, c.v))})
	}
	for _, c := range []struct {
		path string
		v    any
	}{
		{"profile.quantile", 0},
		{"profile.quantile", 1},
		{"profile.quantile", -2},
		{"profile.quantile", 7},
		{"profile.repeats", -1},
		{"profile.repeats", int64(1) << 50},
		{"profile.min_requests", int64(1) << 50},
		{"profile", nil},
		{"lora", nil},
	} {
		row := badInput{name: "a plan with " + c.path + " " + strconvAny(c.v), why: "a hand-made plan", spoil: spoilJSON("plan.json", setMember(c.path, c.v))}
		row.harmless = c.path == "profile.repeats" || c.path == "lora"
		if c.v == -1 || c.v == -2 || c.v == 7 {
			row.err = bundle.ErrCorrupt
		}
		rows = append(rows, row)
	}
	return rows
}

func strconvAny(v any) string { b, _ := json.Marshal(v); return string(b) }

// hostileText is text that somebody may put into a name: markup, format verbs,
// control characters, what a terminal or a shell obeys, and length.
func hostileText() string {
	return "<script>alert(1)</script>\"'&%s%!d(EXTRA)\x1b[2J\n../../etc/passwd\u202e\x00," + strings.Repeat("é", 5000)
}

func badStrings() []badInput {
	return []badInput{
		{name: "a hostile model", why: "the server says its name", spoil: spoilJSON("manifest.json", allOf(setMember("target.model", hostileText()), setMember("target.url", hostileText()))), harmless: true},
		{name: "a hostile machine", why: "firmware says its name", spoil: spoilJSON("manifest.json", allOf(setMember("machine.cpu_models", []string{hostileText()}), setMember("machine.product", hostileText()), setMember("machine.kernel", hostileText()), setMember("machine.goarch", hostileText()))), harmless: true},
		{name: "a hostile plan", why: "notes are free text", spoil: spoilJSON("plan.json", allOf(setMember("notes", []string{hostileText()}), setMember("profile.name", hostileText()))), harmless: true},
		{name: "hostile arms", why: "names are file names", spoil: spoilArms(setMember("name", "../../../"+hostileText())), harmless: true},
		{name: "hostile adapters", why: "anyone names an adapter", spoil: inTurn(spoilRecords(setMember("adapter", hostileText())), spoilArms(allOf(setMember("lora.condition", hostileText()), setMember("storage.condition", hostileText())))), harmless: true},
		{name: "a seed of all ones", why: "it is more than JavaScript holds", spoil: spoilJSON("plan.json", setMember("seed", json.Number("18446744073709551615"))), harmless: true},
	}
}

// keepArms leaves only some arms, in the plan too.
func keepArms(t *testing.T, dir string, keep func(i int, a analysis.Arm) bool) {
	t.Helper()
	kept := 0
	for i, path := range armDirs(t, dir) {
		b, err := os.ReadFile(filepath.Join(path, "arm.json"))
		require.NoError(t, err)
		var a analysis.Arm
		require.NoError(t, json.Unmarshal(b, &a))
		if keep(i, a) {
			kept++
			continue
		}
		require.NoError(t, os.RemoveAll(path))
	}
	spoilFile(t, filepath.Join(dir, "plan.json"), asJSON(func(m map[string]any) {
		m["arms"] = m["arms"].([]any)[:kept]
	}))
}

func oneRepeat(t *testing.T, dir string) {
	keepArms(t, dir, func(_ int, a analysis.Arm) bool { return a.Block == 0 })
}

func oneArm(t *testing.T, dir string) {
	keepArms(t, dir, func(i int, _ analysis.Arm) bool { return i == 0 })
}

// What is drawn and written of a run with hostile names holds no markup of
// theirs and no control characters.
func TestHostileNamesAreEscaped(t *testing.T) {
	h := H0()
	dir, ok := spoilt(t, h.ID, badInput{spoil: inTurn(
		spoilJSON("manifest.json", setMember("target.model", hostileText())), spoilJSON("plan.json", setMember("notes", []string{hostileText()})))})
	require.True(t, ok)
	_, err := Rejudge(h, dir)
	require.NoError(t, err)
	entries, err := os.ReadDir(filepath.Join(dir, "derived"))
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, "derived", e.Name()))
		require.NoError(t, err)
		if strings.HasSuffix(e.Name(), ".svg") || strings.HasSuffix(e.Name(), ".html") {
			require.NotContains(t, string(b), "<script>alert", e.Name())
		}
		if !strings.HasSuffix(e.Name(), ".png") {
			require.Nil(t, regexp.MustCompile(`[\x00\x1b]`).Find(b), "%s holds control characters", e.Name())
		}
	}
	require.NotEmpty(t, bytes.TrimSpace([]byte(entries[0].Name())))
}
