package analysis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Bench is results in the Go benchmark format (golang.org/design/14313), which
// benchstat reads. Lines of the same name are repeats of one measurement:
// benchstat takes their median and tests one file against another. Its test is
// unpaired and knows no blocks, so it is for looking, not for verdicts.
type Bench struct {
	Config []BenchConfig // in order; where the numbers come from
	Lines  []BenchLine   // in order
}

// BenchConfig is one configuration line, such as goarch, cpu, target, model,
// machine, profile. Lines whose values differ land in tables of their own.
// Keys are lower-cased and their spaces become dashes; a value is one line.
type BenchConfig struct{ Key, Value string }

// BenchLine is one run of one arm.
type BenchLine struct {
	Name   string       // without "Benchmark": "H0"
	Params []BenchParam // in order, as /key=value in the full name
	Runs   int          // how many requests stand behind the values; at least 1
	Values []BenchValue
}

// BenchParam is one part of a benchmark's name. Blanks, slashes and control
// characters become underscores, and a final -8 becomes _8, because the format
// reads it as GOMAXPROCS.
type BenchParam struct{ Key, Value string }

// BenchValue is a measurement. Benchstat scales the units ns and B (bytes) and
// prints seconds and KiB, and MB/s as B/s, so times are given in ns and rates
// of bytes in B/s. A value that is not finite is absent and left out.
type BenchValue struct {
	Value  float64
	Unit   string // no blanks: "p99-TTFT-ns", "requests/s"
	Better string // "higher", "lower", or "" when neither is
}

// Bytes writes the results: configuration, units, then lines. A line without
// any finite value is left out. It fails for an empty name, key or unit, a unit
// whose Better changes, and a run count below 1.
func (b Bench) Bytes() ([]byte, error) {
	var out strings.Builder
	for _, c := range b.Config {
		key := strings.ToLower(benchWord(c.Key, '-'))
		if key == "" || !unicode.IsLower([]rune(key)[0]) || strings.Contains(key, ":") {
			return nil, fmt.Errorf("analysis: write benchmark lines: configuration key %q must begin with a letter and hold no colon", c.Key)
		}
		if value := visible(c.Value); value != "" { // an empty value would unset the key
			fmt.Fprintf(&out, "%s: %s\n", key, value)
		}
	}
	if err := b.writeUnits(&out); err != nil {
		return nil, err
	}
	for i, l := range b.Lines {
		line, err := l.text()
		if err != nil {
			return nil, fmt.Errorf("analysis: write benchmark line %d: %w", i, err)
		}
		out.WriteString(line)
	}
	return []byte(out.String()), nil
}

// writeUnits declares the direction of each unit once.
func (b Bench) writeUnits(out *strings.Builder) error {
	declared := map[string]string{}
	for _, l := range b.Lines {
		for _, v := range l.Values {
			unit := benchWord(v.Unit, '-')
			before, seen := declared[unit]
			switch {
			case unit == "":
				return fmt.Errorf("analysis: write benchmark lines: %s has a value without a unit", l.Name)
			case v.Better != "" && v.Better != "higher" && v.Better != "lower":
				return fmt.Errorf("analysis: write benchmark lines: unit %s: better is %q (want higher, lower or nothing)", unit, v.Better)
			case seen && before != v.Better:
				return fmt.Errorf("analysis: write benchmark lines: unit %s is better %q and %q", unit, before, v.Better)
			case !seen && v.Better != "":
				fmt.Fprintf(out, "Unit %s better=%s\n", unit, v.Better)
			}
			declared[unit] = v.Better
		}
	}
	return nil
}

func (l BenchLine) text() (string, error) {
	name := benchWord(l.Name, '_')
	if name == "" || l.Runs < 1 {
		return "", fmt.Errorf("name %q, %d runs (want a name and at least 1)", l.Name, l.Runs)
	}
	name = strings.ToUpper(name[:1]) + name[1:]
	for _, p := range l.Params {
		key := benchWord(p.Key, '_')
		if key == "" {
			return "", fmt.Errorf("a parameter without a key, of value %q", p.Value)
		}
		name += "/" + key + "=" + benchWord(p.Value, '_')
	}
	var values strings.Builder
	for _, v := range l.Values {
		if !math.IsNaN(v.Value) && !math.IsInf(v.Value, 0) {
			fmt.Fprintf(&values, " %s %s", decimal(v.Value, 8), benchWord(v.Unit, '-'))
		}
	}
	if values.Len() == 0 {
		return "", nil
	}
	return "Benchmark" + notProcs(name) + " " + strconv.Itoa(l.Runs) + values.String() + "\n", nil
}

// benchWord is s without what the format gives a meaning to; runs of such
// characters become one filler.
func benchWord(s string, filler rune) string {
	var b strings.Builder
	gap := false
	for _, r := range visible(s) {
		name := filler == '_' // slashes part names, but units may divide
		if r == ' ' || r == '"' || name && r == '/' {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteRune(filler)
		}
		gap = false
		b.WriteRune(r)
	}
	return b.String()
}

// notProcs keeps a name's last -digits from being read as GOMAXPROCS.
func notProcs(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 || i == len(name)-1 || strings.Trim(name[i+1:], "0123456789") != "" {
		return name
	}
	return name[:i] + "_" + name[i+1:]
}
