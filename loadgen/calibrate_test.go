package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeTokenizer counts overhead + per-word tokens; words whose hash falls under
// split (of 256) are two tokens, as rare words are in a real vocabulary.
type fakeTokenizer struct {
	overhead int
	split    int
	refuse   int // longest text in tokens, 0 for any
	cut      int // count at which the server silently stops, 0 for none
	seen     []string
}

func (f *fakeTokenizer) probe(_ context.Context, text string) (int, error) {
	f.seen = append(f.seen, text)
	n := f.overhead
	for _, word := range strings.Fields(strings.ReplaceAll(text, ".", " .")) {
		h := fnv.New32a()
		h.Write([]byte(word))
		n++
		if int(h.Sum32()%256) < f.split {
			n++
		}
	}
	switch {
	case f.refuse > 0 && n > f.refuse:
		return 0, fmt.Errorf("HTTP 400: %w", ErrPromptTooLong)
	case f.cut > 0 && n > f.cut:
		return f.cut, nil
	}
	return n, nil
}

func TestCalibrateFindsLengths(t *testing.T) {
	for _, row := range []struct {
		name   string
		server fakeTokenizer
		probes int     // at most, for 6 lengths
		maxErr float64 // other text of 256 tokens varies by so much
	}{
		{"a token a word", fakeTokenizer{}, 14, 0},
		{"chat template", fakeTokenizer{overhead: 37}, 14, 0},
		{"some words are two", fakeTokenizer{overhead: 5, split: 60}, 24, 0.06},
		{"half of them", fakeTokenizer{overhead: 1, split: 128}, 24, 0.06},
	} {
		t.Run(row.name, func(t *testing.T) {
			targets := []int{8192, 256, 1024, 32768, 4096, 1024, 512}
			c, err := Calibrate(t.Context(), row.server.probe, targets)
			require.NoError(t, err)
			require.Len(t, c.Points, 6, "each length once, by rising size")
			require.LessOrEqual(t, len(row.server.seen), row.probes)
			require.LessOrEqual(t, c.MaxErr, row.maxErr)
			if row.server.split == 0 {
				require.Equal(t, float64(row.server.overhead), c.OverheadTokens)
			}
			for _, tokens := range []int{256, 700, 1024, 3000, 8192, 20000, 32768, 50000} {
				w := Workload{PromptTokens: tokens, Nonce: Nonce{Position: NonceStart}}
				got, err := row.server.probe(t.Context(), w.Prompt(1, 2, 3, c).Text)
				require.NoError(t, err)
				require.InEpsilon(t, tokens, got, row.maxErr+1e-9, "on text of the workload")
			}
		})
	}
}

func TestCalibrateProbesDifferFromTheStart(t *testing.T) {
	s := fakeTokenizer{split: 60}
	_, err := Calibrate(t.Context(), s.probe, []int{64, 256, 2048})
	require.NoError(t, err)
	var starts []string
	for _, text := range s.seen {
		starts = append(starts, strings.Join(strings.Fields(text)[:4], " "))
	}
	slices.Sort(starts)
	require.Len(t, slices.Compact(starts), len(s.seen), "a prefix cache must not answer for them")
}

func TestCalibrateIsRepeatable(t *testing.T) {
	a, b := fakeTokenizer{split: 60}, fakeTokenizer{split: 60}
	_, err := Calibrate(t.Context(), a.probe, []int{300, 900})
	require.NoError(t, err)
	_, err = Calibrate(t.Context(), b.probe, []int{900, 300})
	require.NoError(t, err)
	require.Equal(t, a.seen, b.seen)
}

func TestCalibrateSaysWhenItIsOff(t *testing.T) {
	// A template longer than the prompt cannot be met.
	s := fakeTokenizer{overhead: 100}
	c, err := Calibrate(t.Context(), s.probe, []int{50, 256})
	require.NoError(t, err)
	require.Equal(t, CalibrationPoint{Tokens: 50, Units: 1, Reported: 101}, c.Points[0])
	require.InDelta(t, 1.02, c.MaxErr, 1e-9)
}

