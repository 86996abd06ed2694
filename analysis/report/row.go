package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/spark"
)

// emulatedText says what an emulated number is worth.
const emulatedText = "The server is the embedded emulator: its compute is modelled, its memory and storage I/O are real. These numbers show what this machine's storage does to such a server; they say nothing about a GPU or a real model."

// row is one line of the table of verdicts.
type row struct {
	ID, Anchor, Title, Model string
	Sign, Outcome, Endpoint  string
	Effect, EffectOf         string
	Blocks                   string
	Reasons                  []string
	Mechanism                string
	P, Holm, Fails           string
}

func (s Section) row(adjusted float64) row {
	v := s.Verdict
	r := row{
		ID: name(v.Hypothesis), Anchor: s.anchor(), Title: name(v.Title), Model: name(s.Key().Model),
		Sign: sign(v.Outcome), Outcome: name(string(v.Outcome)), Endpoint: absent,
		Blocks: fmt.Sprint(v.Power.Blocks), Mechanism: name(v.Mechanism), P: absent, Holm: probability(adjusted), Fails: s.fails(adjusted),
	}
	if v.Quantile != "" {
		r.Endpoint = name(v.Quantile) + " TTFT"
	}
	r.Effect, r.EffectOf = s.effect()
	if v.Power.Needed > 0 {
		r.Blocks += fmt.Sprintf(" of %d", v.Power.Needed)
	}
	if v.P != nil {
		r.P = probability(*v.P)
	}
	for _, code := range v.Reasons {
		r.Reasons = append(r.Reasons, name(code))
	}
	return r
}

// effect is what stands for the hypothesis in the table of verdicts: the first
// ratio of latencies with an interval; where the claims have none, the knee
// that the figure marks; else the first claim with an interval, or a value.
func (s Section) effect() (value, of string) {
	claims, _ := split(s.Verdict)
	first := func(fits func(analysis.Claim) bool) bool {
		for _, c := range claims {
			if c.Value == nil || !fits(c) {
				continue
			}
			value, of = strings.TrimSpace(number(c.Value)+" "+interval(c)), text(c.Text)
			if c.Unit == "ratio" {
				value = "× " + value
			} else {
				value = strings.TrimSpace(value + " " + name(c.Unit))
			}
			return true
		}
		return false
	}
	ranged := func(c analysis.Claim) bool { return interval(c) != "" }
	if first(func(c analysis.Claim) bool { return c.Unit == "ratio" && ranged(c) && strings.Contains(c.Text, "TTFT") }) {
		return value, of
	}
	for _, m := range s.Figure.Markers {
		if strings.HasPrefix(m.Label, "knee") && analysis.Num(m.At.Value) != nil {
			at := analysis.NewClaim("", m.At, math.NaN(), "", true)
			return number(at.Value) + " " + interval(at), "knee, " + name(s.Figure.X.Label)
		}
	}
	if first(ranged) || first(func(analysis.Claim) bool { return true }) {
		return value, of
	}
	return absent, ""
}

// fails says so when a SUPPORTED verdict does not hold beside the others of its
// group.
func (s Section) fails(adjusted float64) string {
	if s.Verdict.Outcome == analysis.Supported && adjusted > familyLevel {
		return fmt.Sprintf("does not survive Holm's correction (adjusted p %s > %g)", probability(adjusted), familyLevel)
	}
	return ""
}

func holmText(tests int) string {
	if tests == 0 {
		return "No verdict here has a p-value, so there is nothing to correct for being several."
	}
	return fmt.Sprintf("Holm p: the one-sided p of the primary claim, corrected over the %d hypotheses of this group that have one; a SUPPORTED with more than %g is marked. A verdict's other claims are held to their own limits.", tests, familyLevel)
}

// anchor is the section's place in the page.
func (s Section) anchor() string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, name(s.Run))
}

// title names a group.
func (g Group) title() string {
	k := g.Key
	parts := []string{name(k.Platform), name(k.Server)}
	if k.Control != "" {
		parts = append(parts, "control "+name(k.Control))
	}
	return strings.Join(append(parts, "profile "+name(k.Profile)), " · ")
}

