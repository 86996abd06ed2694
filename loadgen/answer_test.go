package loadgen

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswerTellsWholeTextsFromPieces(t *testing.T) {
	for _, c := range []struct {
		why    string
		whole  bool // by the dialect
		texts  []string
		fresh  []bool
		answer string
		told   bool // cumulative
	}{
		{"pieces", false, []string{"a", "b", "c"}, []bool{true, true, true}, "abc", false},
		{"the same piece again and again", false, []string{"ha", "ha", "ha"}, []bool{true, true, true}, "hahaha", false},
		{"two texts do not tell", false, []string{"a", "ab"}, []bool{true, true}, "aab", false},
		{"three do", false, []string{"a", "ab", "abc"}, []bool{true, true, true}, "abc", true},
		{"once told, the same text is nothing new", false, []string{"a", "ab", "abc", "abc"}, []bool{true, true, true, false}, "abc", true},
		{"pieces after all", false, []string{"a", "ab", "abc", "d"}, []bool{true, true, true, true}, "aababcd", false},
		{"nothing to go on from", false, []string{"\uFFFD", "a", "ab"}, []bool{true, true, true}, "\uFFFDaab", false},
		{"the dialect tells", true, []string{"a", "a", "ab"}, []bool{true, false, true}, "ab", true},
		{"a character in two halves", true, []string{"a\uFFFD", "aż", "aż\\ufffd", "ażó"}, []bool{true, true, true, true}, "ażó", true},
		{"half a character alone", true, []string{"\uFFFD", "ż"}, []bool{true, true}, "ż", true},
		{"the dialect errs", true, []string{"a", "b", "b"}, []bool{true, true, true}, "abb", false},
		{"one text", true, []string{"a"}, []bool{true}, "a", true},
	} {
		var a answer
		a.begin(c.whole)
		a.begin(c.whole) // buffers are kept
		require.Zero(t, a.hash(), "no text")
		for i, text := range c.texts {
			require.Equal(t, c.fresh[i], a.add([]byte(text)), "%s, text %d", c.why, i)
		}
		require.Equal(t, c.told, a.cumulative(), c.why)
		require.Equal(t, hashText(c.answer), a.hash(), c.why)
	}
}

func TestAdapterWords(t *testing.T) {
	for _, c := range []struct {
		adapter, text string
		want          Outcome
	}{
		{"a", "HTTP 404: The model `a` does not exist.", OutcomeUnknownAdapter},
		{"a", "HTTP 404: Not Found", OutcomeHTTP4xx},              // an a within a word is not the adapter
		{"m:a", "model m:a not found", OutcomeUnknownAdapter},     // names may hold other signs
		{"größe", "Unknown model größe", OutcomeUnknownAdapter},   // and letters
		{"größe", "Unknown model größer", OutcomeHTTP4xx},         // of any kind
		{"DOLL", "model 'doll' not found", OutcomeUnknownAdapter}, // servers fold case
		{"a", "LoRA task 3 not found in cache. Please send LoRA weights with request", OutcomeAdapterEvicted},
		{"", "LoRA task 3 not found in cache.", OutcomeHTTP4xx}, // nobody asked for one
		{"a", "Cache is full. There are no done tasks to evict", OutcomeHTTP4xx},
		{"a", "max_tokens is too large", OutcomeHTTP4xx},
	} {
		require.Equal(t, c.want, adapterOutcome(c.adapter, c.text, OutcomeHTTP4xx), "%q: %s", c.adapter, c.text)
	}
}
