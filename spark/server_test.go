package spark

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAttachSettlesTheModel(t *testing.T) {
	f := healthy()
	f.pages["/v1/models"] = `{"data":[{"id":"lora-a","parent":"base"},{"id":"base","max_model_len":4096},{"id":"other"}]}`
	url := serve(t, f)

	s, err := Attach(t.Context(), Endpoint{URL: url + "/v1/"})
	require.NoError(t, err)
	require.Equal(t, "base", s.Endpoint.Model, "an adapter is not the server's model")
	require.Equal(t, url, s.Endpoint.URL, "a pasted /v1 is cut off")
	require.Equal(t, []string{"lora-a", "base", "other"}, s.Models)
	require.Equal(t, "openai-completions", s.Dialect)
	require.Equal(t, int64(4096), *s.Facts.MaxModelLen)
	require.Positive(t, s.FirstToken)

	s, err = Attach(t.Context(), Endpoint{URL: url, Model: "lora-a"})
	require.NoError(t, err)
	require.Equal(t, "lora-a", s.Endpoint.Model, "a name given is used")
}

func TestAttachRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*fake)
		model  string
		want   error
		says   string
	}{
		"wrong model": {func(*fake) {}, "n", ErrWrongModel, `does not list "n" (it has: m)`},
		"no models":   {func(f *fake) { f.pages["/v1/models"] = `{"data":[]}` }, "", ErrNotReady, "no model listed"},
		"loading":     {func(f *fake) { f.status["/v1/models"] = 503 }, "", ErrNotReady, "wait until it has loaded"},
		"not OpenAI":  {func(f *fake) { f.status["/v1/models"] = 400 }, "", ErrNotOpenAI, "right port"},
		"HTML":        {func(f *fake) { f.pages["/v1/models"] = "<html>" }, "", ErrNotOpenAI, "right port"},
		"key wanted":  {func(f *fake) { f.key = "other" }, "", ErrUnauthorized, "give the key"},
		"engine dead": {func(f *fake) { f.status["/v1/completions"] = 500 }, "", ErrNotReady, "status 500"},
		"no token":    {func(f *fake) { f.streams["/v1/completions"] = "data: [DONE]\n\n" }, "", ErrNotReady, "without a token"},
		"role chunk only": {func(f *fake) {
			f.streams["/v1/completions"] = `data: {"choices":[{"delta":{"role":"assistant","content":""}}]}` + "\n\n"
		}, "", ErrNotReady, "without a token"},
		"error in stream":    {func(f *fake) { f.streams["/v1/completions"] = `data: {"error":{"message":"boom"}}` + "\n\n" }, "", ErrNotReady, "boom"},
		"garbage in stream":  {func(f *fake) { f.streams["/v1/completions"] = "data: {\n\n" }, "", ErrNotReady, "not JSON"},
		"no route to tokens": {func(f *fake) { f.streams = nil }, "", ErrNotOpenAI, "neither completions nor chat"},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy()
			row.change(f)
			_, err := Attach(t.Context(), Endpoint{URL: serve(t, f), Model: row.model, APIKey: "sk-very-secret"})
			require.ErrorIs(t, err, row.want)
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), "sk-very-secret", "a key echoed by the server must not reach a log")
		})
	}
}

func TestAttachUnreachableNamesURLAndRemedy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	_, err = Attach(t.Context(), Endpoint{URL: url})
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, url)
	require.ErrorContains(t, err, "start the server")
}

func TestAttachRefusesBadEndpoints(t *testing.T) {
	for _, row := range []struct{ url, says string }{
		{"", "not an http or https URL"},
		{"localhost:8000", "not an http or https URL"},
		{"http://", "not an http or https URL"},
		{"http://user:hunter2@localhost:8000", "credentials do not belong"},
		{"http://a b:hunter2@%zz", "not a URL"},
	} {
		_, err := Attach(t.Context(), Endpoint{URL: row.url})
		require.ErrorContains(t, err, row.says)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err := Attach(t.Context(), Endpoint{URL: "http://localhost", CAFile: "/does/not/exist"})
	require.ErrorContains(t, err, "CA file")
}

func TestAttachTakesChatWhereThatIsAllThereIs(t *testing.T) {
	f := healthy()
	f.streams = map[string]string{"/v1/chat/completions": `data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}` + "\n\n"}
	s, err := Attach(t.Context(), Endpoint{URL: serve(t, f)})
	require.NoError(t, err)
	require.Equal(t, "openai-chat", s.Dialect)
}

func TestAttachTimesOutOnASilentServer(t *testing.T) {
	f := healthy()
	silent := http.NewServeMux()
	silent.Handle("/", f)
	silent.HandleFunc("/v1/completions", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // else the server does not notice the client leave
		w.(http.Flusher).Flush()    // headers at once, as trtllm-serve does
		<-r.Context().Done()
	})
	_, err := Attach(t.Context(), Endpoint{URL: serveHandler(t, silent), ReadyTimeout: 50 * time.Millisecond})
	require.ErrorIs(t, err, ErrNotReady)
	require.ErrorContains(t, err, "no token within 50ms")
}

func TestServerNeverStoresTheKey(t *testing.T) {
	f := healthy()
	f.key = "sk-very-secret"
	s, err := Attach(t.Context(), Endpoint{URL: serve(t, f), APIKey: f.key})
	require.NoError(t, err)
	b, err := json.Marshal(s)
	require.NoError(t, err)
	require.NotContains(t, string(b), f.key)
}

func TestFind(t *testing.T) {
	dead := healthy()
	dead.status["/v1/completions"] = 500
	bad, good := serve(t, dead), serve(t, healthy())

	s, err := Find(t.Context(), Endpoint{}, []string{bad, good})
	require.NoError(t, err)
	require.Equal(t, good, s.Endpoint.URL, "the first healthy one, not the first that listens")

	_, err = Find(t.Context(), Endpoint{}, []string{bad})
	require.ErrorIs(t, err, ErrNoServer)
	require.ErrorIs(t, err, ErrNotReady)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Find(ctx, Endpoint{}, []string{bad})
	require.ErrorIs(t, err, context.Canceled)
}

func TestAttachTrustsACAFile(t *testing.T) {
	srv := httptest.NewTLSServer(healthy())
	t.Cleanup(srv.Close)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of the refused handshake
	_, err := Attach(t.Context(), Endpoint{URL: srv.URL})
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "certificate")

	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	s, err := Attach(t.Context(), Endpoint{URL: srv.URL, CAFile: ca})
	require.NoError(t, err)
	require.Equal(t, "m", s.Endpoint.Model)

	require.NoError(t, os.WriteFile(ca, []byte("no PEM"), 0o600))
	_, err = Attach(t.Context(), Endpoint{URL: srv.URL, CAFile: ca})
	require.ErrorContains(t, err, "no certificate in it")
}
