package sparktest

import (
	"bufio"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
)

const twoTokens = "data: {\"choices\":[{\"text\":\" a\",\"finish_reason\":null}]}\n\n" +
	"data: {\"choices\":[{\"text\":\" b\",\"finish_reason\":\"length\"}],\"usage\":null}\n\n" +
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n" +
	"data: [DONE]\n\n"

func TestReadStream(t *testing.T) {
	for name, text := range map[string]string{
		"plain":             twoTokens,
		"CRLF":              strings.ReplaceAll(twoTokens, "\n", "\r\n"),
		"no space":          strings.ReplaceAll(twoTokens, "data: ", "data:"),
		"comments":          ": ping\n\n" + strings.ReplaceAll(twoTokens, "data: {", ": x\ndata: {"),
		"other fields":      strings.ReplaceAll(twoTokens, "data: {", "event: m\nid: 1\nretry: 5\ndata: {"),
		"several data":      strings.Replace(twoTokens, `"choices":[{"text":" a"`, "\"choices\":\ndata: [{\"text\":\" a\"", 1),
		"no last newlines":  strings.TrimRight(twoTokens, "\n"),
		"usage zero before": strings.Replace(twoTokens, `"usage":null`, `"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			st := readStream(iotest.OneByteReader(strings.NewReader(text)), time.Now(), "")
			require.NoError(t, st.proper())
			require.NoError(t, st.counted(2, true))
			require.Equal(t, " a b", st.text.String())
			require.Equal(t, usage{3, 2, 5}, *st.usage)
			require.Equal(t, "length", st.finish)
			require.LessOrEqual(t, st.first, st.last)
			require.LessOrEqual(t, st.last, st.end)
		})
	}
}

func TestReadRecordedStreams(t *testing.T) {
	for name, want := range map[string]struct {
		usage  usage
		pieces int
	}{
		"ollama-0.6.5-completions.http": {usage{14, 6, 20}, 6},
		"ollama-0.6.5-chat.http":        {usage{6, 5, 11}, 5},
	} {
		f, err := os.Open(filepath.Join("testdata", name))
		require.NoError(t, err)
		defer f.Close()
		r := bufio.NewReader(f)
		_, err = textproto.NewReader(r).ReadLine()
		require.NoError(t, err)
		_, err = textproto.NewReader(r).ReadMIMEHeader()
		require.NoError(t, err)
		st := readStream(r, time.Now(), "")
		require.NoError(t, st.proper(), name)
		require.NoError(t, st.counted(want.usage.Completion, true), "usages of zero do not count")
		require.Equal(t, want.usage, *st.usage)
		require.Len(t, st.pieces, want.pieces)
	}
}

func FuzzReadStream(f *testing.F) {
	f.Add(twoTokens)
	f.Add("data: {\"error\":\"x\"}\n\n")
	f.Add("event: error\n: gone\n\n")
	f.Add("data: {\"text_output\":\" a\",\"num_output_tokens\":1}\n\ndata: {\"text_output\":\" a b\"}\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, shape := range []loadgen.Dialect{"", loadgen.TritonTRTLLM, loadgen.TritonLLMAPI, loadgen.TritonVLLM} {
			st := readStream(strings.NewReader(text), time.Now(), shape)
			if st.proper() == nil && (len(st.pieces) == 0 || shape == "" && (st.finish == "" || !st.done) || len(st.faults) > 0) {
				t.Fatal("a faulty stream passed")
			}
			if st.usage != nil && st.usage.Completion <= 0 {
				t.Fatal("a usage without tokens was kept")
			}
		}
	})
}
