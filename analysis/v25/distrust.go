package v25

import (
	"slices"
	"strings"

	"github.com/spark-harness/harness/analysis"
)

// Trust says what became of a number.
type Trust string

// The three things that can become of a number.
const (
	Trusted   Trust = "trusted"   // it is what its name says
	Converted Trust = "converted" // it is now, and How says by what
	Withheld  Trust = "withheld"  // it is not, or not there, and How says why
)

// Number is one value that leaves the package. Value is NaN where it is
// withheld.
type Number struct {
	Value float64
	Trust Trust
	How   string
}

// Distrust is one column or field that is not what its name says.
type Distrust struct {
	Field   string // file: column or field
	Why     string
	Defect  int    // row in docs/earlier-harness.md; 0 for none
	Instead string // what the quantity really is, or how it was converted
}

// Code is why nothing is concluded from a group of runs.
type Code string

// Reason codes of the verdicts, which are all INVALID.
const (
	CodeEarlier     Code = "EARLIER_HARNESS"      // no record of single requests: nothing can be tested
	CodeFailures    Code = "TTFT_COUNTS_FAILURES" // failed requests are among its times to first byte
	CodeErrors      Code = "ERRORS"               // more than 1 % of a run's requests failed
	CodeOneRepeat   Code = "ONE_REPEAT"           // some arm ran once
	CodeFixedOrder  Code = "FIXED_ORDER"          // arms ran in one order: warmth and heat go with them
	CodeTyped       Code = "TYPED_IN"             // U_work and Ck were typed in
	CodeShared      Code = "SHARED_PREFIX"        // H2: the nonce stands at the end, so all users share their KV
	CodeConfounded  Code = "OUTPUT_CONFOUNDED"    // H2: the output budget falls as the prompt grows
	CodeLength      Code = "LENGTH_NOT_MEASURED"  // a prompt of unknown length
	CodeContention  Code = "CONTENTION_LOST"      // H4: fio ran in the first repeat alone, at depth 1
	CodeNotCold     Code = "NOT_COLD"             // H1, H5: nothing proves that anything was cold
	CodeAdapters    Code = "ADAPTERS_UNPROVEN"    // H1, H5, H6: nothing proves that adapters were applied
	CodeFits        Code = "FITS"                 // H6: four adapters fit in memory
	CodeSparse      Code = "TELEMETRY_HOLES"      // a row every three seconds at best
	CodeUndecided   Code = "IOSTAT_UNDECIDED"     // whose columns cannot be told apart
	CodeNoRequests  Code = "NO_REQUESTS"          // no run with a request that succeeded
	CodeFewRequests Code = "TOO_FEW_REQUESTS"     // some run is too short for the quantile
)

// everywhere is what no result of the earlier harness may be trusted in.
func everywhere() []Distrust {
	return []Distrust{
		{"summary: ttft_ms", "the first raw bytes of any answer stop the clock, those of an error body too, and failed requests are counted", 19, "time to first body byte, at most the time to first token; withheld where a request failed"},
		{"summary: latency_ms", "closed loop without arrivals: what a stalled server keeps from being asked is missing; all users start at once and the start is not cut", 20, "end to end from dispatch, of successes: shown, as what it is"},
		{"summary: throughput_rps", "every user's last request ends after the window and is counted in it", 20, "(successes − users) ÷ duration where nothing failed, else withheld"},
		{"summary: latency_ms.p99_ci_*", "requests of one run resampled as if independent: \"95 %\" covers about 57 %", 22, "withheld; spread between repeats is shown"},
		{"summary: avg", "means of telemetry columns that hold other quantities", 1, "computed anew from the files where the columns can be told apart"},
		{"summary: percentiles", "no record of single requests: nothing can be recomputed or tested", 30, "shown; p99 with 368 successes or more, p95 with 72"},
		{"telemetry: ms_since_t0", "one wall-clock stamp for readings up to three seconds apart; rows are 3 s apart, not 1 s", 2, "order of rows, and time to about 3 s; no column is set against another of its row"},
		{"telemetry: iostat_util_pct", "says that the device was busy, not how much of it: 85 % at a true 35 %", 0, "withheld"},
		{"telemetry: iostat_*", "the device is the one that was typed in, not the one that the model lies on", 5, "shown as the device of the manifest"},
		{"telemetry: page faults, swap, refaults, pressure", "never recorded", 4, "absent"},
		{"manifest: engine_profile, kv_cache, cpu.governor, saturated", "typed into the script, whatever the server and the machine did", 31, "withheld"},
		{"manifest: model_tag, model_handle", "the name asked for; the server's own word was not recorded", 32, "shown as a label"},
		{"repeats", "at most 3, in one order for all: the order is warmth and heat too, and 3 against 3 cannot go below p = 0.10", 23, "every run is a point, the line their median; no test"},
		{"completeness", "a failed load generator is passed over in silence and the run called complete", 29, "success is taken from the counts; a run without a summary has no numbers"},
	}
}

