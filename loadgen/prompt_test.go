package loadgen

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// units counts words and full stops.
func units(text string) int { return len(strings.Fields(strings.ReplaceAll(text, ".", " ."))) }

// firstDifference is the first unit in which two texts differ.
func firstDifference(a, b string) int {
	x := strings.Fields(strings.ReplaceAll(a, ".", " ."))
	y := strings.Fields(strings.ReplaceAll(b, ".", " ."))
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return i
		}
	}
	return min(len(x), len(y))
}

func TestGoldenPrompts(t *testing.T) {
	w := Workload{PromptTokens: 40, SuffixTokens: 11, PrefixShare: 0.25, Nonce: Nonce{NonceStart, ScopeUser}}
	p := w.Prompt(42, 3, 5, Calibration{})
	require.Equal(t, "Any pencil heard some strange master toward one plate. "+ // shared
		"blamed lonely drawer honest bought stopped shadow followed "+ // nonce
		"This phone across my teacher ate his hidden valley. Any "+ // own
		"My hungry writer sent no sad hand with this dream.", // suffix
		p.Text)
	require.Equal(t, 40, p.Tokens)

	w = Workload{PromptTokens: MaxPromptTokens, Nonce: Nonce{Position: NonceEnd}}
	p = w.Prompt(1, 2, 3, Calibration{TokensPerUnit: 1.25, OverheadTokens: 17})
	require.Equal(t, Hash(0x17941942f8e09d35), p.Hash, "128k tokens")
}

func TestPromptSeedStandsApartFromThePlans(t *testing.T) {
	w := Workload{PromptTokens: 40, Nonce: Nonce{NonceStart, ScopeUser}}
	own := w
	own.PromptSeed = 42
	require.Equal(t, w.Prompt(42, 3, 5, Calibration{}), own.Prompt(7, 3, 5, Calibration{}), "the plan's seed no longer matters")
	require.NotEqual(t, w.Prompt(7, 3, 5, Calibration{}).Text, own.Prompt(7, 3, 5, Calibration{}).Text)
}

func TestSessionsGoOnAtALaterTurn(t *testing.T) {
	w := Workload{PromptTokens: 40, SuffixTokens: 11, Nonce: Nonce{NonceStart, ScopeUser}}
	later := w
	later.FirstTurn = 2
	require.Equal(t, w.Prompt(1, 3, 5, Calibration{}), later.Prompt(1, 3, 3, Calibration{}))
}

func TestPromptsHaveTheirLength(t *testing.T) {
	for _, position := range []NoncePosition{"", NonceOff, NonceStart, NonceEnd} {
		for _, tokens := range []int{8, 9, 10, 50, 256, 1000, 4096} {
			for _, share := range []float64{0, 0.5, 1} {
				for _, suffix := range []int{0, 1, min(16, tokens-8)} {
					w := Workload{PromptTokens: tokens, SuffixTokens: suffix, PrefixShare: share, Nonce: Nonce{Position: position}}
					text := w.Prompt(9, 1, 2, Calibration{}).Text
					require.Equal(t, tokens, units(text), "%+v", w)
				}
			}
		}
	}
}

func TestPromptNeedsNoJSONEscapes(t *testing.T) {
	text := Workload{PromptTokens: 5000, Nonce: Nonce{Position: NonceStart}}.Prompt(1, 1, 1, Calibration{}).Text
	quoted, err := json.Marshal(text)
	require.NoError(t, err)
	require.Equal(t, `"`+text+`"`, string(quoted))
	require.NotContains(t, text, "  ")
	require.NotContains(t, text, " .")
}

func TestPromptHashIsFNV(t *testing.T) {
	p := Workload{PromptTokens: 100}.Prompt(1, 1, 1, Calibration{})
	h := fnv.New64a()
	h.Write([]byte(p.Text))
	require.Equal(t, Hash(h.Sum64()), p.Hash)
}

