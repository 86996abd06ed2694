package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/spark/adapters"
)

// made is a directory with three adapters of 0.9 MB.
func made(t *testing.T, more ...string) (string, transcript) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lora")
	return dir, command(t.Context(), append([]string{"adapters", "make", dir, "--rank", "1", "--count", "3"}, more...)...)
}

func TestAdaptersMake(t *testing.T) {
	dir, got := made(t)
	require.Zero(t, got.exit, got.err)
	require.Equal(t, "writing 3 adapters below "+dir+", 2.6 MB\n", got.err)
	require.Regexp(t, `^3 adapters of 0\.9 MB, 2\.6 MB in all: 2\.6 MB written in \S+, \d+ MB/s\n$`, got.out)
	require.Equal(t, []string{"lora-0001", "lora-0002", "lora-0003"}, names(t, dir))

	again := command(t.Context(), "adapters", "make", dir, "--rank", "1", "--count", "3", "--modules", "v_proj,q_proj")
	require.Zero(t, again.exit, again.err)
	require.Empty(t, again.err)
	require.Equal(t, "3 adapters of 0.9 MB, 2.6 MB in all: they were there already\n", again.out)

	for _, other := range [][]string{{"--rank", "2"}, {"--seed", "1"}, {"--dtype", "F16"}, {"--modules", "all-linear"}} {
		got := command(t.Context(), append([]string{"adapters", "make", dir, "--rank", "1"}, other...)...)
		require.Equal(t, 1, got.exit, other)
		require.Contains(t, got.err, "already there", other)
		require.Contains(t, got.err, "use another directory", other)
		require.Empty(t, got.out)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cut := command(ctx, "adapters", "make", dir, "--rank", "1", "--count", "9")
	require.Equal(t, 130, cut.exit)
	require.Contains(t, cut.err, "interrupted")
	require.Len(t, names(t, dir), 3)
}

func TestAdaptersBadUsage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lora")
	for _, c := range []struct {
		why  string
		args []string
		want string
	}{
		{"nowhere", []string{"make"}, "<dir>"},
		{"no such model", []string{"make", dir, "--model", "GPT"}, "L8B"},
		{"no rank", []string{"make", dir, "--rank", "0"}, "1 to 512"},
		{"none", []string{"make", dir, "--count", "0"}, "1 to 9999"},
		{"a module of another kind of model", []string{"make", dir, "--modules", "c_attn"}, `"c_attn"`},
		{"a type that no loader takes", []string{"make", dir, "--dtype", "FP4"}, "BF16"},
		{"a seed that is none", []string{"make", dir, "--seed=-1"}, "seed"},
		{"nothing to check", []string{"check"}, "<dir>"},
	} {
		got := command(t.Context(), append([]string{"adapters"}, c.args...)...)
		require.Equal(t, 2, got.exit, "%s: %s", c.why, got.err)
		require.Contains(t, got.err, c.want, c.why)
		require.Empty(t, got.out, c.why)
		require.NoDirExists(t, dir, c.why)
	}
}

func TestAdaptersCheck(t *testing.T) {
	dir, _ := made(t)
	got := command(t.Context(), "adapters", "check", dir)
	require.Zero(t, got.exit, got.err)
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	require.Len(t, lines, 5, "a title, three adapters and their sum")
	require.Regexp(t, `^adapter +base +rank +modules +MB +cached$`, lines[0])
	require.Regexp(t, `^lora-0002 +meta-llama/Llama-3\.1-8B-Instruct +1 +q_proj,v_proj +0\.9 +\d+\.\d%$`, lines[2])
	require.Regexp(t, `^3 in lora +2\.6 +\d+\.\d%$`, lines[4])

	_, err := os.ReadFile(filepath.Join(dir, "lora-0001", "adapter_model.safetensors"))
	require.NoError(t, err)
	asJSON := command(t.Context(), "adapters", "check", dir, "--json")
	require.Zero(t, asJSON.exit, asJSON.err)
	var list []checked
	require.NoError(t, json.Unmarshal([]byte(asJSON.out), &list))
	require.Len(t, list, 3)
	require.Equal(t, "lora-0001", list[0].Name)
	require.InDelta(t, 1, list[0].Cached.Share(), 0, "it has just been read")
	require.Equal(t, list[0].Cached.Pages, list[1].Cached.Pages)
}

func TestAdaptersCheckNamesTheDamaged(t *testing.T) {
	dir, _ := made(t)
	require.NoError(t, os.Truncate(filepath.Join(dir, "lora-0001", "adapter_model.safetensors"), 500_000))
	require.NoError(t, os.Remove(filepath.Join(dir, "lora-0003", "adapter_config.json")))
	got := command(t.Context(), "adapters", "check", dir)
	require.Equal(t, 1, got.exit)
	require.Contains(t, got.out, "lora-0002", "what is whole is told all the same")
	require.NotContains(t, got.out, "lora-0001")
	for _, want := range []string{"lora-0001", "adapter is damaged", "cut short", "lora-0003", "not a PEFT adapter"} {
		require.Contains(t, got.err, want)
	}

	empty := t.TempDir()
	for _, c := range []struct{ why, dir, want string }{
		{"empty", empty, "spark adapters make " + empty},
		{"one adapter", filepath.Join(dir, "lora-0002"), "the directory above it"},
		{"not there", filepath.Join(dir, "none"), "no such file"},
	} {
		got := command(t.Context(), "adapters", "check", c.dir)
		require.Equal(t, 1, got.exit, c.why)
		require.Contains(t, got.err, c.want, c.why)
		require.Empty(t, got.out, c.why)
	}
}

func TestStrangersTextMovesNoCursor(t *testing.T) {
	var out strings.Builder
	require.NoError(t, table(streams{out: &out}, []checked{{Adapter: adapters.Adapter{Name: "a\x1b[2J", Base: "b\tc\nd", Modules: []string{"\u202ee"}}}}))
	require.Contains(t, out.String(), "a?[2J")
	require.Contains(t, out.String(), "b?c?d")
	require.Contains(t, out.String(), "?e")
	require.Regexp(t, `\?\n$`, out.String(), "what is cached is not known")
}

func TestMakeLine(t *testing.T) {
	require.Equal(t, "500.0 MB of 2000.0 MB, 250 MB/s, 6s left", makeLine(500e6, 2000e6, 2*time.Second))
}
