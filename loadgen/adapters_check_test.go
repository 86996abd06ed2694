package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// loraServer answers in the shapes of vLLM and of Triton. What it answers
// depends on the adapter, as say has it: a text of so many words, or an error.
type loraServer struct {
	say func(adapter string) (word string, words int, fault string)
}

// asked is the adapter that a request names, "" for the base model.
func (loraServer) asked(body map[string]any) string {
	params, _ := body["parameters"].(map[string]any)
	for _, v := range []any{params["lora_name"], body["lora_name"], body["lora_task_id"], body["model"]} {
		switch v := v.(type) {
		case string:
			return strings.TrimPrefix(v, "m")
		case float64:
			return fmt.Sprintf("lora-%04d", int(v))
		}
	}
	return ""
}

func (s loraServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	word, words, fault := s.say(s.asked(body))
	if fault != "" {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"error":%q}`, fault)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.(http.Flusher).Flush() // streams are chunked, whatever their length
	triton := strings.HasPrefix(r.URL.Path, "/v2/")
	for i := range words {
		text := fmt.Sprintf(" %s%d", word, i)
		if !triton {
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":%q,\"finish_reason\":null}]}\n\n", text)
			continue
		}
		if _, whole := body["sampling_param_max_tokens"]; whole {
			for j := i - 1; j >= 0; j-- {
				text = fmt.Sprintf(" %s%d", word, j) + text
			}
		}
		fmt.Fprintf(w, "data: {\"model_name\":\"m\",\"text_output\":%q}\n\n", text)
	}
	if !triton {
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n")
		fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", words)
	}
}

func TestCheckAdapters(t *testing.T) {
	defer goleak.VerifyNone(t)
	only := func(known string) func(a string) (string, int, string) {
		return func(a string) (string, int, string) {
			if a != "" && !strings.Contains(known, a) {
				return "", 0, "The model `" + a + "` does not exist."
			}
			return "w" + a, 32, ""
		}
	}
	for _, row := range []struct {
		name     string
		say      func(adapter string) (string, int, string)
		outcomes []Outcome // of base, then the adapters
		compared int
		ignored  bool
	}{
		{
			"honest", func(a string) (string, int, string) { return "w" + a, 32, "" },
			[]Outcome{OutcomeOK, OutcomeOK, OutcomeOK, OutcomeOK},
			4, false,
		},
		{
			"ignoring all", func(string) (string, int, string) { return "w", 32, "" },
			[]Outcome{OutcomeOK, OutcomeOK, OutcomeOK, OutcomeOK},
			4, true,
		},
		{
			"one adapter for all", func(a string) (string, int, string) { return fmt.Sprint(a == ""), 32, "" },
			[]Outcome{OutcomeOK, OutcomeOK, OutcomeOK, OutcomeOK},
			4, true,
		},
		{
			"one that is the base model", func(a string) (string, int, string) { return "w" + strings.TrimSuffix(a, "lora-0003"), 32, "" },
			[]Outcome{OutcomeOK, OutcomeOK, OutcomeOK, OutcomeOK},
			4, true,
		},
		{
			"some unknown", only("lora-0002"),
			[]Outcome{OutcomeOK, OutcomeUnknownAdapter, OutcomeOK, OutcomeUnknownAdapter},
			2, false,
		},
		{
			"all unknown", only("none"),
			[]Outcome{OutcomeOK, OutcomeUnknownAdapter, OutcomeUnknownAdapter, OutcomeUnknownAdapter},
			1, false,
		},
		{
			"no base model", func(a string) (string, int, string) {
				if a == "" {
					return "", 0, "adapter wanted"
				}
				return "w" + a, 32, ""
			},
			[]Outcome{OutcomeOK, OutcomeOK, OutcomeOK},
			3, false,
		},
		{
			"all failing alike", func(string) (string, int, string) { return "", 0, "out of memory" },
			[]Outcome{OutcomeHTTP4xx, OutcomeHTTP4xx, OutcomeHTTP4xx},
			0, false,
		},
		{
			"too short to tell", func(string) (string, int, string) { return "Paris", checkEnough - 1, "" },
			[]Outcome{OutcomeOK, OutcomeOK, OutcomeOK, OutcomeOK},
			0, false,
		},
		{
			"short answers beside long ones", func(a string) (string, int, string) { return "w", 32*min(len(a), 1) + 1, "" },
			[]Outcome{OutcomeOK, OutcomeOK, OutcomeOK, OutcomeOK},
			3, true,
		},
		{
			"no text at all", func(string) (string, int, string) { return "", 0, "" },
			[]Outcome{OutcomeNoTokens, OutcomeNoTokens, OutcomeNoTokens},
			0, false,
		},
	} {
		for _, dialect := range []Dialect{OpenAICompletions, TritonTRTLLM, TritonLLMAPI, TritonVLLM} {
			t.Run(row.name+"/"+string(dialect), func(t *testing.T) {
				srv := httptest.NewServer(loraServer{row.say})
				defer srv.Close()
				list := adapterList(3)
				for i := range list {
					list[i].Path = "/adapters/" + list[i].Name
				}
				target := testTarget(srv.URL)
				target.Dialect = dialect
				got, err := CheckAdapters(t.Context(), target, list)
				require.NoError(t, err)
				var outcomes []Outcome
				for _, a := range got.Answers {
					outcomes = append(outcomes, a.Outcome)
				}
				require.Equal(t, row.outcomes, outcomes, "%+v", got.Answers)
				require.Equal(t, row.compared, got.Compared, "%+v", got.Answers)
				require.Equal(t, row.ignored, got.Ignored, "%+v", got.Answers)
				for i, a := range got.Answers[len(got.Answers)-3:] {
					require.Equal(t, list[i].Name, a.Adapter)
					require.Equal(t, a.Outcome.OK(), a.Error == "", a.Error)
				}
			})
		}
	}
}

func TestCheckAdaptersRefuses(t *testing.T) {
	good := testTarget("http://127.0.0.1:1")
	for _, row := range []struct {
		why    string
		target Target
		list   []Adapter
		want   string
	}{
		{"no adapters", good, nil, "the list is empty"},
		{"an adapter twice", good, []Adapter{{Name: "a"}, {Name: "a"}}, "adapter 2"},
		{"no name", good, []Adapter{{}}, "adapter 1"},
		{"no model", Target{BaseURL: "http://127.0.0.1:1", Dialect: OpenAIChat}, adapterList(1), "Model"},
		{"no path where the server wants one", Target{BaseURL: "http://127.0.0.1:1", Model: "m", Dialect: TritonLLMAPI}, adapterList(1), "path"},
	} {
		_, err := CheckAdapters(t.Context(), row.target, row.list)
		require.ErrorContains(t, err, row.want, row.why)
	}
}

func TestCheckAdaptersOfADeadServerSaysSo(t *testing.T) {
	got, err := CheckAdapters(t.Context(), testTarget("http://127.0.0.1:1"), adapterList(2))
	require.NoError(t, err)
	require.Len(t, got.Answers, 2)
	require.Equal(t, OutcomeRefused, got.Answers[0].Outcome)
	require.Zero(t, got.Compared)
	require.False(t, got.Ignored)
}

func TestCheckAdaptersEndsWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t)
	asked := make(chan struct{}, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server sees a client go once it has read all
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	go func() {
		<-asked
		cancel(stop)
	}()
	start := time.Now()
	_, err := CheckAdapters(ctx, testTarget(srv.URL), adapterList(2))
	require.ErrorIs(t, err, stop)
	require.Less(t, time.Since(start), 5*time.Second)
}