// ofHypothesis is what may not be trusted besides in the runs of one script.
func ofHypothesis(h string) []Distrust {
	typed := Distrust{"manifest: concurrency_users", "typed in as U_work, not taken from H0's results", 18, "shown as the number of users"}
	ck := Distrust{"manifest: context", "typed in as Ck, not taken from H2's results; the file's name is not its length", 12, "the prompt's measured tokens, by its SHA-256"}
	adapters := Distrust{"manifest: adapters", "the server's configuration has 4 adapters and does not mount their folder: requests for others can only fail", 26, "withheld: whether an adapter was applied is unknown"}
	switch h {
	case "H0":
		return []Distrust{
			{"manifest: concurrency_users", "the server's batch limit is 64, inside the sweep, and there are no runs below 8 users", 17, "shown; no knee is looked for"},
		}
	case "H1":
		return []Distrust{
			typed, adapters,
			{"manifest: phase", "one run each, COLD always first; 4 cold loads among thousands of requests", 24, "shown side by side; no difference is claimed"},
		}
	case "H2":
		return []Distrust{
			{"manifest: context_config", "the label is words or bytes, not tokens: 512 and 1024 are one file, 1536 is 2515 tokens", 12, "tokens by the prompt's SHA-256 (Llama-3 tokenizer, without the nonce), else a name"},
			{"total context of the old tables", "adds the output for some labels and not for others", 13, "not used"},
			{"summary: latency_ms over context", "the output budget falls from 512 to 128 tokens as the prompt grows", 14, "arms of one prompt and one budget; the budget stands in the table"},
			{"KV demand", "the nonce is at the end: users share all of their prompt's KV, which therefore does not grow with them", 15, "absent"},
			{"paging", "the server's KV pool is fixed and pinned and has no disk tier", 16, "absent: nothing pages by construction"},
			typed,
		}
	case "H4":
		return []Distrust{
			{"manifest: phase of repeats 2 and 3", "one fio of 315 s for three repeats of 300 s: it had ended", 7, "drawn apart; only the first repeat stands for its phase"},
			{"manifest: MODERATE, HEAVY", "no ioengine is named, so that depth 8 and 32 are both 1: the phases are one load", 8, "shown as named; no trend is claimed"},
			{"fio", "its setup may fail unnoticed and its log was never read", 9, "a phase counts as loaded where SMART's read commands show it"},
			{"old H4 figure", "the analysis stops with an error before it", 10, "drawn here"},
			typed, ck,
		}
	case "H5":
		return []Distrust{
			{"mpstat log", "it ran in the foreground, for 300 s before the load began", 6, "withheld; vmstat's iowait instead"},
			{"runs after the first", "the script stops after its first run: whatever follows was run by hand", 6, "shown"},
			{"cold caches", "dropped before the server's restart, which reads everything again, and once per cell", 25, "withheld: not cold"},
			{"manifest: lora_session_type sticky", "each user draws an adapter without a seed: some stay unused", 21, "shown as named"},
			typed, ck, adapters,
		}
	case "H6":
		return []Distrust{
			{"manifest: phase LORA", "the storm goes over 4 adapters, which fit in memory; the baseline is always first", 27, "shown side by side; no difference is claimed"},
			{"old H7 figure: Data Units", "× 512 ÷ 1024³, called GB: a unit is 1000 × 512 bytes", 11, "× 512,000 bytes"},
			typed, ck, adapters,
		}
	}
	return nil
}

