package main

import (
	"context"
	"fmt"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

// loraFlags say which LoRA adapters a load asks for.
type loraFlags struct {
	List      string  `placeholder:"FILE" help:"File of adapters to ask for: a name a line, then its id and its path on the server where that needs them. Without it the base model is asked."`
	Session   string  `placeholder:"HOW" choices:"sticky,random,zipf,hot-one,in-order" help:"How users are dealt to adapters: sticky (each keeps one), random, zipf, hot-one or in-order; default: sticky."`
	Zipf      float64 `placeholder:"S" help:"Exponent of --lora-session zipf; default: 1."`
	Check     int     `default:"8" help:"Ask so many of the adapters one question before the load, to see whether the server knows and applies them; 0 asks none."`
	Separator string  `placeholder:"TEXT" help:"What joins model and adapter for Triton's OpenAI front end, as its --lora-separator; default: _lora_."`
}

// adapters is what a plan takes of the flags.
func (f loraFlags) adapters() (loadgen.Adapters, error) {
	a := loadgen.Adapters{Choice: loadgen.AdapterChoice(f.Session), ZipfExponent: f.Zipf}
	if f.List == "" {
		return a, nil
	}
	var err error
	a.List, err = loadgen.ReadAdapters(input(f.List))
	return a, err
}

// check asks for some adapters and warns of a server that does not know them, or
// that answers all of them alike. The load goes on in any case: it shows what
// such a server does.
func (f loraFlags) check(ctx context.Context, s streams, t loadgen.Target, list []loadgen.Adapter) error {
	n := min(f.Check, len(list))
	if n < 1 {
		return nil
	}
	fmt.Fprintf(s.err, "asking for %d of %d adapters, one after the other …\n", n, len(list))
	check, err := loadgen.CheckAdapters(ctx, t, list[:n])
	if err != nil {
		return err
	}
	for _, a := range check.Answers {
		if !a.Outcome.OK() {
			warn(s, "adapter %s: %s: %s", a.Adapter, a.Outcome, a.Error)
		}
	}
	switch {
	case check.Ignored:
		warn(s, "the server IGNORES the adapters: two of them, or one and the base model, give the same answer byte for byte; what follows measures no LoRA")
	case check.Compared < 2:
		warn(s, "too few answers to tell whether the server applies the adapters")
	}
	return nil
}

// warnOfAdapters says what a load's outcomes tell of the adapters.
func warnOfAdapters(s streams, r loadgen.Requests) {
	if n := r.Outcomes[loadgen.OutcomeUnknownAdapter]; n > 0 {
		warn(s, "%d of %d requests asked for adapters that the server does not know", n, r.Due)
	}
	if n := r.Outcomes[loadgen.OutcomeAdapterEvicted]; n > 0 {
		warn(s, "%d of %d requests asked for adapters that the server has dropped and cannot load again by itself", n, r.Due)
	}
}

// warn writes a line that cannot be overlooked.
func warn(s streams, format string, args ...any) {
	fmt.Fprintf(s.err, "WARNING: "+format+"\n", args...)
}

// adapterTable shows what the requests for each adapter saw; cold and resident
// only where a server tells.
func adapterTable(rows []loadgen.AdapterSummary) analysis.Table {
	t := analysis.Table{Title: "TTFT by adapter"}
	for _, c := range []string{"adapter", "n", "ok"} {
		t.Columns = append(t.Columns, analysis.TableColumn{Name: c})
	}
	for _, c := range []string{"p50", "p95", "cold p50", "resident p50"} {
		t.Columns = append(t.Columns, analysis.TableColumn{Name: c, Unit: "ms"})
	}
	for _, r := range rows {
		row := []any{r.Name, r.Due, r.OK, nil, nil, nil, nil}
		if r.TTFT != nil {
			row[3], row[4] = float64(r.TTFT.P50), float64(r.TTFT.P95)
		}
		if r.Cold != nil {
			row[5] = float64(r.Cold.P50)
		}
		if r.Resident != nil {
			row[6] = float64(r.Resident.P50)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
