package v25

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spark-harness/harness/analysis"
)

// figureH4 is the plan's figure with end-to-end latency for TTFT. The repeats
// after fio's end are levels of their own, and a phase whose load SMART does not
// show is called unproven.
func (g *Group) figureH4() analysis.Figure {
	h := analysis.H4Figure{Quantile: g.Quantile}
	narrow := strings.NewReplacer("BASELINE", "Baseline", "MODERATE", "Moderate", "HEAVY", "Heavy") // five fit beside each other
	for _, a := range g.Arms {
		l := analysis.H4Level{Name: narrow.Replace(a.Label), Share: absent()}
		for _, r := range a.Runs {
			l.Repeats = append(l.Repeats, analysis.H4Repeat{
				Block: r.Repeat, Requests: r.Good(), TTFTMillis: r.Number(latency + g.Quantile).Value,
				LatencyMillis: r.Number(latency + g.Quantile).Value, ReadAwaitMillis: r.Number(numReadAwait).Value,
				ProbeMillis: absent(), AquSz: r.Number(numQueue).Value, DeviceReadMBps: r.Number(numReadMBps).Value,
				ServerPageInMBps: absent(), FioMBps: absent(), FioIOPS: absent(), ServerReadMillis: absent(),
				IOWaitPct: r.Number(numIOWait).Value, CPUBusyCores: absent(), Verified: !a.Unproven,
			})
		}
		h.Levels = append(h.Levels, l)
	}
	if !slices.ContainsFunc(g.Runs, func(r *Run) bool { return r.Number(numReadAwait).Value > 0 }) {
		return g.byArm() // nothing to set the latency against
	}
	f := latencyForTTFT(analysis.FigureH4(h))
	f.Sections[0].X.Label = "phase (fio at depth 1 in both)"
	for _, p := range f.Sections[0].Panels {
		for i := range p.Layers {
			p.Layers[i].Line = analysis.FigureNoLine // phases are no scale, and those after fio no further levels
		}
	}
	if len(f.Sections[0].Panels) > 1 {
		f.Sections[0].Panels[1].Y.Label = "(c) r_await (ms)"
	}
	return f
}

// figureH5 is the plan's figure with end-to-end latency for TTFT.
func (g *Group) figureH5() analysis.Figure {
	h := analysis.H5Figure{Quantile: g.Quantile, Width: analysis.FigurePage}
	for _, a := range g.Arms {
		m := a.Runs[0].Manifest
		c := analysis.H5Cell{Adapters: m.Adapters, Condition: map[string]string{"sticky": analysis.ConditionSticky, "random": analysis.ConditionStorm}[m.Session]}
		if c.Adapters == 0 || c.Condition == "" {
			continue
		}
		for _, r := range a.Runs {
			perRequest := absent()
			if r.Good() > 0 {
				perRequest = r.Number(numReadBytes).Value / float64(r.Good())
			}
			c.Repeats = append(c.Repeats, analysis.H5Repeat{Block: r.Repeat, LoRARun: analysis.LoRARun{
				Requests: r.Good(), TTFTMillis: r.Number(latency + g.Quantile).Value, LatencyMillis: r.Number(latency + g.Quantile).Value,
				ReadMBps: r.Number(numReadMBps).Value, BytesPerRequest: perRequest, LoadsPerRequest: absent(),
				ReadAwaitMillis: r.Number(numReadAwait).Value, AquSz: absent(), IOWaitPct: r.Number(numIOWait).Value, CPUBusyCores: absent(),
			}})
		}
		h.Sets = append(h.Sets, c)
	}
	if len(h.Sets) == 0 {
		return g.byArm()
	}
	return latencyForTTFT(analysis.FigureH5(h))
}

// latencyForTTFT renames the axes of a figure that was given end-to-end latency
// where the plan has TTFT.
func latencyForTTFT(f analysis.Figure) analysis.Figure {
	rename := func(panels []analysis.FigurePanel) {
		for i := range panels {
			panels[i].Y.Label = strings.ReplaceAll(panels[i].Y.Label, "TTFT", "latency")
		}
	}
	rename(f.Panels)
	for _, s := range f.Sections {
		rename(s.Panels)
	}
	return f
}

// Bench is every run of the group as a benchmark line; those of the analytical
// hypotheses are the others' again and not written. Names and units differ
// from those of TTFT, so that benchstat never sets one against the other.
func (g *Group) Bench() analysis.Bench {
	orUnknown := func(s string) string {
		if s == "" {
			return "unknown"
		}
		return s
	}
	b := analysis.Bench{Config: []analysis.BenchConfig{
		{Key: "harness", Value: "earlier (v2.5)"},
		{Key: "model", Value: orUnknown(g.Model)},
		{Key: "machine", Value: orUnknown(g.Machine)},
		{Key: "api", Value: orUnknown(g.API)},
		{Key: "distrusted", Value: namedIn(g.Distrust)},
	}}
	columns := g.armColumns()
	for _, a := range g.Arms {
		var params []analysis.BenchParam
		for i, c := range a.Cells {
			value := "unknown"
			if c != nil {
				value = fmt.Sprint(c)
			}
			if columns[i].Name == "fio in the window" {
				value, _, _ = strings.Cut(value, ":")
			}
			params = append(params, analysis.BenchParam{Key: strings.ReplaceAll(columns[i].Name, " ", "_"), Value: value})
		}
		for _, r := range a.Runs {
			q := g.Quantile
			b.Lines = append(b.Lines, analysis.BenchLine{
				Name: g.Hypothesis, Runs: max(r.Good(), 1), Params: params,
				Values: []analysis.BenchValue{
					{Value: r.Number(latency+q).Value * 1e6, Unit: q + "-latency-ns", Better: "lower"},
					{Value: r.Number(firstByte+q).Value * 1e6, Unit: q + "-first-byte-ns", Better: "lower"},
					{Value: r.Number(numThroughput).Value, Unit: "requests/s", Better: "higher"},
					{Value: r.Number(numReadAwait).Value * 1e6, Unit: "r_await-ns", Better: "lower"},
					{Value: r.Number(numReadBytes).Value, Unit: "SMART-read-B"},
					{Value: r.Number(numIOWait).Value, Unit: "iowait-%"},
				},
			})
		}
	}
	return b
}
