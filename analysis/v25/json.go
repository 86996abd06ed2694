package v25

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
)

// Manifest is what a run script wrote about a run before it. Fields that this
// script did not write, or wrote in another type, are absent.
type Manifest struct {
	RunID, Time, Hypothesis, Phase, ModelHandle, ModelTag string
	Context                                               string   // label of the prompt file and the output budget; no length
	Session                                               string   // "sticky" or "random"
	Prompts                                               []string // SHA-256 of the prompt files
	Users, Adapters, MaxTokens, DurationSec               int      // 0 is absent
	Disk, DiskModel, Kernel, Driver, OS                   string
}

// Summary is what the load generator wrote about a run after it. NaN is absent.
type Summary struct {
	RunID, API, URL, Generated string
	Requests                   float64 // all, failed ones included
	AdmissionPct               float64 // of them, succeeded
	Throughput                 float64 // successes over the nominal duration
	FirstChunk                 map[string]float64
	Latency                    map[string]float64
	Avg                        map[string]float64
}

// Good is how many requests succeeded, NaN if unknown: also where the counts
// contradict themselves.
func (s Summary) Good() float64 {
	if !(s.Requests >= 0 && s.Requests < 1e12 && s.AdmissionPct >= 0 && s.AdmissionPct <= 100) {
		return absent()
	}
	return math.Round(s.Requests * s.AdmissionPct / 100)
}

// object is a JSON object read leniently: a field of the wrong type is absent.
type object map[string]any

func readObject(r io.Reader) (object, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, fmt.Errorf("%w: the file is empty (the script was stopped while it wrote)", ErrMalformed)
	}
	var o object
	if err := json.Unmarshal(repaired(b), &o); err != nil {
		return nil, fmt.Errorf("%w: %v (cut short while it was written?)", ErrMalformed, err)
	}
	if o == nil {
		return nil, fmt.Errorf("%w: no JSON object", ErrMalformed)
	}
	return o, nil
}

// repaired makes JSON of what Python's json and a shell's here-document write:
// NaN and Infinity become null, and line breaks inside strings, such as those of
// a driver version on a machine with two GPUs, become blanks.
func repaired(b []byte) []byte {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	out := make([]byte, 0, len(b))
	quoted, escaped := false, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if quoted {
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				quoted = false
			}
			if c < ' ' {
				c = ' '
			}
			out = append(out, c)
			continue
		}
		replaced := false
		for _, word := range []string{"-Infinity", "Infinity", "NaN"} {
			if bytes.HasPrefix(b[i:], []byte(word)) {
				out, i, replaced = append(out, "null"...), i+len(word)-1, true
				break
			}
		}
		if replaced {
			continue
		}
		quoted = c == '"'
		out = append(out, c)
	}
	return out
}

func (o object) text(key string) string {
	s, _ := o[key].(string)
	return oneLine(s)
}

func (o object) number(key string) float64 {
	if v, ok := o[key].(float64); ok && !math.IsInf(v, 0) {
		return v
	}
	return math.NaN()
}

// count is a whole number from 0 to a billion, 0 if there is none.
func (o object) count(key string) int {
	if v := o.number(key); v >= 0 && v <= 1e9 && v == math.Trunc(v) {
		return int(v)
	}
	return 0
}

func (o object) sub(key string) object {
	m, _ := o[key].(map[string]any)
	return m
}

func (o object) numbers(keys ...string) map[string]float64 {
	m := map[string]float64{}
	for _, k := range keys {
		m[k] = o.number(k)
	}
	return m
}

// ReadManifest reads *_manifest.json. It fails on what is not a JSON object.
func ReadManifest(r io.Reader) (Manifest, error) {
	o, err := readObject(r)
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{
		RunID: o.text("run_id"), Time: o.text("timestamp_utc"), Hypothesis: o.text("hypothesis"), Phase: o.text("phase"),
		ModelHandle: o.text("model_handle"), ModelTag: o.text("model_tag"), Session: o.text("lora_session_type"),
		Context: o.text("context_config"),
		Users:   o.count("concurrency_users"), Adapters: o.count("lora_adapter_count"),
		MaxTokens: o.count("max_tokens"), DurationSec: o.count("run_duration_sec"),
	}
	if m.Context == "" {
		m.Context = strings.TrimSuffix(o.text("context"), ".txt")
	}
	storage, os := o.sub("storage"), o.sub("os")
	m.Disk, m.DiskModel = storage.text("device"), storage.text("model")
	m.Kernel, m.Driver, m.OS = os.text("kernel"), os.text("driver"), os.text("dgx_os")
	list, _ := o["prompts_sha256"].([]any)
	for _, p := range list {
		if s, ok := p.(string); ok {
			m.Prompts = append(m.Prompts, oneLine(s))
		}
	}
	return m, nil
}

// ReadSummary reads *_summary.json. It fails on what is not a JSON object.
func ReadSummary(r io.Reader) (Summary, error) {
	o, err := readObject(r)
	if err != nil {
		return Summary{}, err
	}
	meta := o.sub("meta")
	return Summary{
		RunID: meta.text("run_id"), API: meta.text("api_mode"), URL: meta.text("target_url"), Generated: meta.text("generated_at"),
		Requests: o.number("requests_total"), AdmissionPct: o.number("admission_pct"), Throughput: o.number("throughput_rps"),
		FirstChunk: o.sub("ttft_ms").numbers("p50", "p95", "p99"),
		Latency:    o.sub("latency_ms").numbers("p50", "p90", "p95", "p99", "p99_ci_low", "p99_ci_high"),
		Avg:        o.sub("avg").numbers("io_wait_pct", "qu_sz", "gpu_util_pct", "r_await_ms", "rps_storage", "rps"),
	}, nil
}