// TestWhatPromptsShare holds the first unit in which two prompts of 400 tokens
// differ against what a prefix cache should be able to reuse.
func TestWhatPromptsShare(t *testing.T) {
	const total, suffix = 400, 32
	anywhere := [2]int{0, NonceWords}
	for _, row := range []struct {
		name                string
		nonce               Nonce
		share               float64
		suffix              int
		turns, users, seeds [2]int // bounds of the first difference: same user next turn, other user, other seed
	}{
		{"start, request", Nonce{NonceStart, ScopeRequest}, 0, suffix, anywhere, anywhere, anywhere},
		{
			"start, user: turns share all but the suffix",
			Nonce{NonceStart, ScopeUser},
			0, suffix,
			[2]int{total - suffix, total - suffix + 4},
			anywhere, anywhere,
		},
		{"start, user, no suffix: turns are equal", Nonce{NonceStart, ScopeUser}, 0, 0, [2]int{total, total}, anywhere, anywhere},
		{
			"start after a shared quarter",
			Nonce{NonceStart, ScopeRequest},
			0.25, suffix,
			[2]int{100, 100 + NonceWords},
			[2]int{100, 100 + NonceWords},
			anywhere,
		},
		{
			"end, request: only the nonce differs",
			Nonce{NonceEnd, ScopeRequest},
			0, 0,
			[2]int{total - NonceWords, total},
			[2]int{total - NonceWords, total},
			anywhere,
		},
		{"end, user", Nonce{NonceEnd, ScopeUser}, 0, 0, [2]int{total, total}, [2]int{total - NonceWords, total}, anywhere},
		{"off: the same for all", Nonce{Position: NonceOff}, 0, 0, [2]int{total, total}, [2]int{total, total}, anywhere},
		{"off, with a suffix", Nonce{}, 0, suffix, [2]int{total - suffix, total - suffix + 4}, [2]int{total - suffix, total - suffix + 4}, anywhere},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := Workload{PromptTokens: total, SuffixTokens: row.suffix, PrefixShare: row.share, Nonce: row.nonce}
			for i := range 50 {
				a := w.Prompt(1, i, 7, Calibration{}).Text
				for what, pairing := range map[string]struct {
					b      string
					bounds [2]int
				}{
					"turns": {w.Prompt(1, i, 8, Calibration{}).Text, row.turns},
					"users": {w.Prompt(1, i+1, 7, Calibration{}).Text, row.users},
					"seeds": {w.Prompt(2, i, 7, Calibration{}).Text, row.seeds},
				} {
					at := firstDifference(a, pairing.b)
					require.GreaterOrEqual(t, at, pairing.bounds[0], what)
					require.LessOrEqual(t, at, pairing.bounds[1], what)
				}
			}
		})
	}
}

func TestSharedPrefixDoesNotDependOnLength(t *testing.T) {
	short := Workload{PromptTokens: 200, PrefixShare: 0.5}.Prompt(1, 0, 0, Calibration{}).Text
	long := Workload{PromptTokens: 2000, PrefixShare: 0.5}.Prompt(1, 9, 9, Calibration{}).Text
	require.GreaterOrEqual(t, firstDifference(short, long), 100)
}

func TestNoncesNeverRepeat(t *testing.T) {
	seen := map[string]bool{}
	for user := range 300 {
		for turn := range 300 {
			seen[string(appendNonce(nil, 5, pair(user, turn), NonceWords))] = true
		}
	}
	require.Len(t, seen, 300*300)
}

func TestNonceHoldsAllBits(t *testing.T) {
	index := map[string]uint64{}
	for i := range uint64(512) {
		index[nonceWord(i)] = i
	}
	require.Len(t, index, 512, "nouns, adjectives and verbs must all differ")
	for item := range uint64(1000) {
		var v uint64
		for i, word := range strings.Fields(string(appendNonce(nil, 5, item, NonceWords))) {
			v |= index[word] << (9 * i)
		}
		require.Equal(t, mix(item^mix(5+drawNonce)), v, "the words spell the number")
	}
}

