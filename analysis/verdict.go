package analysis

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrVerdict marks a verdict that contradicts itself or lacks a part; test
// for it with errors.Is.
var ErrVerdict = errors.New("malformed verdict")

// Outcome is how a hypothesis was judged.
type Outcome string

// The four outcomes. There is no fifth: a judge that cannot decide says
// Inconclusive and how many blocks would, one that must not decide says
// Invalid and why.
const (
	Supported    Outcome = "SUPPORTED"    // every claim holds
	Refuted      Outcome = "REFUTED"      // the effect is shown to be smaller than the smallest of interest
	Inconclusive Outcome = "INCONCLUSIVE" // the data cannot tell; Power.Needed says what would
	Invalid      Outcome = "INVALID"      // the data must not be used; Reasons say why
)

// Verdict is the judgement of one hypothesis on one bundle: verdict.json.
// Its JSON has null for absent numbers and [] for empty lists.
type Verdict struct {
	Hypothesis string   `json:"hypothesis"` // "H0" .. "H8"
	Title      string   `json:"title"`
	Claim      string   `json:"claim"` // the hypothesis in one sentence
	Outcome    Outcome  `json:"outcome"`
	Reasons    []string `json:"reasons"`            // codes such as NOT_STEADY, most important first
	Mechanism  string   `json:"mechanism"`          // QUEUE, KV_TIER, ...; "" where the hypothesis names none
	Quantile   string   `json:"quantile,omitempty"` // endpoint of the verdict: "p99", "p95"
	Target     Target   `json:"target"`
	Claims     []Claim  `json:"claims"`
	Power      Power    `json:"power"`
	// P is the one-sided p-value of the hypothesis' primary claim, in [0,1], for
	// Holm's correction where several hypotheses are reported together; nil where
	// it could not be computed.
	P *float64 `json:"p,omitempty"`
}

// Target is the server that was measured.
type Target struct {
	Kind     string `json:"kind"` // "emulator", "attach", ...
	URL      string `json:"url"`
	Model    string `json:"model"`
	Emulated bool   `json:"emulated"`
}

// Claim is one condition of a verdict. Value, Lo, Hi and Limit share Unit
// ("ratio", "users", "ms", ...; "" for a pure number); nil is absent, and Num
// makes them. Text names the comparison ("p99 ratio lower bound >= 1.5"), Lo
// and Hi are the interval at the level that Text states, 95 % otherwise.
type Claim struct {
	Text  string   `json:"text"`
	Value *float64 `json:"value"`
	Lo    *float64 `json:"lo"`
	Hi    *float64 `json:"hi"`
	Limit *float64 `json:"limit"`
	Unit  string   `json:"unit"`
	Holds bool     `json:"holds"`
	// Beside says that the claim stands beside the verdict and decides nothing.
	Beside bool `json:"beside,omitempty"`
}

// Power is how many blocks (repeats, pairs) were measured and how many the
// noise asks for. Needed 0 means not computed and is left out of the JSON.
type Power struct {
	Blocks int `json:"blocks"`
	Needed int `json:"needed,omitzero"`
}

// Num is x as an optional number of a Claim: nil when x is NaN or infinite,
// which JSON cannot carry and which mean absent or unbounded.
func Num(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// NewClaim is a claim on an estimate; a NaN or infinite part of it, or limit,
// is absent in the claim.
func NewClaim(text string, e Estimate, limit float64, unit string, holds bool) Claim {
	return Claim{Text: text, Value: Num(e.Value), Lo: Num(e.Lo), Hi: Num(e.Hi), Limit: Num(limit), Unit: unit, Holds: holds}
}

// MarshalJSON writes the verdict with empty lists as [], so that readers
// never meet null where an array is promised.
func (v Verdict) MarshalJSON() ([]byte, error) {
	type plain Verdict
	p := plain(v)
	if p.Reasons == nil {
		p.Reasons = []string{}
	}
	if p.Claims == nil {
		p.Claims = []Claim{}
	}
	return json.Marshal(p)
}

// isCode reports whether s is an upper-case code such as KV_TIER or H0.
func isCode(s string) bool {
	for i, r := range s {
		letter := 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r != '_' && (r < '0' || '9' < r)) {
			return false
		}
	}
	return s != ""
}

