package spark

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fake is a server of canned answers by path; a stream has its own type so
// that headers are right.
type fake struct {
	pages   map[string]string
	status  map[string]int
	server  string // Server header
	key     string // wanted key, "" lets everyone in
	streams map[string]string
	seen    []string // paths in order; read only after the last request
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.seen = append(f.seen, r.URL.Path)
	if f.server != "" {
		w.Header().Set("Server", f.server)
	}
	if f.key != "" && r.Header.Get("Authorization") != "Bearer "+f.key {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"bad key %s"}`, r.Header.Get("Authorization"))
		return
	}
	if s, ok := f.streams[r.URL.Path]; ok && f.status[r.URL.Path] == 0 {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush() // chunked, whatever its length
		fmt.Fprint(w, s)
		return
	}
	page, ok := f.pages[r.URL.Path]
	switch status := f.status[r.URL.Path]; {
	case status != 0:
		w.WriteHeader(status)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	}
	fmt.Fprint(w, page)
}

const (
	oneModel = `{"object":"list","data":[{"id":"m","object":"model","owned_by":"someone"}]}`
	goodText = "data: {\"choices\":[{\"index\":0,\"text\":\" four\",\"finish_reason\":null}]}\n\n" +
		"data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n" +
		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n" +
		"data: [DONE]\n\n"
)

// healthy is a plain server without metrics; rows change what they test.
func healthy() *fake {
	return &fake{
		pages:   map[string]string{"/v1/models": oneModel},
		status:  map[string]int{},
		streams: map[string]string{"/v1/completions": goodText},
	}
}

func serve(t *testing.T, f *fake) string {
	t.Helper()
	return serveHandler(t, f)
}

func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "metrics", name))
	require.NoError(t, err)
	return string(b)
}

func serveHandler(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}
