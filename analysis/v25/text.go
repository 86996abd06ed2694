package v25

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
)

// oneLine is s as one line of at most 200 visible characters.
func oneLine(s string) string {
	const most = 200
	var b strings.Builder
	n := 0
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		if n > 0 {
			b.WriteByte(' ')
			n++
		}
		for _, r := range word {
			if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
				continue
			}
			if n++; n > most {
				return b.String() + "…"
			}
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

// fileName is s as the name of a file: letters, digits, dots and dashes, at
// most 60, never hidden.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '-'
	}, s)
	s = strings.TrimLeft(s, ".-")
	if len(s) > 60 {
		s = s[:60]
	}
	if s == "" {
		return "unnamed"
	}
	return s
}

// short names something without giving it away: the first six digits of its
// hash.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:3])
}

// digits are the whole number in s whatever separates its thousands, with ok
// false where there is none below 2^53.
func digits(s string) (n int64, ok bool) {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == ',', r == '.', r == '\'', r == '’', unicode.IsSpace(r), r == unicode.ReplacementChar:
		default:
			return 0, false
		}
	}
	n, err := strconv.ParseInt(b.String(), 10, 64)
	return n, err == nil && n < 1<<53
}
