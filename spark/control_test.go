package spark

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loraServer is a vLLM or SGLang that loads and unloads adapters as told.
type loraServer struct {
	mu     sync.Mutex
	sglang bool
	closed bool              // the routes are not there
	loaded map[string]string // path by name
	log    []string
}

func (l *loraServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	prefix := "/v1"
	if l.sglang {
		prefix = ""
	}
	path, ours := strings.CutPrefix(r.URL.Path, prefix+"/")
	verb, route := strings.CutSuffix(path, "_lora_adapter")
	switch {
	case r.URL.Path == "/v1/models":
		list := []string{`{"id":"m","owned_by":"` + map[bool]string{false: "vllm", true: "sglang"}[l.sglang] + `"}`}
		for name := range l.loaded {
			list = append(list, fmt.Sprintf(`{"id":%q,"parent":"m"}`, name))
		}
		fmt.Fprintf(w, `{"data":[%s]}`, strings.Join(list, ","))
	case r.URL.Path == "/v1/completions":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, goodText)
	case !ours || !route || strings.Contains(verb, "/") || l.closed:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"detail":"Not Found"}`)
	default:
		var ask struct {
			Name string `json:"lora_name"`
			Path string `json:"lora_path"`
		}
		if json.NewDecoder(r.Body).Decode(&ask) != nil {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		l.order(w, verb, ask.Name, ask.Path)
	}
}

// order answers as vLLM's serving_models.py and SGLang's lora_registry.py do.
func (l *loraServer) order(w http.ResponseWriter, verb, name, path string) {
	_, has := l.loaded[name]
	refuse := func(status int, says string) {
		if l.sglang {
			status, says = 400, fmt.Sprintf(`{"success":false,"error_message":"LoRA with name %s %s"}`, name, map[bool]string{true: "already loaded", false: "does not exist. Loaded LoRAs: []"}[has])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, says)
	}
	switch {
	case verb == "unload" && !has:
		refuse(404, fmt.Sprintf(`{"error":{"message":"The lora adapter '%s' cannot be found.","type":"NotFoundError","param":null,"code":404}}`, name))
	case verb == "load" && has:
		refuse(400, fmt.Sprintf(`{"error":{"message":"The lora adapter '%s' has already been loaded.","type":"InvalidUserInput","code":400}}`, name))
	case verb == "load" && !strings.HasPrefix(path, "/adapters/"):
		w.WriteHeader(404)
		fmt.Fprintf(w, `{"error":{"message":"No adapter found for %s","type":"NotFoundError","code":404}}`, path)
	default:
		l.log = append(l.log, strings.TrimSpace(verb+" "+name+" "+path))
		delete(l.loaded, name)
		if verb == "load" {
			l.loaded[name] = path
		}
		fmt.Fprintf(w, "Success: LoRA adapter '%s' %sed successfully.", name, verb)
	}
}

var twoAdapters = []AdapterRef{{"a", "/adapters/a"}, {"b", "/adapters/b"}}

func TestColdUnloadsAndLoadsAgain(t *testing.T) {
	for name, row := range map[string]struct {
		sglang bool
		loaded map[string]string
		want   []string
	}{
		"vLLM":                   {false, map[string]string{"a": "/adapters/a", "b": "/adapters/b"}, []string{"unload a", "unload b", "load a /adapters/a", "load b /adapters/b"}},
		"SGLang":                 {true, map[string]string{"a": "/adapters/a", "b": "/adapters/b"}, []string{"unload a", "unload b", "load a /adapters/a", "load b /adapters/b"}},
		"vLLM, one not loaded":   {false, map[string]string{"b": "/adapters/b"}, []string{"unload b", "load a /adapters/a", "load b /adapters/b"}},
		"SGLang, one not loaded": {true, map[string]string{"b": "/adapters/b"}, []string{"unload b", "load a /adapters/a", "load b /adapters/b"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := &loraServer{sglang: row.sglang, loaded: row.loaded}
			s, err := Attach(t.Context(), Endpoint{URL: serveHandler(t, l)})
			require.NoError(t, err)
			means, err := Control{}.Cold(t.Context(), s, twoAdapters)
			require.NoError(t, err)
			require.Equal(t, MeansUnload, means)
			require.Equal(t, row.want, l.log, "and nothing else was touched: asking for the routes has no effect")
		})
	}
}

func TestColdSaysWhatStandsInTheWay(t *testing.T) {
	for name, row := range map[string]struct {
		change   func(*loraServer)
		control  Control
		adapters []AdapterRef
		says     string
	}{
		"no routes, nobody there": {func(l *loraServer) { l.closed = true }, Control{}, twoAdapters, "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"},
		"no routes, asked for":    {func(l *loraServer) { l.closed = true }, Control{Means: MeansUnload, Say: func(string) {}}, twoAdapters, `/v1/unload_lora_adapter: status 404: {"detail":"Not Found"}`},
		"no path":                 {func(*loraServer) {}, Control{}, []AdapterRef{{Name: "a"}}, `adapter "a": no path`},
		"no adapters":             {func(*loraServer) {}, Control{}, nil, "no adapter named"},
		"wrong path":              {func(*loraServer) {}, Control{}, []AdapterRef{{"a", "/elsewhere"}}, "No adapter found for /elsewhere"},
		"a process of ours":       {func(*loraServer) {}, Control{Means: MeansProcess}, nil, `means "process"`},
		"an unknown means":        {func(*loraServer) {}, Control{Means: "prayer"}, nil, `means "prayer"`},
		"a container's option":    {func(*loraServer) {}, Control{Container: "--all"}, nil, "not the name or id"},
		"a container's shell":     {func(*loraServer) {}, Control{Container: "a;reboot"}, nil, "not the name or id"},
		"no container":            {func(*loraServer) {}, Control{Means: MeansContainer}, nil, "no container named"},
		"an engine of one's own":  {func(*loraServer) {}, Control{Container: "a", Engine: "/bin/sh"}, nil, "want docker or podman"},
		"a negative timeout":      {func(*loraServer) {}, Control{Timeout: -1}, nil, "negative timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			l := &loraServer{loaded: map[string]string{"a": "/adapters/a"}}
			row.change(l)
			s, err := Attach(t.Context(), Endpoint{URL: serveHandler(t, l)})
			require.NoError(t, err)
			_, err = row.control.Cold(t.Context(), s, row.adapters)
			require.ErrorContains(t, err, row.says)
			if row.says != "No adapter found for /elsewhere" {
				require.Empty(t, l.log, "nothing is dropped that could not be loaded again")
			}
		})
	}
}

// A proxy that answers everything proves nothing.
func TestUnloadIsNotBelievedOfAServerThatSaysYesToAll(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/v1/", healthy())
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("/v1/unload_lora_adapter", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	s, err := Attach(t.Context(), Endpoint{URL: serveHandler(t, mux)})
	require.NoError(t, err)
	_, err = Control{}.Choose(t.Context(), s)
	require.ErrorIs(t, err, ErrNoMeans)
	means, err := Control{Say: func(string) {}}.Choose(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, MeansPerson, means)
}

// again serves on an address that a server had before.
func again(t *testing.T, address string, h http.Handler) *httptest.Server {
	t.Helper()
	var l net.Listener
	require.Eventually(t, func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", address)
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func TestColdByAPersonWaitsForDownAndUp(t *testing.T) {
	l := &loraServer{loaded: map[string]string{"a": "/adapters/a"}}
	first := again(t, "127.0.0.1:0", l)
	s, err := Attach(t.Context(), Endpoint{URL: first.URL})
	require.NoError(t, err)

	asked, down, done := make(chan string, 9), make(chan string, 9), make(chan struct{})
	var means string
	go func() {
		defer close(done)
		means, err = Control{Means: MeansPerson, Timeout: time.Minute, Say: func(line string) {
			if strings.Contains(line, "is down") {
				down <- line
			} else {
				asked <- line
			}
		}}.Cold(t.Context(), s, twoAdapters)
	}()
	line := <-asked
	require.Contains(t, line, "restart the server at "+first.URL+" now")
	require.Contains(t, line, "up to 1m0s")
	first.Close()
	<-down
	fresh := &loraServer{loaded: map[string]string{"b": "/adapters/b"}}
	again(t, first.Listener.Addr().String(), fresh)
	<-done
	require.NoError(t, err)
	require.Equal(t, MeansPerson, means)
	require.Equal(t, []string{"load a /adapters/a"}, fresh.log, "what the new server was started with is not loaded again")
	require.Contains(t, <-asked, "ready again")
}

func TestColdByAPersonGivesUp(t *testing.T) {
	srv := again(t, "127.0.0.1:0", healthy())
	s, err := Attach(t.Context(), Endpoint{URL: srv.URL})
	require.NoError(t, err)
	_, err = Control{Means: MeansPerson, Timeout: 50 * time.Millisecond}.Cold(t.Context(), s, nil)
	require.ErrorContains(t, err, "never went down: not done within 50ms (restart it while this waits")

	srv.Close()
	_, err = Control{Means: MeansPerson, Timeout: 50 * time.Millisecond}.Cold(t.Context(), s, nil)
	require.ErrorContains(t, err, "not done within 50ms")
	require.ErrorIs(t, err, ErrUnreachable, "it went down and stayed there")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Control{Means: MeansPerson}.Cold(ctx, s, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// engineScript plays docker or podman: its state is three files beside it.
const engineScript = `#!/bin/sh
dir=$(dirname "$0")
echo "$*" >>"$dir/log"
case "$1 $2" in
"container inspect")
	[ "$5" = llm ] || { echo "Error: No such container: $5" >&2; exit 1; }
	printf 'f00\t%s\t%s\t3\n' "$(cat "$dir/started")" "$(cat "$dir/running")" ;;