func TestCalibrateConditions(t *testing.T) {
	down := errors.New("connection refused")
	for _, row := range []struct {
		name   string
		server fakeTokenizer
		want   error
		points []int // lengths found before
		says   string
	}{
		{"refused for length", fakeTokenizer{refuse: 3000}, ErrPromptTooLong, []int{256, 1024}, "prompt of 4096 tokens"},
		{"refused at once", fakeTokenizer{refuse: 100}, ErrPromptTooLong, nil, "too long"},
		{"cut at 2048", fakeTokenizer{overhead: 3, cut: 2048}, ErrPromptCut, []int{256, 1024}, "count as 2048"},
		{"cut at once", fakeTokenizer{cut: 64}, ErrPromptCut, nil, "silently"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := Calibrate(t.Context(), row.server.probe, []int{256, 1024, 4096, 8192})
			require.ErrorIs(t, err, row.want)
			require.ErrorContains(t, err, row.says)
			var got []int
			for _, p := range c.Points {
				got = append(got, p.Tokens)
			}
			require.Equal(t, row.points, got, "what was found before stays")
		})
	}

	_, err := Calibrate(t.Context(), func(context.Context, string) (int, error) { return 0, down }, []int{256})
	require.ErrorIs(t, err, down)
	_, err = Calibrate(t.Context(), func(context.Context, string) (int, error) { return 0, nil }, []int{256})
	require.ErrorIs(t, err, ErrNoTokenCount)
	for _, bad := range [][]int{nil, {0}, {-5, 10}, {MaxPromptTokens + 1}} {
		_, err = Calibrate(t.Context(), new(fakeTokenizer).probe, bad)
		require.ErrorContains(t, err, "give at least one")
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := fakeTokenizer{}
	_, err = Calibrate(ctx, s.probe, []int{256})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, s.seen, "nothing was sent")
}

func TestCalibrateEndsOnAnyServer(t *testing.T) {
	for name, answer := range map[string]func(words int) int{
		"random":   func(n int) int { return 1 + int(mix(uint64(n))%100_000) },
		"constant": func(int) int { return 7 },
		"falling":  func(n int) int { return max(100_000-n, 1) },
		"huge":     func(n int) int { return n << 40 },
		"squared":  func(n int) int { return n * n },
	} {
		t.Run(name, func(t *testing.T) {
			probes := 0
			_, err := Calibrate(t.Context(), func(_ context.Context, text string) (int, error) {
				probes++
				require.Less(t, len(text), 64<<20)
				return answer(units(text)), nil
			}, []int{16, 256, 4096})
			require.LessOrEqual(t, probes, 2+3*(calibrationTries+1))
			t.Log(err)
		})
	}
}

func TestUnitsBetweenPoints(t *testing.T) {
	require.Equal(t, 300, Calibration{}.Units(300), "zero: a token a word")
	require.Equal(t, 1, Calibration{}.Units(-300))
	c := Calibration{TokensPerUnit: 2, OverheadTokens: 10}
	require.Equal(t, 45, c.Units(100))
	c.Points = []CalibrationPoint{{Tokens: 100, Units: 50}, {Tokens: 200, Units: 90}}
	for tokens, want := range map[int]int{50: 25, 100: 50, 150: 70, 200: 90, 300: 140} {
		require.Equal(t, want, c.Units(tokens), "%d tokens", tokens)
	}
}

func TestCalibrationSurvivesJSON(t *testing.T) {
	s := fakeTokenizer{overhead: 5, split: 60}
	c, err := Calibrate(t.Context(), s.probe, []int{256, 1000})
	require.NoError(t, err)
	b, err := json.Marshal(c)
	require.NoError(t, err)
	var back Calibration
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, c, back)
}
