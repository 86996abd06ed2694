package v25

import "strings"

// promptTokens is how many tokens of the Llama-3 tokenizer the earlier
// harness's prompt files have, by their SHA-256, without the nonce of H2; 0 for
// others. The files' names say something else: 1024 is the file of 512, 64k that
// of 32k.
func promptTokens(sha, model string) int {
	if !strings.Contains(strings.ToLower(model), "llama-3") {
		return 0 // another tokenizer
	}
	return map[string]int{
		"f0f0416ea250251eacb3f598db81fd22eddc14231f874a58f065cea09bc4bf3e": 208,
		"65387894eae4ec712f0527f60b0becd568ecf96244a0233ef00e2f1c28ad6573": 404,
		"589c3ec7a486761dedbab15b4515667257aa5d37cdfb90b032f173f0bbef84e7": 2515,
		"c1d5015e9f129b9f7e6be062d526dd1267df8e5bbaca30309e4836521a8a6be8": 2632,
		"2e0ba20c34f0afb4071007a40d2aa30c2eedd16ebe793d649fb94e97f71f5c78": 5264,
		"1e5be3a9d937ebe0213e2d6d62109ac613a0a3e640ca9c62491d601115dd233e": 10528,
		"d7855d2de02d67d6e6056454796068d3c8ae53e470c3f94ba934f8c747f0b243": 42112,
	}[sha]
}
