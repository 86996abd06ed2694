package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Conditions of calibration.
var (
	// ErrPromptTooLong means the server refused a prompt for its length. Probes
	// report it; ask for shorter prompts or give the server a longer context.
	ErrPromptTooLong = errors.New("prompt is too long for the server")
	// ErrPromptCut means the server's count stopped growing with the prompt: it
	// reads only part of it and says nothing.
	ErrPromptCut = errors.New("server cuts long prompts silently")
	// ErrNoTokenCount means the server does not say how long a prompt was.
	ErrNoTokenCount = errors.New("server reports no prompt tokens")
)

const (
	// calibrationGoal is the relative error at which the search for a length ends.
	calibrationGoal = 0.004
	// calibrationTries bounds the probes per length; a long prompt costs the
	// server seconds.
	calibrationTries = 8
)

// Calibration maps prompt lengths in tokens, by one server's count for one
// model, to lengths in text units (words and full stops). The zero Calibration
// takes one unit for one token. It is JSON, to be kept per server and model.
type Calibration struct {
	// TokensPerUnit and OverheadTokens are the affine map
	// tokens = OverheadTokens + TokensPerUnit × units; the overhead is what a
	// chat template or a start token adds.
	TokensPerUnit  float64 `json:"tokens_per_unit"`
	OverheadTokens float64 `json:"overhead_tokens"`
	// Points are the lengths that were searched for one by one, by rising Tokens.
	Points []CalibrationPoint `json:"points,omitempty"`
	// MaxErr is the largest |Reported − Tokens| / Tokens over the points; 0.01
	// is 1 %. Above that, lengths are not what was asked for.
	MaxErr float64 `json:"max_err"`
}

// CalibrationPoint is one length that was searched for.
type CalibrationPoint struct {
	Tokens   int `json:"tokens"`   // asked for
	Units    int `json:"units"`    // length of text that comes nearest
	Reported int `json:"reported"` // the server's count for other text of that length
}

// Units is the length of text for a prompt of so many tokens, at least 1. Next
// to searched lengths it corrects the affine map by theirs.
func (c Calibration) Units(tokens int) int {
	i, found := slices.BinarySearchFunc(c.Points, tokens, func(p CalibrationPoint, t int) int {
		return cmp.Compare(p.Tokens, t)
	})
	var units float64
	switch {
	case found:
		units = float64(c.Points[i].Units)
	case len(c.Points) == 0:
		units = (float64(tokens) - c.OverheadTokens) / c.slope()
	case i == 0:
		units = float64(c.Points[0].Units) - float64(c.Points[0].Tokens-tokens)/c.slope()
	case i == len(c.Points):
		last := c.Points[i-1]
		units = float64(last.Units) + float64(tokens-last.Tokens)/c.slope()
	default:
		lo, hi := c.Points[i-1], c.Points[i]
		share := float64(tokens-lo.Tokens) / float64(hi.Tokens-lo.Tokens)
		units = float64(lo.Units) + float64(share*float64(hi.Units-lo.Units))
	}
	return wholeUnits(units)
}

// unitsOf is the length of text that adds so many tokens to a prompt.
func (c Calibration) unitsOf(tokens int) int {
	if tokens <= 0 {
		return 0
	}
	return wholeUnits(float64(tokens) / c.slope())
}

func (c Calibration) slope() float64 {
	if c.TokensPerUnit > 0 {
		return c.TokensPerUnit
	}
	return 1
}

// wholeUnits rounds to at least 1 and to no more than any prompt can need,
// whatever a damaged calibration file says.
func wholeUnits(units float64) int {
	if !(units > 1) {
		return 1
	}
	return int(math.Round(min(units, 16*MaxPromptTokens)))
}

// Calibrate finds the text lengths that a server counts as the given prompt
// lengths. probe sends a text and returns the server's count of its tokens; it
// wraps ErrPromptTooLong when the server refused the text for its length.
//
// Two probes fit the affine map; then each length, from the shortest, is
// searched with a few probes and checked with one of other text, because the
// count depends on the words. Every probe is different from its first word, so
// that no prefix cache answers for it.
//
// On an error (ErrPromptTooLong, ErrPromptCut, ErrNoTokenCount, or the probe's)
// the Calibration holds the points found before it. An accuracy worse than 1 %
// is no error: see MaxErr.
func Calibrate(ctx context.Context, probe func(ctx context.Context, text string) (promptTokens int, err error), targets []int) (Calibration, error) {
	targets = slices.Compact(slices.Sorted(slices.Values(targets)))
	if len(targets) == 0 || targets[0] < 1 || targets[len(targets)-1] > MaxPromptTokens {
		return Calibration{}, fmt.Errorf("loadgen: calibrate: lengths %v: give at least one, from 1 to %d tokens", targets, MaxPromptTokens)
	}
	c := calibrator{ctx: ctx, send: probe}
	if err := c.fit(targets[len(targets)-1]); err != nil {
		return c.found, fmt.Errorf("loadgen: calibrate: %w", err)
	}
	for _, tokens := range targets {
		if err := c.search(tokens); err != nil {
			return c.found, fmt.Errorf("loadgen: calibrate prompt of %d tokens: %w", tokens, err)
		}
	}
	return c.found, nil
}

