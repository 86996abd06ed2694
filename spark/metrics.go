package spark

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Sample is one value of a page of Prometheus metrics.
type Sample struct {
	Name   string
	Labels map[string]string
	Value  float64 // may be NaN or infinite, as written
}

// ParseMetrics reads the Prometheus text format, sorted by name. Of histograms
// and summaries it keeps name_sum and name_count. A faulty line ends it: the
// samples before that line come back beside the error.
func ParseMetrics(text []byte) ([]Sample, error) {
	if n := len(text); n > 0 && text[n-1] != '\n' {
		text = append(bytes.Clone(text), '\n')
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		err = fmt.Errorf("spark: parse metrics: %w", err)
	}
	var out []Sample
	for _, name := range slices.Sorted(maps.Keys(families)) {
		for _, m := range families[name].GetMetric() {
			out = append(out, flatten(name, m)...)
		}
	}
	return out, err
}

func flatten(name string, m *dto.Metric) []Sample {
	labels := make(map[string]string, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	pair := func(sum, count float64) []Sample {
		return []Sample{{name + "_sum", labels, sum}, {name + "_count", labels, count}}
	}
	switch {
	case m.Gauge != nil:
		return []Sample{{name, labels, m.Gauge.GetValue()}}
	case m.Counter != nil:
		return []Sample{{name, labels, m.Counter.GetValue()}}
	case m.Untyped != nil:
		return []Sample{{name, labels, m.Untyped.GetValue()}}
	case m.Histogram != nil:
		n := cmp.Or(m.Histogram.GetSampleCountFloat(), float64(m.Histogram.GetSampleCount()))
		return pair(m.Histogram.GetSampleSum(), n)
	case m.Summary != nil:
		return pair(m.Summary.GetSampleSum(), float64(m.Summary.GetSampleCount()))
	}
	return nil
}

// finite tells whether a value says something.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// iteration is one entry of the list that trtllm-serve's /metrics hands out:
// the state of its engine after one step. Reading the list empties it.
type iteration struct {
	Active       *float64 `json:"numActiveRequests"`
	Queued       *float64 `json:"numQueuedRequests"`
	MaxActive    *float64 `json:"maxNumActiveRequests"`
	KVCacheStats *struct {
		Used           *float64 `json:"usedNumBlocks"`
		Max            *float64 `json:"maxNumBlocks"`
		TokensPerBlock *float64 `json:"tokensPerBlock"`
		Reused         *float64 `json:"reusedBlocks"`
		Missed         *float64 `json:"missedBlocks"`
	} `json:"kvCacheStats"`
	Inflight *struct {
		Paused *float64 `json:"numPausedRequests"`
	} `json:"inflightBatchingStats"`
}

// parseIterations reads that list; an idle server gives an empty one.
func parseIterations(text []byte) ([]iteration, error) {
	var list []iteration
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("spark: parse iteration list: %w", err)
	}
	return list, nil
}
