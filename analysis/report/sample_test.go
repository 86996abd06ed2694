package report

import (
	"math"
	"strings"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/spark"
)

// planted is a section with everything in it, on made-up numbers.
func planted(id string, outcome analysis.Outcome, p float64) Section {
	points := func(scale float64) (list []analysis.FigurePoint) {
		for _, u := range []float64{1, 2, 4, 8} {
			list = append(list, analysis.FigurePoint{X: u, Estimate: analysis.Estimate{Value: scale * u, Lo: scale * u * 0.9, Hi: scale * u * 1.2}})
		}
		return list
	}
	s := Section{
		Verdict: analysis.Verdict{
			Hypothesis: id, Title: "Title of " + id, Claim: "Claim of " + id + ".", Outcome: outcome, Mechanism: "KV_TIER", Quantile: "p99",
			Target: analysis.Target{Kind: "emulator", URL: "http://127.0.0.1:1", Model: "L8B", Emulated: true},
			Power:  analysis.Power{Blocks: 8, Needed: 12},
			Claims: []analysis.Claim{
				analysis.NewClaim("BIC", analysis.Estimate{Value: 25, Lo: math.NaN(), Hi: math.NaN()}, 10, "", true),
				analysis.NewClaim("TTFT at HEAVY over BASELINE (lower bound)", analysis.Estimate{Value: 1.8125, Lo: 1.5, Hi: math.Inf(1)}, 1.2, "ratio", true),
				analysis.NewClaim("validity: failed requests", analysis.Estimate{Value: 0, Lo: math.NaN(), Hi: math.NaN()}, 0.01, "share", true),
			},
			P: analysis.Num(p),
		},
		Figure: analysis.Figure{
			Title: id + " figure", Subtitle: string(outcome), X: analysis.FigureAxis{Label: "users", Scale: analysis.FigureLog2},
			Panels: []analysis.FigurePanel{
				{Y: analysis.FigureAxis{Label: "p99 TTFT (ms)", Scale: analysis.FigureLog10}, Layers: []analysis.FigureLayer{{Name: "median", Glyph: analysis.FigureDisc, Line: analysis.FigureSolid, Bars: true, Points: points(12.5)}}},
				{Y: analysis.FigureAxis{Label: "requests/s"}, Layers: []analysis.FigureLayer{{Glyph: analysis.FigureDisc, Points: points(3)}}},
			},
			Caption: analysis.FigureCaption{Target: "emulator", Emulated: true},
		},
		Table: analysis.Table{
			Columns: []analysis.TableColumn{{Name: "users"}, {Name: "p99 TTFT", Unit: "ms"}, {Name: "level"}},
			Rows:    [][]any{{1, 12.5, "LOW"}, {2, 25.0, "HEAVY"}, {16, nil, "LOW"}, {4, math.Inf(1), "MODERATE"}},
		},
		Arms:  analysis.Table{Columns: []analysis.TableColumn{{Name: "arm"}}, Rows: [][]any{{"001-u1-r0"}}},
		Bench: []byte("goos: linux\nBenchmarkX/users=1 10 12.5 p99-TTFT-ns\n"),
		Run:   id + "/20261123T101502Z-3f9c1a",
		Manifest: spark.Manifest{
			Started: time.Date(2026, 11, 23, 10, 15, 2, 0, time.UTC),
			Target:  spark.Target{Kind: "emulator", URL: "http://127.0.0.1:1", Model: "L8B", Emulated: true},
			Machine: spark.Machine{GOARCH: "arm64", CPUs: 20, CPUModels: []string{"Cortex-X925"}, MemTotal: new(int64(128 << 30))},
		},
		Head: analysis.Head{Hypothesis: id, Seed: 7, Notes: []string{"U_work = 8 users"}},
	}
	s.Head.Profile.Name = "quick"
	if outcome != analysis.Supported {
		s.Verdict.Reasons = []string{"TOO_NOISY"}
		s.Verdict.Claims[1].Holds = false
	}
	return s
}