func TestWordsArePlain(t *testing.T) {
	for _, table := range [][]string{nouns[:], adjectives[:], verbs[:], determiners[:], prepositions[:]} {
		for _, word := range table {
			require.Equal(t, "", strings.Trim(word, "abcdefghijklmnopqrstuvwxyz"), word)
			require.NotEmpty(t, word)
		}
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(table))), len(table), "no word twice")
	}
}

func TestGivenPrompts(t *testing.T) {
	w := Workload{Prompts: []string{"Say \"hi\".", "Count to ten.", "Why?"}, OutputTokens: 1}
	require.Equal(t, "Count to ten.", w.Prompt(1, 2, 2, Calibration{}).Text, "dealt by user and turn")
	require.Zero(t, w.Prompt(1, 0, 0, Calibration{}).Tokens, "length unknown")

	w.Nonce.Position = NonceStart
	require.True(t, strings.HasSuffix(w.Prompt(1, 0, 0, Calibration{}).Text, ` Say "hi".`))
	require.Equal(t, NonceWords+2, len(strings.Fields(w.Prompt(1, 0, 0, Calibration{}).Text)))
	require.NotEqual(t, w.Prompt(1, 0, 0, Calibration{}), w.Prompt(1, 0, 3, Calibration{}))

	w.Nonce.Position = NonceEnd
	require.True(t, strings.HasPrefix(w.Prompt(1, 0, 0, Calibration{}).Text, `Say "hi". `))
}

func TestPromptTooShortForItsParts(t *testing.T) {
	// A chat template may leave less room than asked for.
	w := Workload{PromptTokens: 40, SuffixTokens: 30, Nonce: Nonce{Position: NonceStart}}
	for overhead := range 60 {
		text := w.Prompt(1, 1, 1, Calibration{TokensPerUnit: 1, OverheadTokens: float64(overhead)}).Text
		require.Equal(t, max(40-overhead, 1), units(text))
	}
}

func FuzzPrompt(f *testing.F) {
	f.Add(uint64(1), 2, 3, 100, 10, 0.5, uint8(1), uint8(1), 1.3, 7.0)
	f.Add(uint64(1), -2, -3, 1, 0, 1.0, uint8(2), uint8(0), 1e-300, -1e300)
	f.Fuzz(func(t *testing.T, seed uint64, user, turn, tokens, suffix int, share float64, position, scope uint8, slope, overhead float64) {
		w := Workload{PromptTokens: tokens % 5000, SuffixTokens: suffix, PrefixShare: share, OutputTokens: 1, Nonce: Nonce{
			[]NoncePosition{"", NonceStart, NonceEnd, NonceOff}[position%4], []NonceScope{"", ScopeUser, ScopeRequest}[scope%3],
		}}
		if (Plan{Arrivals: Users(1), Measure: time.Second, Workload: w}).Validate() != nil {
			t.Skip()
		}
		c := Calibration{TokensPerUnit: slope, OverheadTokens: overhead}
		if c.Units(w.PromptTokens) > 1<<16 {
			t.Skip()
		}
		a, b := w.Prompt(seed, user, turn, c), w.Prompt(seed, user, turn, c)
		require.Equal(t, a, b)
		require.Equal(t, c.Units(w.PromptTokens), units(a.Text))
	})
}

func BenchmarkPrompt(b *testing.B) {
	for _, tokens := range []int{256, 1024, MaxPromptTokens} {
		b.Run(fmt.Sprint(tokens), func(b *testing.B) {
			w := Workload{PromptTokens: tokens, Nonce: Nonce{Position: NonceStart}}
			b.ReportAllocs()
			turn := 0
			for b.Loop() {
				turn++
				b.SetBytes(int64(len(w.Prompt(1, 1, turn, Calibration{}).Text)))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(tokens), "ns/token")
		})
	}
}
