//go:build sim

package hypotheses

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

// The error rates of every estimator and of every rule, on data whose truth is
// planted. It takes minutes and is not part of the suite:
//
//	go test -tags sim ./hypotheses -run ErrorRatesArePublished -timeout 60m -v
//
// writes docs/error-rates.md. SIM_N sets the experiments per row of a rule (200;
// five times as many for estimators); SIM_ONLY=H4 runs the rows of one section,
// and writes nothing; SIM_RESUME=FILE keeps each row's result as soon as it is
// there, and takes those that are there from FILE (of the same code only: it is
// for a run that was cut short).

// simSeed is the seed of all of it: equal N gives equal tables.
const simSeed = 20

// rate is one row: how often something happens on data of one kind.
type rate struct {
	of, data string
	counts   string  // what is counted
	limit    float64 // most that it may happen; 0 for a power, which has none
	least    bool    // limit is the least instead
	times    float64 // of N; 0 for 1
	// trial is one experiment. value is for the row's median; NaN for none.
	trial func(rng *rand.Rand, seed uint64) (hit bool, value float64)
}

// measured is a row with its result.
type measuredRate struct {
	rate
	n      int
	share  analysis.Estimate // Clopper-Pearson, 0.95
	values []float64         // ascending
}

// fault says why the row fails, "" where it does not: only an interval that
// lies beyond the limit is evidence.
func (m measuredRate) fault() string {
	switch {
	case m.limit == 0:
		return ""
	case m.least && m.share.Hi < m.limit:
		return fmt.Sprintf("%s, %s: %s %.3g, at least %.3g", m.of, m.data, m.counts, m.share.Value, m.limit)
	case !m.least && m.share.Lo > m.limit:
		return fmt.Sprintf("%s, %s: %s %.3g, at most %.3g", m.of, m.data, m.counts, m.share.Value, m.limit)
	}
	return ""
}

// simN is the experiments per row, and whether that many are enough to publish.
func simN() (n int, publish bool) {
	n, err := strconv.Atoi(os.Getenv("SIM_N"))
	if err != nil || n < 1 {
		n = 200
	}
	return n, n >= 200 && os.Getenv("SIM_ONLY") == ""
}

func wanted(section string) bool {
	only := os.Getenv("SIM_ONLY")
	return only == "" || only == section
}

// simRNG is the stream of one trial of one row, whatever runs beside it.
func simRNG(name string, trial int) (*rand.Rand, uint64) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	seed := h.Sum64()>>1 + uint64(trial)*0x9e3779b97f4a7c15
	return rand.New(rand.NewPCG(simSeed, mixed(seed))), seed
}

// mixed is splitmix64's finaliser (Steele, Lea and Flood 2014): seeds in equal
// steps start streams that have nothing in common.
func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// everyTrial calls trial n times on all cores.
func everyTrial(n int, trial func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				trial(i)
			}
		})
	}
	all.Wait()
}

func measureRate(t *testing.T, r rate, n int) measuredRate {
	t.Helper()
	if r.times > 0 {
		n = int(math.Ceil(r.times * float64(n)))
	}
	begun := time.Now()
	got := resumed(t, fmt.Sprintf("%s|%s|%d", r.of, r.data, n), func() (c counted) {
		hits, values := make([]bool, n), make([]float64, n)
		everyTrial(n, func(i int) {
			rng, seed := simRNG(r.of+r.data, i)
			hits[i], values[i] = r.trial(rng, seed)
		})
		for i, hit := range hits {
			if hit {
				c.Hits++
			}
			if !math.IsNaN(values[i]) && !math.IsInf(values[i], 0) {
				c.Values = append(c.Values, values[i])
			}
		}
		slices.Sort(c.Values)
		return c
	})
	m := measuredRate{rate: r, n: n, values: got.Values}
	count := got.Hits
	share, err := analysis.Proportion(count, n, 0.95)
	require.NoError(t, err)
	m.share = share
	t.Logf("%-24s %-64s %s %s  (%d, %.1f s)", r.of, r.data, r.counts, percent(share), n, time.Since(begun).Seconds())
	return m
}

// counted is what n trials of a row gave.
type counted struct {
	Hits   int
	Values []float64 `json:",omitempty"` // ascending
}

