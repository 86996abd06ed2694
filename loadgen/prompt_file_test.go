package loadgen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestReadPrompt(t *testing.T) {
	for _, c := range []struct{ why, text, want, fault string }{
		{"as it is", "Say \"hi\".\n\n  Twice.\r\n", "Say \"hi\".\n\n  Twice.\r\n", ""},
		{"other scripts", "Zähle bis drei. 三", "Zähle bis drei. 三", ""},
		{"a byte order mark is no text", "\ufeffHello", "Hello", ""},
		{"empty", "", "", "blank"},
		{"blank", " \n\t", "", "blank"},
		{"Latin-1", "Z\xe4hle", "", "iconv"},
		{"a binary", "a\x00b", "", "zero bytes"},
		{"huge", strings.Repeat("a", maxPromptFile+1), "", "16 MiB"},
	} {
		path := filepath.Join(t.TempDir(), "prompt.txt")
		require.NoError(t, os.WriteFile(path, []byte(c.text), 0o644))
		got, err := ReadPrompt(path)
		if c.fault != "" {
			require.ErrorContains(t, err, c.fault, c.why)
			require.ErrorContains(t, err, path, c.why)
			continue
		}
		require.NoError(t, err, c.why)
		require.Equal(t, c.want, got, c.why)
	}
	_, err := ReadPrompt(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Whatever is read can be planned and is sent as it stands.
func FuzzReadPrompt(f *testing.F) {
	for _, s := range []string{"Hello", "\ufeffA", "", "\xff", "a\x00", " x "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "p")
		require.NoError(t, os.WriteFile(path, b, 0o644))
		text, err := ReadPrompt(path)
		if err != nil {
			return
		}
		require.True(t, utf8.ValidString(text))
		w := Workload{Prompts: []string{text}, OutputTokens: 1}
		var faults faults
		w.validate(&faults)
		require.NoError(t, faults.err())
		require.Equal(t, text, w.Prompt(1, 2, 3, Calibration{}).Text)
		w.Nonce.Position = NonceStart
		require.True(t, strings.HasSuffix(w.Prompt(1, 2, 3, Calibration{}).Text, " "+text))
	})
}
