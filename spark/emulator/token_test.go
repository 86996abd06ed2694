package emulator

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokenize(t *testing.T) {
	rows := []struct {
		text   string
		tokens int
		reason string
	}{
		{"", 0, "nothing"},
		{" \n\t", 0, "space is free"},
		{"hello big world", 3, "short words"},
		{"environments environmentsx", 3, "13 letters are 12 and 1"},
		{"abcdefghijklmnopqrstuvwxyz", 3, "26 letters"},
		{"1234567", 3, "digits by threes"},
		{"abc123", 2, "kinds do not mix"},
		{"a,b... c!", 8, "punctuation is one each"},
		{"größer Straße", 2, "letters of any script"},
		{"世界", 1, "also those without case"},
	}
	for _, r := range rows {
		require.Len(t, tokenize(r.text), r.tokens, "%q: %s", r.text, r.reason)
	}
	require.Equal(t, tokenize("hello big"), tokenize("  hello\nbig "), "only the words count")
	require.NotEqual(t, tokenize("hello"), tokenize("hallo"))
}

// The names of blocks must not move between versions or machines: a recorded
// run would no longer replay.
func TestKnownNames(t *testing.T) {
	require.Equal(t, []uint32{23723, 112787}, tokenize("hello world"))
	require.Equal(t, uint64(0x50e80d37a3c69a2f), chainHashes(1, []uint32{1, 2, 3, 4}, 4)[0])
}

func TestChainNamesPrefixes(t *testing.T) {
	a := chainHashes(1, prompt(1, 64), 16)
	require.Len(t, a, 4)
	require.Equal(t, a[:2], chainHashes(1, prompt(1, 47), 16))
	changed := prompt(1, 64)
	changed[20]++
	b := chainHashes(1, changed, 16)
	require.Equal(t, a[0], b[0])
	require.NotEqual(t, a[1:], b[1:])
	for i := 1; i < 4; i++ {
		require.NotEqual(t, a[i], b[i], "a change shows in every block after it")
	}
	require.NotEqual(t, a, chainHashes(2, prompt(1, 64), 16))
}

func FuzzTokenize(f *testing.F) {
	f.Add("hello, world 12345")
	f.Add("\xff\x00é")
	f.Fuzz(func(t *testing.T, s string) {
		one := tokenize(s)
		require.Equal(t, append(append([]uint32{}, one...), one...), tokenize(s+" "+s), "space separates")
		require.LessOrEqual(t, len(one), len(s))
		for _, id := range one {
			require.Less(t, id, uint32(vocabTokens))
		}
	})
}

func TestWordsAreTokens(t *testing.T) {
	var text []byte
	for i := range 500 {
		text = appendWord(text, 3, i)
	}
	require.Len(t, tokenize(string(text)), 500, "an answer sent back counts as many tokens as it had")
	require.Greater(t, len(uniq(strings.Fields(string(text)))), 200)
	require.Equal(t, " sina", string(appendWord(nil, 1, 0)))
}

func uniq(words []string) map[string]bool {
	m := map[string]bool{}
	for _, w := range words {
		m[w] = true
	}
	return m
}