// Validate reports everything that makes the verdict incomplete or
// contradictory, joined, each error wrapping ErrVerdict: an unknown outcome, a
// SUPPORTED without a claim that decides or with one that does not hold, an
// INVALID or INCONCLUSIVE without a reason, an interval upside down, a number that JSON
// cannot carry.
func (v Verdict) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("analysis: validate verdict %s: %w: %s", v.Hypothesis, ErrVerdict, fmt.Sprintf(format, args...)))
	}
	if !isCode(v.Hypothesis) {
		refuse("hypothesis %q is not a code such as H0", v.Hypothesis)
	}
	if v.Title == "" || v.Claim == "" {
		refuse("title and claim must be set")
	}
	for _, code := range v.Reasons {
		if !isCode(code) {
			refuse("reason %q is not an upper-case code", code)
		}
	}
	if v.Mechanism != "" && !isCode(v.Mechanism) {
		refuse("mechanism %q is not an upper-case code", v.Mechanism)
	}
	switch v.Outcome {
	case Supported:
		if !slices.ContainsFunc(v.Claims, func(c Claim) bool { return !c.Beside }) {
			refuse("SUPPORTED without a claim")
		}
		for _, c := range v.Claims {
			if !c.Holds && !c.Beside {
				refuse("SUPPORTED although %q does not hold", c.Text)
			}
		}
	case Refuted:
		if len(v.Claims) == 0 {
			refuse("REFUTED without a claim")
		}
	case Inconclusive, Invalid:
		if len(v.Reasons) == 0 {
			refuse("%s without a reason code", v.Outcome)
		}
	default:
		refuse("outcome %q is none of SUPPORTED, REFUTED, INCONCLUSIVE, INVALID", v.Outcome)
	}
	if v.P != nil && !(*v.P >= 0 && *v.P <= 1) {
		refuse("p %v is outside [0,1]", *v.P)
	}
	if v.Power.Blocks < 0 || v.Power.Needed < 0 {
		refuse("power %+v is negative", v.Power)
	}
	for _, c := range v.Claims {
		if fault := c.fault(); fault != "" {
			refuse("%s", fault)
		}
	}
	return errors.Join(errs...)
}

func (c Claim) fault() string {
	if c.Text == "" {
		return "a claim has no text"
	}
	for _, p := range []*float64{c.Value, c.Lo, c.Hi, c.Limit} {
		if p != nil && Num(*p) == nil {
			return fmt.Sprintf("claim %q holds %v, use Num", c.Text, *p)
		}
	}
	if c.Lo != nil && c.Hi != nil && *c.Lo > *c.Hi {
		return fmt.Sprintf("claim %q has its interval upside down: [%v, %v]", c.Text, *c.Lo, *c.Hi)
	}
	return ""
}

const textWidth = 78 // columns of String, for a terminal of 80

// String is the verdict on one screen, for people: plain text of at most 78
// columns (longer words stay whole), one line per claim (yes, no, or a dash for
// one beside the verdict), ending in a newline.
func (v Verdict) String() string {
	var b strings.Builder
	head := v.Hypothesis + "  " + v.Title
	gap := max(2, textWidth-utf8.RuneCountInString(head)-len(v.Outcome))
	fmt.Fprintf(&b, "%s%s%s\n", head, strings.Repeat(" ", gap), v.Outcome)
	wrap(&b, v.Claim, "    ")
	facts := []string{"target " + v.Target.String()}
	if v.Quantile != "" {
		facts = append(facts, "endpoint "+v.Quantile)
	}
	if v.Mechanism != "" {
		facts = append(facts, "mechanism "+v.Mechanism)
	}
	facts = append(facts, v.Power.String())
	wrap(&b, strings.Join(facts, ", "), "    ")
	if len(v.Reasons) > 0 {
		wrap(&b, "because "+strings.Join(v.Reasons, ", "), "    ")
	}
	for _, c := range v.Claims {
		mark := "no  "
		switch {
		case c.Beside:
			mark = "- "
		case c.Holds:
			mark = "yes "
		}
		wrap(&b, mark+c.Text+c.numbers(), "  ")
	}
	return b.String()
}

// String is the target in a few words, with "emulated" where it applies.
func (t Target) String() string {
	words := []string{t.Kind, "", t.Model, t.URL}
	if t.Emulated {
		words[1] = "(emulated)"
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	return strings.Join(words, " ")
}

// String is the block count, and the count that the noise asks for if known.
func (p Power) String() string {
	if p.Needed == 0 {
		return fmt.Sprintf("%d blocks", p.Blocks)
	}
	return fmt.Sprintf("%d blocks of %d needed", p.Blocks, p.Needed)
}

func (c Claim) numbers() string {
	var b strings.Builder
	if c.Value != nil {
		fmt.Fprintf(&b, ": %.4g", *c.Value)
		if c.Unit != "" {
			b.WriteString(" " + c.Unit)
		}
	}
	if c.Lo != nil || c.Hi != nil {
		fmt.Fprintf(&b, " [%s, %s]", bound(c.Lo), bound(c.Hi))
	}
	if c.Limit != nil {
		fmt.Fprintf(&b, " (limit %.4g)", *c.Limit)
	}
	return b.String()
}

func bound(p *float64) string {
	if p == nil {
		return "…"
	}
	return fmt.Sprintf("%.4g", *p)
}

// wrap writes text in lines of textWidth, the first at indent and the rest
// four columns deeper.
func wrap(b *strings.Builder, text, indent string) {
	line := indent
	used := utf8.RuneCountInString(indent)
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if i > 0 && used+1+n > textWidth {
			b.WriteString(line + "\n")
			line, used = indent+"    ", len(indent)+4
		} else if i > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	if strings.TrimSpace(line) != "" {
		b.WriteString(line + "\n")
	}
}