// ofRun is what the files of one run add.
func ofRun(r *Run) (list []Distrust) {
	if t := r.Telemetry; t != nil {
		for i, c := range iostatColumns() {
			if t.Column(c) == nil {
				continue
			}
			d := Distrust{"telemetry: " + c, "fields of iostat taken by number; the version of sysstat cannot be told by the values", 1, "withheld"}
			if holds := r.Layout.Holds(i); holds != "" {
				d.Why, d.Instead = "fields of iostat taken by number; by its values this is "+r.Layout.String(), "it holds "+holds
			}
			list = append(list, d)
		}
		for _, c := range []string{"gpu_mem_used_MiB", "gpu_mem_total_MiB"} {
			if t.TextOnly(c) {
				list = append(list, Distrust{"telemetry: " + c, "the driver knows no framebuffer where CPU and GPU share memory: text, such as [N/A], in every row", 3, "withheld; MemAvailable instead"})
			}
		}
		for _, c := range t.Columns {
			if c != colTime && !strings.HasPrefix(c, "iostat_") && !strings.HasPrefix(c, "gpu_mem_total") && t.Constant(c) && t.Column(c)[0] != 0 {
				list = append(list, Distrust{"telemetry: " + c, "the same value in every row of a run: not a measurement, or nothing happened", 0, "shown, with this note"})
			}
		}
		if n := t.broken(); n > 0 {
			list = append(list, Distrust{"telemetry: broken rows", "errors of nvidia-smi or a decimal comma inside rows, or rows cut short", 3, "dropped, or used up to the break; counted in the table of runs"})
		}
		if t.Steps > 0 {
			list = append(list, Distrust{"telemetry: ms_since_t0 going back", "the wall clock was set during a run", 2, "rows are kept, time axes are not drawn"})
		}
	}
	return list
}

// merged is a list without repetitions, in order.
func merged(lists ...[]Distrust) (out []Distrust) {
	for _, d := range slices.Concat(lists...) {
		if !slices.Contains(out, d) {
			out = append(out, d)
		}
	}
	return out
}

// distrustTable is a list as a table.
func distrustTable(title string, list []Distrust) analysis.Table {
	t := analysis.Table{Title: title, Columns: []analysis.TableColumn{{Name: "column or field"}, {Name: "why not"}, {Name: "defect"}, {Name: "instead"}}}
	for _, d := range list {
		defect := any(nil)
		if d.Defect > 0 {
			defect = d.Defect
		}
		t.Rows = append(t.Rows, []any{d.Field, d.Why, defect, d.Instead})
	}
	return t
}

// namedIn are the distrusted fields by name, for the line under a figure's
// title and for benchmark files.
func namedIn(list []Distrust) string {
	var names []string
	add := func(n string) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	for _, d := range list {
		file, field, ok := strings.Cut(d.Field, ": ")
		switch {
		case strings.HasPrefix(field, "iostat_"):
			add("iostat_*")
		case strings.HasPrefix(field, "gpu_mem_"):
			add("gpu_mem_*")
		case d.Field == "mpstat log":
			add("mpstat")
		case field == "phase of repeats 2 and 3", field == "MODERATE, HEAVY":
			add("phase")
		case d.Defect == 0, d.Defect == 17, d.Defect == 18, d.Defect == 28, d.Defect == 30, d.Defect == 31, d.Defect == 32, !ok, strings.Contains(field, " ") && file != "summary":
		default:
			field, _, _ = strings.Cut(field, " over ")
			field, _, _ = strings.Cut(field, ", ")
			add(strings.TrimPrefix(field, "latency_ms."))
		}
	}
	return "not as named: " + strings.Join(names, ", ")
}
