// Package report puts judged hypotheses together into files for people:
// report.html, one file that needs nothing else and asks the network for
// nothing, and report.md, for GitHub.
//
// It is a pure function of what it is given: it judges nothing, reads no run
// and averages nothing. Runs of different machines, servers, controls or
// profiles stand in groups of their own; models are named at every section.
// Every string in a run is taken for hostile: control characters go, what is
// long is cut with an ellipsis, and the rest is escaped where it stands.
//
// Lengths in a Figure are its own units; times are wall times in UTC. Functions
// may be called by several goroutines at once. The package refuses nothing: a
// section without a figure or with a table that cannot be written says so in
// its place.
package report

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/spark"
)

// Names of the two files in a results directory.
const (
	HTMLFile     = "report.html"
	MarkdownFile = "report.md"
	BenchFile    = "bench.txt" // all benchmark lines
)

// Report is everything that is told about a results directory.
type Report struct {
	Sections []Section
	Unjudged []Unjudged
	Results  string      // the results directory, absolute; "" where the report is written into it
	Made     time.Time   // when the report was written
	Build    spark.Build // what wrote it
}

// Section is one hypothesis on one key: a run and what was derived from it.
type Section struct {
	Verdict  analysis.Verdict
	Figure   analysis.Figure // without panels: the run could not be drawn
	Table    analysis.Table  // the numbers behind the figure; without columns: none
	Arms     analysis.Table  // what each arm did; without columns: none
	Bench    []byte          // bench.txt; nil for none
	PNG      []byte          // the figure at 300 dpi; nil lets it be drawn
	Head     analysis.Head
	Manifest spark.Manifest
	// Run is the run's directory beneath the results directory, with slashes:
	// "H2/20261123T101502Z-3f9c1a".
	Run     string
	Sources []analysis.Source // runs that it rests on
	Notes   []string          // of whoever put the report together

	base string // from the report to the results directory, with a slash; "" within it
}

// Key names what the section was measured on.
func (s Section) Key() analysis.Key {
	return (&analysis.Experiment{Plan: s.Head, Manifest: s.Manifest}).Key()
}

// Unjudged is a run directory that has no section, and why.
type Unjudged struct {
	Run    string // beneath the results directory
	Reason string
}

// Paths are the two files.
type Paths struct{ HTML, Markdown, Bench string }

// Write writes the files into dir, each atomically. One that cannot be
// written does not keep the other from being written. Links lead from dir to
// the runs in r.Results.
func Write(dir string, r Report) (Paths, error) {
	r.Sections = slices.Clone(r.Sections)
	if at, err := filepath.Abs(dir); err == nil && r.Results != "" {
		if rel, err := filepath.Rel(at, r.Results); err == nil && rel != "." {
			for i := range r.Sections {
				r.Sections[i].base = filepath.ToSlash(rel) + "/"
			}
		}
	}
	p := Paths{HTML: filepath.Join(dir, HTMLFile), Markdown: filepath.Join(dir, MarkdownFile), Bench: filepath.Join(dir, BenchFile)}
	page, err := r.HTML()
	if err == nil {
		err = bundle.WriteFile(p.HTML, page)
	}
	err = errors.Join(err, bundle.WriteFile(p.Markdown, r.Markdown()), bundle.WriteFile(p.Bench, r.Bench()))
	if err != nil {
		return p, fmt.Errorf("report: write report: %w", err)
	}
	return p, nil
}

// Bench is the benchmark lines of all sections in one file, so that two results
// directories compare with benchstat A/bench.txt B/bench.txt. Each section
// begins with its own configuration lines.
func (r Report) Bench() []byte {
	var all []byte
	for _, g := range r.Groups() {
		for _, s := range g.Sections {
			if len(s.Bench) > 0 {
				all = append(append(all, bytes.TrimRight(s.Bench, "\n")...), "\n\n"...)
			}
		}
	}
	return all
}

// Group is the sections of one machine, server kind, control and profile: those
// that Holm's correction takes together.
type Group struct {
	Key      analysis.Key // its Model is empty
	Sections []Section    // by hypothesis, then model
}

// Groups puts the sections in order: the group with the newest run first.
func (r Report) Groups() []Group {
	var groups []Group
	newest := map[analysis.Key]time.Time{}
	for _, s := range r.Sections {
		k := s.Key()
		k.Model = ""
		i := slices.IndexFunc(groups, func(g Group) bool { return g.Key == k })
		if i < 0 {
			i, groups = len(groups), append(groups, Group{Key: k})
		}
		groups[i].Sections = append(groups[i].Sections, s)
		if s.Manifest.Started.After(newest[k]) {
			newest[k] = s.Manifest.Started
		}
	}
	for _, g := range groups {
		slices.SortStableFunc(g.Sections, func(a, b Section) int {
			return cmp.Or(cmp.Compare(a.Verdict.Hypothesis, b.Verdict.Hypothesis), cmp.Compare(a.Key().Model, b.Key().Model), cmp.Compare(a.Run, b.Run))
		})
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(newest[b.Key].Compare(newest[a.Key]), cmp.Compare(fmt.Sprint(a.Key), fmt.Sprint(b.Key)))
	})
	return groups
}

// emulated reports whether any section of the group was.
func (g Group) emulated() bool {
	return slices.ContainsFunc(g.Sections, func(s Section) bool { return s.Verdict.Target.Emulated || s.Manifest.Target.Emulated })
}
