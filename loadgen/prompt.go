package loadgen

import "cmp"

// sentences are the shapes of the text source, one letter a unit: O opener,
// A adjective, N noun, V verb, D determiner, P preposition, and the full stop.
// One 64-bit random number fills any of them: a shape takes 2 bits, a noun 8,
// an adjective or verb 7, the rest 4.
var sentences = [4]string{"OANVDANPDN.", "ONVDANPDN.", "OANVDNPDN.", "ONPDNVDAN."}

// bytesPerUnit is somewhat more than the text source needs on average.
const bytesPerUnit = 6

// Prompt is the prompt of one turn of one user. It depends on its arguments
// alone, and is the same bytes on any machine:
//
//	shared prefix | nonce (NonceStart) | own text | suffix | nonce (NonceEnd)
//
// The shared prefix depends on the seed; own text, under NonceStart, on what
// the nonce's scope tells apart, else on the seed alone; the suffix on user and
// turn. When the calibrated length is too short for all, the nonce stays and
// the parts after it are cut from the front. Safe for concurrent use.
func (w Workload) Prompt(seed uint64, user, turn int, calib Calibration) PromptText {
	seed = cmp.Or(w.PromptSeed, seed)
	turn += w.FirstTurn
	item := pair(user, turn)
	if w.Nonce.Scope == ScopeUser {
		item = pair(user, 0)
	}
	var b []byte
	if len(w.Prompts) > 0 {
		b = w.given(seed, user, turn, item)
	} else {
		b = w.generated(seed, pair(user, turn), item, calib)
	}
	text := string(b)
	return PromptText{Text: text, Tokens: w.PromptTokens, Hash: hashText(text)}
}

func (w Workload) generated(seed, request, item uint64, calib Calibration) []byte {
	total := calib.Units(w.PromptTokens)
	b := make([]byte, 0, bytesPerUnit*total+64)
	left := total
	take := func(n int) int {
		n = max(min(n, left), 0)
		left -= n
		return n
	}
	nonce := 0
	if w.nonceOn() {
		nonce = take(NonceWords)
	}
	suffix := take(calib.unitsOf(w.SuffixTokens))
	shared := take(int(w.PrefixShare * float64(total)))
	own := left

	b = appendText(b, newDraws(seed, drawCommon, 0), shared)
	if w.Nonce.Position == NonceStart {
		b = appendNonce(b, seed, item, nonce)
		b = appendText(b, newDraws(seed, drawOwn, mix(item)), own)
	} else {
		b = appendText(b, newDraws(seed, drawOwn, 0), own)
	}
	b = appendText(b, newDraws(seed, drawSuffix, request), suffix)
	if w.Nonce.Position == NonceEnd {
		b = appendNonce(b, seed, item, nonce)
	}
	return b
}

// given is one of the caller's own prompts, with the nonce.
func (w Workload) given(seed uint64, user, turn int, item uint64) []byte {
	text := w.Prompts[uint(user+turn)%uint(len(w.Prompts))]
	b := make([]byte, 0, len(text)+NonceWords*16)
	if w.Nonce.Position == NonceStart {
		b = append(appendNonce(b, seed, item, NonceWords), ' ')
	}
	b = append(b, text...)
	if w.Nonce.Position == NonceEnd {
		b = appendNonce(b, seed, item, NonceWords)
	}
	return b
}

// appendText appends n units: words, each after a space unless it is the first
// of the whole prompt, and full stops.
func appendText(b []byte, s *draws, n int) []byte {
	for n > 0 {
		bits := s.pcg.Uint64()
		shape := sentences[bits&3]
		bits >>= 2
		for _, kind := range []byte(shape[:min(len(shape), n)]) {
			var word string
			word, bits = pick(kind, bits)
			b = appendWord(b, word)
			n--
		}
	}
	return b
}

// pick draws a word of the given kind and returns the bits that are left.
func pick(kind byte, bits uint64) (word string, rest uint64) {
	switch kind {
	case 'N':
		return nouns[bits&255], bits >> 8
	case 'A':
		return adjectives[bits&127], bits >> 7
	case 'V':
		return verbs[bits&127], bits >> 7
	case 'O':
		return openers[bits&15], bits >> 4
	case 'D':
		return determiners[bits&15], bits >> 4
	case 'P':
		return prepositions[bits&15], bits >> 4
	}
	return ".", bits
}

func appendWord(b []byte, word string) []byte {
	if len(b) > 0 && word != "." {
		b = append(b, ' ')
	}
	return append(b, word...)
}

// appendNonce spells item under seed in n words of 9 bits. The mapping from
// items to 64 bits is a bijection and NonceWords words hold all of them, so two
// items never share a whole nonce.
func appendNonce(b []byte, seed, item uint64, n int) []byte {
	v := mix(item ^ mix(seed+drawNonce))
	spare := mix(v)
	for range n {
		b = appendWord(b, nonceWord(v&511))
		v = v>>9 | spare<<55
		spare >>= 9
	}
	return b
}

func nonceWord(i uint64) string {
	switch {
	case i < 256:
		return nouns[i]
	case i < 384:
		return adjectives[i-256]
	}
	return verbs[i-384]
}

// hashText is FNV-1a with 64 bits (Fowler, Noll, Vo).
func hashText(s string) Hash {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return Hash(h)
}
