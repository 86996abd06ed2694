package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		why, line     string // words parted by spaces; a space at the end begins a new one
		want, without []string
	}{
		{"commands", "", []string{"run", "load", "doctor", "version", "fio"}, []string{"emulator", "__complete"}},
		{"commands that begin so", "do", []string{"doctor"}, []string{"run"}},
		{"subcommands", "fio ", []string{"calibrate", "probe", "load"}, []string{"run"}},
		{"hypotheses", "run ", []string{"H0", "H2", "H4"}, []string{"run"}},
		{"but not one twice", "run H0 H", []string{"H2"}, []string{"H0"}},
		{"flags", "run H0 --", []string{"--profile", "--json", "--help", "--dir"}, []string{"--users"}},
		{"flags of a subcommand", "fio load --d", []string{"--depth", "--duration"}, []string{"--block"}},
		{"a flag's values", "run --profile ", []string{"smoke", "quick", "full"}, []string{"H0"}},
		{"and after it hypotheses again", "run --profile quick ", []string{"H0"}, []string{"smoke"}},
		{"values after an equals sign", "run --profile=q", []string{"--profile=quick"}, []string{"--profile=full"}},
		{"which bash takes apart", "run --profile = q", []string{"quick"}, []string{"full"}},
		{"also before any letter", "run --profile =", []string{"smoke", "full"}, []string{"H0"}},
		{"a flag without value waits for none", "run --json ", []string{"H0"}, nil},
		{"a short flag", "load -U 8 --format ", []string{"serve", "markdown"}, nil},
		{"shells", "completion ", []string{"bash", "zsh", "fish"}, nil},
		{"kong's enums", "adapters make --model ", []string{"L8B", "L70B"}, nil},
		{"choices that a package checks", "load --lora-session z", []string{"zipf"}, []string{"sticky"}},
	} {
		got := command(t.Context(), append([]string{completeWord}, strings.Split(c.line, " ")...)...)
		require.Zero(t, got.exit, c.why)
		lines := strings.Split(strings.TrimSpace(got.out), "\n")
		for _, w := range c.want {
			require.Contains(t, lines, w, "%s: %q", c.why, c.line)
		}
		for _, w := range c.without {
			require.NotContains(t, lines, w, "%s: %q", c.why, c.line)
		}
	}
	for _, line := range []string{"judge ", "load --out ", "load --users ", "run --nosuch=", "monitor "} {
		got := command(t.Context(), append([]string{completeWord}, strings.Split(line, " ")...)...)
		require.Empty(t, got.out, "%q: the shell completes files", line)
	}
	require.Contains(t, command(t.Context(), completeWord).out, "run\n")
}

// The script in a real bash, with this test binary as spark.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here")
	}
	script := filepath.Join(t.TempDir(), "spark.bash")
	require.NoError(t, os.WriteFile(script, []byte(command(t.Context(), "completion", "bash").out), 0o644))
	self, err := os.Executable()
	require.NoError(t, err)
	for _, c := range []struct{ words, want string }{
		{`ru`, "run"},
		{`run H1`, "H1"},
		{`run --prof`, "--profile"},
		{`run --profile = q`, "quick"},
		{`fio cal`, "calibrate"},
	} {
		ask := `set -u; source "$1"; complete -p spark >/dev/null; COMP_WORDS=("$2" ` + c.words + `); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _spark "$2"; printf '%s\n' "${COMPREPLY[@]}"`
		out, err := exec.CommandContext(t.Context(), bash, "--norc", "-c", ask, "bash", script, self).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, c.want+"\n", string(out), c.words)
	}
}

func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{"bash": "complete -o", "zsh": "#compdef spark", "fish": "complete -c spark"} {
		got := command(t.Context(), "completion", shell)
		require.Zero(t, got.exit)
		require.Contains(t, got.out, want)
		require.Contains(t, got.out, completeWord)
	}
	require.Equal(t, 2, command(t.Context(), "completion", "csh").exit)
}

func TestVersion(t *testing.T) {
	got := command(t.Context(), "version")
	require.Zero(t, got.exit)
	require.Regexp(t, `^spark \S+, github.com/spark-harness/harness, go1\.\d+\S* linux/\w+`, got.out)
	require.Contains(t, command(t.Context(), "version", "--json").out, `"go":"go1.`)
}
