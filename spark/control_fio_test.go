//go:build fio

package spark

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// engineHere is a container engine that answers, or the test is skipped.
func engineHere(t *testing.T) string {
	t.Helper()
	var said []string
	for _, name := range engines() {
		out, err := exec.CommandContext(t.Context(), name, "info").CombinedOutput()
		if err == nil {
			return name
		}
		said = append(said, fmt.Sprintf("%s: %v: %.200s", name, err, out))
	}
	t.Skipf("SKIPPED: no container engine that can be used here: %s", strings.Join(said, "; "))
	return ""
}

// engineTool runs an engine's command that must succeed, and returns its output.
func engineTool(t *testing.T, stdin io.Reader, engine string, args ...string) string {
	t.Helper()
	cmd := exec.Command(engine, args...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v: %s", engine, args, said.String())
	return strings.TrimSpace(string(out))
}

// emulatorImage is an image that holds our own program and nothing else.
func emulatorImage(t *testing.T, engine string) (id string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "spark")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/spark")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	b, err := os.ReadFile(program)
	require.NoError(t, err)
	var image bytes.Buffer
	w := tar.NewWriter(&image)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "spark", Mode: 0o755, Size: int64(len(b))}))
	_, err = w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	id = engineTool(t, &image, engine, "import", "--change", `ENTRYPOINT ["/spark", "serve", "emulator", "--no-paging"]`, "-")
	t.Cleanup(func() { engineTool(t, nil, engine, "image", "rm", id) })
	return id
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// A server in a real container is restarted, answers again, and is another
// process with counters at their beginning.
func TestRealContainerIsRestarted(t *testing.T) {
	engine := engineHere(t)
	image, address := emulatorImage(t, engine), freeAddress(t)
	id := engineTool(t, nil, engine, "run", "--detach", "--network", "host", image, "--addr", address)
	t.Cleanup(func() { engineTool(t, nil, engine, "rm", "--force", "--volumes", id) })
	pid := func() string { return engineTool(t, nil, engine, "inspect", "--format", "{{.State.Pid}}", id) }

	e := Endpoint{URL: "http://" + address}
	var s *Server
	require.Eventually(t, func() (ok bool) {
		var err error
		s, err = Attach(t.Context(), e)
		return err == nil
	}, 30*time.Second, 50*time.Millisecond, engineTool(t, nil, engine, "logs", id))
	for range 3 {
		_, err := Attach(t.Context(), e) // generates
		require.NoError(t, err)
	}
	generated := func(s *Server) float64 {
		scraper, err := NewScraper(s, 0)
		require.NoError(t, err)
		return *scraper.Scrape(t.Context()).Point().Counters.GenerationTokens
	}
	before, first := generated(s), pid()

	began := time.Now()
	means, err := Control{Container: id, Timeout: 2 * time.Minute, Say: func(line string) { t.Log(line) }}.Cold(t.Context(), s, nil)
	require.NoError(t, err)
	require.Equal(t, MeansContainer, means)
	t.Logf("%s: restarted and ready within %v", engine, time.Since(began).Round(time.Millisecond))
	require.NotEqual(t, first, pid())
	require.Less(t, generated(s), before, "the same Server reads the new process")

	_, err = Control{Container: "spark-no-such-container"}.Choose(t.Context(), s)
	require.ErrorIs(t, err, ErrNoMeans)
	require.ErrorContains(t, err, "No such container")

	// One that does not come back is noticed by its end, not by the timeout.
	engineTool(t, nil, engine, "stop", "--time", "5", id)
	again(t, address, http.NotFoundHandler())
	began = time.Now()
	_, err = Control{Container: id, Timeout: 2 * time.Minute}.Cold(t.Context(), s, nil)
	require.ErrorContains(t, err, "address already in use", "its log says why")
	require.Less(t, time.Since(began), time.Minute)
}