type calibrator struct {
	ctx   context.Context
	send  func(context.Context, string) (int, error)
	found Calibration
	sent  uint64 // probes so far
}

// probe sends so many units of text and returns the server's count. After a
// fresh nonce, shorter texts of one body are the beginning of longer ones, so
// their counts grow together.
func (c *calibrator) probe(body uint64, units int) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	b := appendNonce(nil, drawProbe, c.sent, min(NonceWords, units))
	b = appendText(b, newDraws(drawProbe, drawOwn, body), units-NonceWords)
	c.sent++
	n, err := c.send(c.ctx, string(b))
	switch {
	case err != nil:
		return 0, fmt.Errorf("probe of %d words: %w", units, err)
	case n <= 0:
		return 0, fmt.Errorf("probe of %d words: %w (it needs usage.prompt_tokens or /tokenize; without them leave the Calibration zero)", units, ErrNoTokenCount)
	}
	return n, nil
}

// fit takes the affine map from two lengths within the range that is asked for.
func (c *calibrator) fit(longest int) error {
	long := min(max(longest, 64), 512)
	short := long / 4
	atShort, err := c.probe(0, short)
	if err != nil {
		return err
	}
	atLong, err := c.probe(0, long)
	if err != nil {
		return err
	}
	if cut(long-short, atLong-atShort) {
		return fmt.Errorf("%w: %d words count as %d tokens, %d words as %d", ErrPromptCut, short, atShort, long, atLong)
	}
	c.found.TokensPerUnit = float64(atLong-atShort) / float64(long-short)
	c.found.OverheadTokens = float64(atShort) - float64(c.found.TokensPerUnit*float64(short))
	return nil
}

// cut reports whether a count grew far less than any tokenizer of words could
// make it. Lengths too close together say nothing, as their nonces differ.
func cut(units, tokens int) bool { return units >= 32 && float64(tokens) < 0.1*float64(units) }

// search finds the length of text for one prompt length by the secant through
// the best two probes, kept inside the bracket that they have shown.
func (c *calibrator) search(tokens int) error {
	type probed struct{ units, tokens int }
	lo, hi := probed{}, probed{units: math.MaxInt}
	best := probed{tokens: -1}
	units := c.found.Units(tokens)
	for range calibrationTries {
		n, err := c.probe(uint64(tokens), units)
		if err != nil {
			return err
		}
		p := probed{units, n}
		if best.tokens < 0 || abs(p.tokens-tokens) < abs(best.tokens-tokens) {
			best = p
		}
		if float64(abs(n-tokens)) <= calibrationGoal*float64(tokens) {
			break
		}
		if n < tokens {
			if cut(units-lo.units, n-lo.tokens) && lo.units > 0 {
				return fmt.Errorf("%w: %d words count as %d tokens, %d words as %d", ErrPromptCut, lo.units, lo.tokens, units, n)
			}
			lo = p
		} else {
			hi = p
		}
		next := units + int(math.Round(float64(tokens-n)/c.found.slope()))
		if next <= lo.units || next >= hi.units {
			next = lo.units + (min(hi.units, 2*max(units, 1)+16)-lo.units)/2
		}
		if next == units || next <= lo.units {
			break
		}
		units = next
	}
	return c.verify(tokens, best.units)
}

// verify counts other text of the length found and records the point.
func (c *calibrator) verify(tokens, units int) error {
	n, err := c.probe(0, units)
	if err != nil {
		return err
	}
	c.found.Points = append(c.found.Points, CalibrationPoint{Tokens: tokens, Units: units, Reported: n})
	c.found.MaxErr = max(c.found.MaxErr, float64(abs(n-tokens))/float64(tokens))
	return nil
}

func abs(n int) int { return max(n, -n) }