// facts are a verdict's in a few words.
func (s Section) facts() (parts []string) {
	v := s.Verdict
	if len(v.Reasons) > 0 {
		parts = append(parts, text(strings.Join(v.Reasons, ", ")))
	}
	if v.Mechanism != "" {
		parts = append(parts, "mechanism "+name(v.Mechanism))
	}
	if v.Quantile != "" {
		parts = append(parts, "endpoint "+name(v.Quantile)+" TTFT")
	}
	parts = append(parts, v.Power.String())
	if v.P != nil {
		parts = append(parts, "p "+probability(*v.P))
	}
	return parts
}

// notes are what was remarked when the run was planned and reported.
func (s Section) notes() (all []string) {
	for _, n := range slices.Concat(s.Head.Notes, s.Notes) {
		all = append(all, text(n))
	}
	if slices.ContainsFunc(all, func(n string) bool { return strings.HasPrefix(n, "rests on ") }) {
		return all // the plan says so itself
	}
	for _, src := range s.Sources {
		all = append(all, "rests on run "+text(src.Run))
	}
	return all
}

func buildName(b spark.Build) string {
	v := cmp.Or(b.Revision, b.Version, "(unknown build)")
	if len(v) > 12 && b.Revision != "" {
		v = v[:12]
	}
	if b.Modified {
		v += " with changes"
	}
	return name(v + " " + b.Go)
}

// fact is one line of a list of facts.
type fact struct{ Name, Value string }

// machine lists what a group was measured on.
func (g Group) machine() (list []fact) {
	m := g.Sections[0].Manifest
	add := func(n, v string) {
		if v = text(v); v != "" {
			list = append(list, fact{name(n), v})
		}
	}
	add("machine", m.Platform())
	add("processor", fmt.Sprintf("%d × %s, %s", m.Machine.CPUs, cmp.Or(strings.Join(m.Machine.CPUModels, " + "), "unknown"), m.Machine.GOARCH))
	add("GPU", cmp.Or(strings.Join(m.Machine.GPUs, ", "), "none found"))
	add("memory", bytesText(m.Machine.MemTotal)+" (swap "+bytesText(m.Machine.SwapTotal)+")")
	add("kernel", m.Machine.Kernel)
	if m.Machine.Virtual != "" {
		add("virtual machine", m.Machine.Virtual)
	}
	add("container", m.Machine.Confined)
	for _, p := range m.Machine.Places {
		if p.Disk != nil {
			add(p.Role, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s, %s, %s, %s", p.Disk.Model, p.Disk.Firmware, bytesText(p.Disk.Bytes), p.Disk.Name, p.Disk.FSType, p.Disk.Scheduler)), " "))
		}
	}
	prof := g.Sections[0].Head.Profile
	add("profile", fmt.Sprintf("%s: at least %d requests an arm, %d repeats, p%g", prof.Name, prof.MinRequests, prof.Repeats, prof.Quantile*100))
	return list
}

// server lists what a section's server was, as far as it told.
func (s Section) server() (list []fact) {
	add := func(n, v string) {
		if v = text(v); v != "" {
			list = append(list, fact{name(n), v})
		}
	}
	m := s.Manifest
	kind := m.Target.Kind
	if m.Target.Emulated {
		kind += " (EMULATED)"
	}
	if m.Control != "" {
		kind += ", control " + m.Control
	}
	add("server", strings.TrimSpace(kind+" "+string(m.Target.Flavor)+" "+m.Facts.Version))
	add("model", m.Target.Model)
	add("address", m.Target.URL+" ("+m.Target.Dialect+")")
	for _, f := range []struct {
		name string
		v    *int64
	}{
		{"longest context (tokens)", m.Facts.MaxModelLen},
		{"batch limit (requests)", m.Facts.MaxNumSeqs},
		{"KV pool (tokens)", m.Facts.KVPoolTokens},
		{"adapters in memory", m.Facts.AdapterSlots},
	} {
		if f.v != nil {
			add(f.name, fmt.Sprint(*f.v))
		}
	}
	if m.Facts.KVPoolBytes != nil {
		add("KV pool", bytesText(m.Facts.KVPoolBytes))
	}
	if !m.Started.IsZero() {
		add("started", m.Started.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	add("measured by", buildName(m.Build))
	add("seed", fmt.Sprint(s.Head.Seed))
	return list
}

// bytesText writes a size in binary units.
func bytesText(n *int64) string {
	if n == nil {
		return "unknown"
	}
	v, unit := float64(*n), 0
	for v >= 1024 && unit < 5 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%g %s", math.Round(v*10)/10, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}[unit])
}