func sample() Report {
	return Report{
		Sections: []Section{planted("H4", analysis.Supported, 0.03), planted("H0", analysis.Supported, 0.001), planted("H2", analysis.Inconclusive, 0.2)},
		Unjudged: []Unjudged{{"H1/20261123T101502Z-000000.partial", "interrupted at noon: the disk is full"}},
		Made:     time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), Build: spark.Build{Version: "v1.0.0", Go: "go1.26"},
	}
}

// evil is what a hostile string may hold.
func evil(tag string) string {
	return tag + `</script><script>window.pwned=1</script><img src=x onerror="window.pwned=2"> "'` + "`" + ` {{.}} ${1} javascript:window.pwned=3 --> ]]> </style></svg></title> &lt; &#60;script>` +
		"\x00\x1b[31m\u202e\u2066reversed\u200b\ufeff\xff | a [link](http://evil.example/x) ![i](http://evil.example/y) <http://evil.example/z> https://evil.example/w\n# heading\n"
}

// hostile has such strings, and very long ones, in every place.
func hostile() Report {
	long := strings.Repeat("long ", 200_000)
	s := planted("H4", analysis.Supported, 0.03)
	v := &s.Verdict
	v.Hypothesis, v.Title, v.Claim, v.Quantile, v.Mechanism, v.Reasons = evil("id"), evil("title")+long, evil("claim")+long, evil("q"), evil("m"), []string{evil("r"), long}
	v.Outcome = analysis.Outcome(evil("o"))
	v.Target = analysis.Target{Kind: evil("k"), URL: evil("u"), Model: evil("model"), Emulated: true}
	for i := range v.Claims {
		v.Claims[i].Text, v.Claims[i].Unit = v.Claims[i].Text+evil("c")+long, evil("unit")
	}
	f := &s.Figure
	f.Title, f.Subtitle, f.X.Label = evil("ft"), evil("fs")+long, evil("x")
	for i := range f.Panels {
		f.Panels[i].Y.Label = evil("y") + " (ms)"
		f.Panels[i].Layers[0].Name = evil("layer") + long
	}
	f.Markers = []analysis.FigureMarker{{Label: "knee" + evil("marker"), At: analysis.Estimate{Value: 3, Lo: 2, Hi: 4}}}
	f.Caption = analysis.FigureCaption{Target: evil("ct"), Model: long, Machine: evil("cm"), Notes: []string{evil("cn")}}
	s.Table.Title, s.Table.Columns[0].Name, s.Table.Columns[1].Unit, s.Table.Rows[0][2], s.Table.Rows[1][2] = evil("tt"), evil("tc"), evil("tu"), evil("cell"), long
	s.Bench, s.Run = []byte(evil("bench")), evil("run")+"/../x"
	s.Sources, s.Notes = []analysis.Source{{Run: evil("src")}}, []string{evil("note"), long}
	s.Head.Notes, s.Head.Profile.Name = []string{evil("hn")}, evil("profile")
	m := &s.Manifest
	m.Target, m.Control = spark.Target{Kind: evil("mk"), URL: "javascript:window.pwned=4", Model: evil("mm"), Emulated: true, Dialect: evil("d")}, evil("control")
	m.Machine = spark.Machine{Product: evil("product"), Kernel: long, CPUModels: []string{evil("cpu")}, GPUs: []string{evil("gpu")}, Places: []spark.Place{{Role: evil("role"), Disk: &spark.Disk{Name: evil("disk"), Model: long}}}}
	m.Facts.Version, m.Build.Revision = evil("version"), evil("revision")
	return Report{Sections: []Section{s, planted("H0", analysis.Supported, 0.5)}, Unjudged: []Unjudged{{evil("uj"), long + evil("why")}}, Build: spark.Build{Version: evil("build")}}
}
