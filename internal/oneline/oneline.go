// Package oneline makes foreign strings fit to be printed: one line of visible
// characters, of bounded length. It is for names in runs, which nobody vouches
// for. Functions may be called by several goroutines at once.
package oneline

import (
	"strings"
	"unicode"
)

// Of makes s one line of at most n visible characters and an ellipsis. Control
// characters and those that turn the direction of writing go: they could make a
// text look like another.
func Of(s string, n int) string {
	var b strings.Builder
	space, count := false, 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case !unicode.IsPrint(r) || r == unicode.ReplacementChar:
			continue
		}
		if count++; count > n {
			b.WriteRune('…')
			break
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
	}
	return b.String()
}