// resumed is what measure gives, or what it gave before the run was cut short.
func resumed[T any](t *testing.T, key string, measure func() T) T {
	t.Helper()
	name := os.Getenv("SIM_RESUME")
	if name == "" {
		return measure()
	}
	type line struct {
		Key    string
		Result T
	}
	known, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for raw := range bytes.Lines(known) {
		var head struct{ Key string }
		var l line
		if json.Unmarshal(raw, &head) == nil && head.Key == key && json.Unmarshal(raw, &l) == nil {
			return l.Result
		}
	}
	result := measure()
	raw, err := json.Marshal(line{key, result})
	require.NoError(t, err)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	_, err = f.Write(append(raw, '\n'))
	require.NoError(t, errors.Join(err, f.Close()))
	return result
}

func percent(e analysis.Estimate) string {
	return fmt.Sprintf("%.1f %% [%.1f, %.1f]", 100*e.Value, 100*e.Lo, 100*e.Hi)
}

// estimatorTable is the rows of one family of estimators.
func estimatorTable(rows []measuredRate) string {
	var b strings.Builder
	b.WriteString("| estimator | data | counted | n | rate | at most | value, median and 90 % range |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, m := range rows {
		limit, value := "", ""
		switch {
		case m.least:
			limit = fmt.Sprintf("at least %.3g %%", 100*m.limit)
		case m.limit > 0:
			limit = fmt.Sprintf("%.3g %%", 100*m.limit)
		}
		if len(m.values) > 0 {
			at := func(q float64) float64 { v, _ := analysis.Quantile(m.values, q); return v }
			value = fmt.Sprintf("%.3g [%.3g, %.3g]", at(0.5), at(0.05), at(0.95))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %s | %s |\n", m.of, m.data, m.counts, m.n, percent(m.share), limit, value)
	}
	return b.String()
}

// TestErrorRatesArePublished measures all rates, writes them and fails where one
// is shown to be beyond its limit.
func TestErrorRatesArePublished(t *testing.T) {
	n, publish := simN()
	var doc bytes.Buffer
	fmt.Fprintf(&doc, ratesHead, n, 5*n, simSeed)
	var faults []error
	doc.WriteString("\n## Rules\n\n" + rulesText)
	for _, rule := range simRules() {
		if wanted(rule.h.ID) {
			text, wrong := measureRule(t, rule, n)
			doc.WriteString(text)
			faults = append(faults, wrong...)
		}
	}
	doc.WriteString("\n## Estimators\n\n" + estimatorsText)
	for _, family := range simEstimators() {
		if !wanted(family.name) {
			continue
		}
		var rows []measuredRate
		for _, r := range family.rows {
			m := measureRate(t, r, 5*n)
			if fault := m.fault(); fault != "" {
				faults = append(faults, errors.New(fault))
			}
			rows = append(rows, m)
		}
		fmt.Fprintf(&doc, "\n### %s\n\n%s", family.name, estimatorTable(rows))
		if family.note != "" {
			fmt.Fprintf(&doc, "\n%s\n", family.note)
		}
	}
	if publish {
		require.NoError(t, os.WriteFile("../docs/error-rates.md", doc.Bytes(), 0o644))
	} else {
		t.Log("\n" + doc.String())
	}
	require.NoError(t, errors.Join(faults...))
}

const ratesHead = `# Error rates

How often each verdict rule and each estimator is wrong, on data whose truth is planted. Written by

    go test -tags sim ./hypotheses -run ErrorRatesArePublished -timeout 60m -v

with %d experiments per row for rules and about %d for estimators (` + "`SIM_N`" + ` scales both), seed %d: the same numbers give the same tables on one architecture. The test fails where the 95 %% interval of a rate (Clopper and Pearson) lies wholly beyond its limit. Decisions: [0019](decisions/0019-error-rates.md); definitions and sources: [statistics](statistics.md).
`

const rulesText = `Experiments of the quick profile's full design (as many arms, blocks and requests as a real run has), judged by the judge of the suite, gates and all. **Nulls** are worlds in which the rule must not say SUPPORTED: no effect, an effect at the limit of the rule, or one with another cause. Their limit is 5 %. **Effects** are worlds in which it should. *noise* is the standard deviation of ln TTFT from run to run; what blocks share, drift over the whole run (total, in ln units) and noise with heavy tails (Student's t with 3 degrees of freedom, of the same scale) come on top where they are named. *p ≤ .05* and *p ≤ .0056* are those of ` + "`Verdict.P`" + `, against no effect at all: the second is the first step of Holm's correction over nine hypotheses.
`

const estimatorsText = `*missed* is how often a 95 % interval does not hold the truth, whose nominal rate is 5 %; *false* is how often a test at .05 rejects a true null. Where the limit is not 5 %, or there is none, the note under the table says why.
`
