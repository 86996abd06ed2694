package oneline

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	for _, c := range []struct{ why, in, want string }{
		{"plain", "L70B", "L70B"},
		{"line breaks are spaces, and spaces are one", " a\r\n\t b ", "a b"},
		{"escapes of a terminal", "\x1b[31mred", "[31mred"},
		{"what turns the direction of writing", "a\u202eb", "ab"},
		{"no text at all", "a\xff\x00b", "ab"},
		{"too long", "abcdefghijkl", "abcdefghij…"},
	} {
		require.Equal(t, c.want, Of(c.in, 10), c.why)
	}
}

func FuzzOf(f *testing.F) {
	f.Add(" a\r\n\u202eb\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := Of(s, 20)
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, utf8.RuneCountInString(strings.ReplaceAll(got, " ", "")), 21)
		require.NotContains(t, got, "\n")
		require.Equal(t, strings.TrimSpace(got), got)
	})
}
