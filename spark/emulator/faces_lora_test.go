package emulator

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/spark/adapters"
)

// withAdapters is smallTriton with small adapters, of which memory holds so
// many. The page cache keeps their files, so that any directory will do.
func withAdapters(t testing.TB, count, slots int) (Config, []adapters.Adapter) {
	t.Helper()
	cfg := smallTriton()
	cfg.AdapterDir, cfg.AdapterSlots, cfg.AdapterPages = filepath.Join(t.TempDir(), "adapters"), slots, AdapterPagesKeep
	list, err := adapters.Make(t.Context(), cfg.AdapterDir, adapters.Spec{Model: "L8B", Rank: 1, Modules: []string{"q_proj"}, Seed: 5}, count, nil)
	require.NoError(t, err)
	return cfg, list
}

// asking is one way to ask for an adapter, "" the base model, of the list.
type asking struct {
	name string
	path string
	body func(a *adapters.Adapter, id int, output int) string
}

func askings(info Info) []asking {
	lora := func(a *adapters.Adapter, format string, args ...any) string {
		if a == nil {
			return ""
		}
		return fmt.Sprintf(format, args...)
	}
	name := func(a *adapters.Adapter) string {
		if a == nil {
			return "tiny"
		}
		return a.Name
	}
	field := func(a *adapters.Adapter, get func(*adapters.Adapter) string) string {
		if a == nil {
			return ""
		}
		return get(a)
	}
	dir := func(a *adapters.Adapter) string { return a.Dir }
	return []asking{
		{"vLLM", info.URL + "/v1/completions", func(a *adapters.Adapter, _, n int) string {
			return fmt.Sprintf(`{"model":%q,"prompt":"one two three","max_tokens":%d,"ignore_eos":true,"stream":true}`, name(a), n)
		}},
		{"vLLM, chat", info.URL + "/v1/chat/completions", func(a *adapters.Adapter, _, n int) string {
			return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"one two three"}],"max_tokens":%d,"ignore_eos":true,"stream":true}`, name(a), n)
		}},
		{"trtllm-serve", info.URL + "/v1/completions", func(a *adapters.Adapter, id, n int) string {
			return fmt.Sprintf(`{"model":"tiny","prompt":"one two three","max_tokens":%d,"ignore_eos":true,"stream":true%s}`, n,
				lora(a, `,"lora_request":{"lora_name":%q,"lora_int_id":%d,"lora_path":%q}`, name(a), id, field(a, dir)))
		}},
		{"ensemble", info.TritonURL + "/v2/models/ensemble/generate_stream", func(a *adapters.Adapter, id, n int) string {
			return fmt.Sprintf(`{"text_input":"one two three","max_tokens":%d,"end_id":-1,"stream":true%s}`, n, lora(a, `,"lora_task_id":%d`, id))
		}},
		{"LLM API", info.TritonURL + "/v2/models/tensorrt_llm/generate_stream", func(a *adapters.Adapter, id, n int) string {
			return fmt.Sprintf(`{"text_input":"one two three","sampling_param_max_tokens":%d,"streaming":true%s}`, n,
				lora(a, `,"lora_id":%d,"lora_name":%q,"lora_path":%q`, id, name(a), field(a, dir)))
		}},
		{"Triton's vLLM", info.TritonURL + "/v2/models/vllm_model/generate_stream", func(a *adapters.Adapter, _, n int) string {
			return fmt.Sprintf(`{"text_input":"one two three","stream":true,"parameters":{"max_tokens":%d,"ignore_eos":true%s}}`, n, lora(a, `,"lora_name":%q`, name(a)))
		}},
	}
}

// told is the answer of a stream of any face, and the load it names first.
func told(t *testing.T, stream string) (text string, load *int64) {
	t.Helper()
	first := true
	for part := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		data := strings.TrimPrefix(part, "data: ")
		if data == "[DONE]" {
			continue
		}
		var e struct {
			chunk
			Text *string `json:"text_output"`
			Load *int64  `json:"spark_adapter_load_ns"`
		}
		require.NoError(t, json.Unmarshal([]byte(data), &e), part)
		switch {
		case e.Text != nil && strings.HasPrefix(*e.Text, text):
			text = *e.Text // cumulative, or the first
		case e.Text != nil:
			text += *e.Text
		case len(e.Choices) > 0 && e.Choices[0].Text != nil:
			text += *e.Choices[0].Text
		case len(e.Choices) > 0 && e.Choices[0].Delta.Role == "":
			text += *e.Choices[0].Delta.Content
		default:
			continue // a role
		}
		if first {
			load = e.Load
		} else {
			require.Nil(t, e.Load, "only the first token's event tells")
		}
		first = false
	}
	return text, load
}

func TestAdaptersAnswerInEveryWay(t *testing.T) {
	for _, strict := range []bool{false, true} {
		cfg, list := withAdapters(t, 3, 1)
		cfg.Strict = strict
		info := serve(t, cfg)
		require.Equal(t, []string{"lora-0001", "lora-0002", "lora-0003"}, info.Adapters)
		var before []string
		for _, way := range askings(info) {
			answers := []string{}
			for i := -1; i < len(list); i++ {
				var a *adapters.Adapter
				if i >= 0 {
					a = &list[i]
				}
				for again := range 2 {
					resp, stream := post(t, way.path, way.body(a, i+1, 4))
					require.Equal(t, 200, resp.StatusCode, "%s: %s", way.name, stream)
					text, load := told(t, stream)
					require.Len(t, tokenize(text), 4, way.name)
					switch {
					case a == nil:
						require.Nil(t, load, "%s: the base model has nothing to load", way.name)
					case again == 0:
						require.Positive(t, *load, "%s: the only slot held another", way.name)
					default:
						require.Zero(t, *load, "%s: it is in memory", way.name)
					}
					if again == 1 {
						require.Equal(t, answers[len(answers)-1], text, "%s: cold and warm answer alike", way.name)
						continue
					}
					require.NotContains(t, answers, text, "%s: every adapter has its own answer", way.name)
					answers = append(answers, text)
				}
			}
			if before != nil && way.name != "vLLM, chat" {
				require.Equal(t, before, answers, "%s: one engine behind all", way.name)
			}
			if way.name == "vLLM" {
				before = answers
			}
		}
		require.Equal(t, float64(len(askings(info))*len(list)), metric(t, info.TritonURL, "spark_emulator_adapter_loads_total"))
	}
}

func TestUnknownAdapters(t *testing.T) {
	cfg, list := withAdapters(t, 2, 2)
	info := serve(t, cfg)
	file := filepath.Join(cfg.AdapterDir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	outside := t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(list[0].Dir, "away")))
	serveRequest := func(id int, path string) string {
		return fmt.Sprintf(`{"prompt":"a","lora_request":{"lora_name":"x","lora_int_id":%d,"lora_path":%q}}`, id, path)
	}
	llmAPI := func(path string) string {
		return fmt.Sprintf(`{"text_input":"a","lora_id":9,"lora_name":"x","lora_path":%q}`, path)
	}
	ensemble, llm, vllm := "/v2/models/ensemble/generate_stream", "/v2/models/tensorrt_llm/generate_stream", "/v2/models/vllm_model/generate_stream"
	for _, r := range []struct {
		reason, path, body string
		status             int
		says               string
	}{
		{"vLLM", "/v1/completions", `{"model":"x","prompt":"a"}`, 404, "The model `x` does not exist."},
		{"trtllm-serve: no such path", "/v1/completions", serveRequest(1, "/nowhere"), 400, "lora_path (/nowhere) does not exist."},
		{"a file", "/v1/completions", serveRequest(1, file), 400, "does not exist"},
		{"no path", "/v1/completions", serveRequest(1, ""), 400, "does not exist"},
		{"a directory elsewhere", "/v1/completions", serveRequest(1, outside), 400, "is outside the directory of this server's adapters"},
		{"the directory of all", "/v1/completions", serveRequest(1, cfg.AdapterDir), 400, "is outside"},
		{"up and away", "/v1/completions", serveRequest(1, cfg.AdapterDir+"/lora-0001/../.."), 400, "is outside"},
		{"a link away", "/v1/completions", serveRequest(1, list[0].Dir+"/away"), 400, "is outside"},
		{"a number below 1", "/v1/completions", serveRequest(0, list[0].Dir), 400, "lora_int_id must be at least 1, got 0"},
		{"the ensemble", ensemble, `{"text_input":"a","max_tokens":1,"lora_task_id":3}`, 500, "in ensemble 'ensemble', LoRA task 3 not found in cache. Please send LoRA weights with request"},
		{"no task", ensemble, `{"text_input":"a","max_tokens":1,"lora_task_id":18446744073709551615}`, 500, "in ensemble 'ensemble', LoRA task 18446744073709551615 not found in cache."},
		{"weights by JSON", ensemble, `{"text_input":"a","max_tokens":1,"lora_task_id":3,"lora_config":[1,0,8]}`, 500, "in ensemble 'ensemble', LoRA task 3 not found"},
		{"a config alone", ensemble, `{"text_input":"a","max_tokens":1,"lora_config":[1,0,8]}`, 500, "in ensemble 'ensemble', lora_config without lora_weights"},
		{"two of three", llm, `{"text_input":"a","lora_id":1,"lora_name":"x"}`, 500, "Error generating request: lora_id, lora_name, and lora_path must all be provided together"},
		{"LLM API: no such path", llm, llmAPI("/nowhere"), 500, "Error generating request: lora_path does not exist on the Triton server's filesystem: /nowhere"},
		{"LLM API: elsewhere", llm, llmAPI(outside), 500, "Error generating request: lora_path " + outside + " is outside"},
		{"no number", llm, `{"text_input":"a","lora_id":0,"lora_name":"x","lora_path":"/x"}`, 500, "Error generating request: lora_id must be at least 1"},
		{"another form", llm, `{"text_input":"a","lora_id":1,"lora_name":"x","lora_path":"/x","lora_ckpt_source":"nemo"}`, 500, "Error generating request: lora_ckpt_source"},
		{"vLLM backend", vllm, `{"text_input":"a","parameters":{"lora_name":"x"}}`, 500, "LoRA x is not supported, we currently support ['lora-0001', 'lora-0002']"},
		{"vLLM backend, by text", vllm, `{"text_input":"a","sampling_parameters":"{\"lora_name\":\"x\"}"}`, 500, "LoRA x is not supported"},
	} {
		base := info.URL
		if strings.HasPrefix(r.path, "/v2") {
			base = info.TritonURL
		}
		resp, text := post(t, base+r.path, r.body)
		require.Equal(t, r.status, resp.StatusCode, "%s: %s", r.reason, text)
		require.Contains(t, text, r.says, r.reason)
		if base == info.TritonURL {
			require.Equal(t, r.says[:3], responses(t, text)[0].Error[:3], "%s: nothing stands before the words", r.reason)
		}
	}
	require.Zero(t, metric(t, info.URL, "spark_emulator_adapter_loads_total"))

	none := serve(t, smallTriton())
	_, text := post(t, none.TritonURL+vllm, `{"text_input":"a","parameters":{"lora_name":"x"}}`)
	require.Equal(t, "LoRA feature is not enabled.", responses(t, text)[0].Error)
	resp, text := post(t, none.URL+"/v1/completions", serveRequest(1, list[0].Dir))
	require.Equal(t, 400, resp.StatusCode, text)
	resp, text = post(t, none.URL+"/v1/load_lora_adapter", fmt.Sprintf(`{"lora_name":"x","lora_path":%q}`, list[0].Dir))
	require.Equal(t, 400, resp.StatusCode, text)
}

func TestLoadAndUnloadAdapters(t *testing.T) {
	cfg, list := withAdapters(t, 2, 2)
	info := serve(t, cfg)
	load := func(name, path string) string { return fmt.Sprintf(`{"lora_name":%q,"lora_path":%q}`, name, path) }
	names := func() (list []string) {
		_, text := get(t, info.URL+"/v1/models")
		var got struct {
			Data []struct {
				ID     string
				Parent *string
				Root   string
			}
		}
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		for i, m := range got.Data {
			list = append(list, m.ID)
			require.Equal(t, i > 0, m.Parent != nil, "adapters have a parent, the base model none")
			if m.Parent != nil {
				require.Equal(t, "tiny", *m.Parent)
				require.DirExists(t, m.Root)
			}
		}
		return list
	}
	require.Equal(t, []string{"tiny", "lora-0001", "lora-0002"}, names())
	loadURL, unloadURL := "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
	for _, r := range []struct {
		reason, path, body string
		status             int
		says               string
	}{
		{"a second name for a directory", loadURL, load("a0", list[0].Dir), 200, "Success: LoRA adapter 'a0' added successfully."},
		{"again", loadURL, load("a0", list[0].Dir), 400, "The lora adapter 'a0' has already been loaded."},
		{"again, in place", loadURL, fmt.Sprintf(`{"lora_name":"a0","lora_path":%q,"load_inplace":true}`, list[1].Dir), 200, "Success: LoRA adapter 'a0' added successfully."},
		{"the base model's name", loadURL, load("tiny", list[0].Dir), 400, "InvalidUserInput"},
		{"no name", loadURL, load("", list[0].Dir), 400, "Both 'lora_name' and 'lora_path' must be provided."},
		{"no path", loadURL, load("b", ""), 400, "Both 'lora_name' and 'lora_path' must be provided."},
		{"no such path", loadURL, load("b", "/nowhere"), 400, "Loading lora b failed: /nowhere does not exist"},
		{"a path elsewhere", loadURL, load("b", t.TempDir()), 400, "is outside the directory"},
		{"a name that would break the metrics", loadURL, load("b,c", list[0].Dir), 400, "Loading lora b,c failed"},
		{"not JSON", loadURL, `{`, 400, "BadRequestError"},
		{"an adapter", unloadURL, `{"lora_name":"a0"}`, 200, "Success: LoRA adapter 'a0' removed successfully."},
		{"again", unloadURL, `{"lora_name":"a0"}`, 404, "The lora adapter 'a0' cannot be found."},
		{"no name", unloadURL, `{}`, 400, "'lora_name' needs to be provided to unload a LoRA adapter."},
		{"not JSON", unloadURL, `[`, 400, "BadRequestError"},
	} {
		resp, text := post(t, info.URL+r.path, r.body)
		require.Equal(t, r.status, resp.StatusCode, "%s: %s", r.reason, text)
		require.Contains(t, text, r.says, r.reason)
		if r.status == 200 {
			require.Equal(t, r.says, text, "plain text")
		} else {
			require.Contains(t, text, `{"error":{`, r.reason)
		}
	}
	require.Equal(t, []string{"tiny", "lora-0001", "lora-0002"}, names())
	_, stream := post(t, info.URL+"/v1/completions", `{"model":"lora-0001","prompt":"a","max_tokens":2,"stream":true}`)
	cold, ns := told(t, stream)
	require.Positive(t, *ns)
	post(t, info.URL+unloadURL, `{"lora_name":"lora-0001"}`)
	resp, _ := post(t, info.URL+"/v1/completions", `{"model":"lora-0001","prompt":"a","max_tokens":2}`)
	require.Equal(t, 404, resp.StatusCode, "unloaded is unknown")
	post(t, info.URL+loadURL, load("lora-0001", list[0].Dir))
	_, stream = post(t, info.URL+"/v1/completions", `{"model":"lora-0001","prompt":"a","max_tokens":2,"stream":true}`)
	again, ns := told(t, stream)
	require.Positive(t, *ns, "loaded again is read again")
	require.Equal(t, cold, again)
	require.Equal(t, "lora-0001", modelOf(t, stream), "vLLM echoes the adapter as the model")
	_, stream = post(t, info.TritonURL+"/v2/models/ensemble/generate_stream", `{"text_input":"a","max_tokens":2,"stream":true,"lora_task_id":1}`)
	byTask, _ := told(t, stream)
	require.Equal(t, cold, byTask, "its task has the number that it had")
}

func modelOf(t *testing.T, stream string) string {
	t.Helper()
	chunks, _ := events(t, stream)
	return chunks[0].Model
}

func TestAdapterFoundByItsPathLater(t *testing.T) {
	cfg, list := withAdapters(t, 1, 1)
	hidden := filepath.Join(t.TempDir(), "other")
	_, err := adapters.Make(t.Context(), hidden, adapters.Spec{Model: "L8B", Rank: 1, Modules: []string{"q_proj"}, Seed: 6}, 1, nil)
	require.NoError(t, err)
	info := serve(t, cfg)
	late := filepath.Join(cfg.AdapterDir, "late")
	require.NoError(t, os.Rename(filepath.Join(hidden, "lora-0001"), late))
	ways := askings(info)
	a := adapters.Adapter{Name: "late", Dir: late}
	_, one := post(t, ways[2].path, ways[2].body(&a, 7, 3))
	_, two := post(t, ways[4].path, ways[4].body(&a, 7, 3))
	said, load := told(t, one)
	require.Positive(t, *load)
	alike, load := told(t, two)
	require.Zero(t, *load, "the second way finds it in memory")
	require.Equal(t, said, alike)
	resp, text := post(t, ways[2].path, ways[2].body(&adapters.Adapter{Name: "lora-0001", Dir: late}, 7, 3))
	require.Equal(t, 200, resp.StatusCode, "a directory that is known is found under any name: %s", text)
	_, text = get(t, info.URL+"/v1/models")
	require.Contains(t, text, `"id":"late"`)
	require.Contains(t, text, list[0].Dir)
}

func TestEvictedAdapterInEveryWay(t *testing.T) {
	cfg, list := withAdapters(t, 2, 2)
	info := serve(t, cfg)
	for _, way := range askings(info) {
		for _, after := range []int{0, 2} {
			resp, text := post(t, way.path, way.body(&list[1], 2, 4), FaultHeader, fmt.Sprintf("adapter_evicted=%d", after))
			require.Contains(t, text, "LoRA task 2 not found in cache. Please send LoRA weights with request", way.name)
			status := 200
			if strings.HasPrefix(way.path, info.TritonURL) && after == 0 {
				status = 500
			}
			require.Equal(t, status, resp.StatusCode, way.name)
			_, text = post(t, way.path, way.body(nil, 0, 4), FaultHeader, fmt.Sprintf("adapter_evicted=%d", after))
			require.NotContains(t, text, "error", "%s: the base model needs none", way.name)
		}
	}
}
