package loadgen

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// maxPromptFile bounds one prompt file, in bytes: no server takes more.
const maxPromptFile = 16 << 20

// ReadPrompt reads a prompt from a file: the whole of it, byte for byte, line
// ends included, but for a byte order mark at its start. The error says what of
// it cannot be sent: nothing but white space, bytes that are not UTF-8 (a request
// is JSON), zero bytes, more than 16 MiB.
func ReadPrompt(path string) (string, error) {
	fault := func(why string) (string, error) {
		return "", fmt.Errorf("loadgen: read prompt: %s: %s", path, why)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("loadgen: read prompt: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPromptFile+1))
	if err != nil {
		return "", fmt.Errorf("loadgen: read prompt: %w", err)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	switch {
	case len(text) > maxPromptFile:
		return fault("is longer than 16 MiB (a file is one prompt: split it)")
	case !utf8.Valid(text):
		return fault("is not UTF-8 (convert it: iconv -t utf-8)")
	case bytes.IndexByte(text, 0) >= 0:
		return fault("holds zero bytes (is it text?)")
	case strings.TrimSpace(string(text)) == "":
		return fault("is blank (write a prompt into it)")
	}
	return string(text), nil
}