"restart -t")
	[ -e "$dir/broken" ] && { echo "Error response from daemon: $(cat "$dir/broken")" >&2; exit 1; }
	[ -e "$dir/lazy" ] || echo later >"$dir/started" ;;
"logs --tail") echo "CUDA out of memory" >&2 ;;
*) exit 9 ;;
esac
`

// engineDir is the only place of commands for the test.
func engineDir(t *testing.T, engine string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["started"], files[engine] = "before", engineScript
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700))
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return dir
}

func TestColdByContainer(t *testing.T) {
	for name, row := range map[string]struct {
		engine  string
		files   map[string]string
		control Control
		down    bool // the server does not answer after the restart
		says    string
	}{
		"docker":             {"docker", map[string]string{"running": "true"}, Control{Container: "llm", Engine: "docker"}, false, ""},
		"podman":             {"podman", map[string]string{"running": "true"}, Control{Container: "llm", Engine: "podman"}, false, ""},
		"unknown container":  {"docker", map[string]string{"running": "true"}, Control{Container: "other", Engine: "docker"}, false, "No such container: other"},
		"no engine":          {"docker", map[string]string{"running": "true"}, Control{Container: "llm", Engine: "podman"}, false, "podman"},
		"engine refuses":     {"docker", map[string]string{"running": "true", "broken": "device busy"}, Control{Container: "llm", Engine: "docker"}, false, "spark: docker restart: exit status 1: Error response from daemon: device busy"},
		"nothing restarted":  {"docker", map[string]string{"running": "true", "lazy": ""}, Control{Container: "llm", Engine: "docker"}, false, "has not been started anew since before"},
		"ended after":        {"docker", map[string]string{"running": "false"}, Control{Container: "llm", Engine: "docker"}, true, "ended with status 3 after its restart; its log ends: CUDA out of memory"},
		"never ready":        {"docker", map[string]string{"running": "true"}, Control{Container: "llm", Engine: "docker", Timeout: 600 * time.Millisecond}, true, "not done within 600ms"},
		"means without name": {"docker", map[string]string{"running": "true"}, Control{Means: MeansContainer}, false, "no container named"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := again(t, "127.0.0.1:0", healthy())
			s, err := Attach(t.Context(), Endpoint{URL: srv.URL})
			require.NoError(t, err)
			if row.down {
				srv.Close()
			}
			dir := engineDir(t, row.engine, row.files)
			means, err := row.control.Cold(t.Context(), s, nil)
			if row.says != "" {
				require.ErrorContains(t, err, row.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, MeansContainer, means)
			log, err := os.ReadFile(filepath.Join(dir, "log"))
			require.NoError(t, err)
			require.Contains(t, strings.Split(string(log), "\n"), "restart -t 30 f00")
		})
	}
}

func TestTheFirstEngineThatKnowsTheContainerIsTaken(t *testing.T) {
	dir := engineDir(t, "podman", map[string]string{"running": "true"})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n"), 0o700))
	engine, err := Control{Container: "llm"}.engine(t.Context())
	require.NoError(t, err)
	require.Equal(t, "podman", engine)
	_, err = Control{Container: "gone"}.engine(t.Context())
	require.ErrorIs(t, err, ErrNoMeans)
	require.ErrorContains(t, err, "Cannot connect to the Docker daemon")
	require.ErrorContains(t, err, "No such container: gone")
	require.True(t, slices.IsSorted(engines()))
}
