package emulator

import "unicode"

const (
	// vocabTokens is the number of token ids, about that of Llama 3.
	vocabTokens = 128_000
	pieceRunes  = 12 // letters of one token
	pieceDigits = 3  // digits of one token, as in Llama 3
)

// Ids past the hashed ones mark the chat template.
const (
	tokenRole = vocabTokens + iota
	tokenEndOfTurn
)

// tokenize splits text as a byte-pair tokenizer would in kind, not in detail:
// words of up to 12 letters are one token and longer ones break in pieces of 12,
// digits go by threes, every other visible rune is one token, space is free.
// Ids are hashes of the pieces, so equal text has equal tokens everywhere.
func tokenize(text string) []uint32 {
	toks := make([]uint32, 0, len(text)/5+1)
	h, n, kind := fnvBasis, 0, 0
	end := func() {
		if n > 0 {
			toks = append(toks, h%vocabTokens)
		}
		h, n = fnvBasis, 0
	}
	for _, r := range text {
		k, limit := runeKind(r)
		if k != kind || n == limit {
			end()
		}
		kind = k
		if k == kindSpace {
			continue
		}
		h, n = (h^uint32(r))*fnvPrime, n+1
	}
	end()
	return toks
}

const (
	fnvBasis uint32 = 2166136261
	fnvPrime uint32 = 16777619
)

const (
	kindSpace = iota
	kindLetter
	kindDigit
	kindOther
)

func runeKind(r rune) (kind, limit int) {
	switch {
	case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z':
		return kindLetter, pieceRunes
	case '0' <= r && r <= '9':
		return kindDigit, pieceDigits
	case unicode.IsSpace(r):
		return kindSpace, 0
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return kindLetter, pieceRunes
	case unicode.IsDigit(r):
		return kindDigit, pieceDigits
	}
	return kindOther, 1
}

// mix is the finaliser of splitmix64: a fast bijection whose outputs look
// random, on any machine the same.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

const weyl = 0x9e3779b97f4a7c15

// chainHashes names each full block of a prompt by all tokens up to its end, so
// that equal prefixes, and only they, share names.
func chainHashes(seed uint64, toks []uint32, blockTokens int) []uint64 {
	hashes := make([]uint64, 0, len(toks)/blockTokens)
	h := mix(seed + weyl)
	for len(toks) >= blockTokens {
		for _, t := range toks[:blockTokens] {
			h = mix(h ^ uint64(t)*weyl)
		}
		toks = toks[blockTokens:]
		hashes = append(hashes, h)
	}
	return hashes
}

// hashTokens is one number for a whole prompt.
func hashTokens(seed uint64, toks []uint32) uint64 {
	h := mix(seed ^ weyl)
	for _, t := range toks {
		h = mix(h ^ uint64(t)*weyl)
	}
	return h
}

// appendWord appends the text of output token i of a sequence: a space and a
// word of four letters, which is one token again and needs no JSON escape.
func appendWord(dst []byte, seed uint64, i int) []byte {
	const consonants, vowels = "bdfghjklmnprstvz", "aeio"
	x := mix(seed + uint64(i+1)*weyl)
	return append(dst, ' ',
		consonants[x>>8&15], vowels[x>>16&3], consonants[x>>24&15], vowels[x>>32&3])
}
