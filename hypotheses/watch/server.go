package watch

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultAddr is where a run is served when no address is named.
const DefaultAddr = "127.0.0.1:8080"

// ErrAddr is wrapped by errors of an address that cannot be one.
var ErrAddr = errors.New("not an address to serve on")

// ParseAddr completes an address to host:port: "8080" and ":8080" are this
// host's own loopback. Another host than that must be written out. Names other
// than localhost are refused: what they mean can change.
func ParseAddr(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = "", s
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || s == "" {
		return "", fmt.Errorf("watch: %q: %w: want 8080 or %s", s, ErrAddr, DefaultAddr)
	} else {
		port = strconv.FormatUint(n, 10)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "", fmt.Errorf("watch: %q: %w: want an IP address before the port, such as %s", s, ErrAddr, DefaultAddr)
	}
	return net.JoinHostPort(host, port), nil
}

// Server serves a Hub. It ends with Close, and leaves nothing behind then.
type Server struct {
	hub     *Hub
	addr    netip.AddrPort
	http    *http.Server
	done    chan struct{} // closed when the run is over
	drained chan struct{} // closed when the hub knows everything
	ending  sync.WaitGroup
	err     error // of Serve, valid after ending
	readers atomic.Int64
}

// Open serves a new Hub on addr (see ParseAddr; port 0 takes a free one) until
// Close. A port that is taken is an error here, before anything is measured.
func Open(addr string) (*Server, error) { return open(addr, New()) }

func open(addr string, h *Hub) (*Server, error) {
	addr, err := ParseAddr(addr)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, refused(addr, err)
	}
	s := &Server{hub: h, addr: l.Addr().(*net.TCPAddr).AddrPort(), done: make(chan struct{}), drained: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that vanish are nobody's business
	}
	s.ending.Go(func() {
		defer close(s.drained)
		h.run(s.done)
	})
	s.ending.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.err = fmt.Errorf("watch: serve %s: %w (the run's own files are whole)", addr, err)
		}
	})
	return s, nil
}

// refused says what to do about an address that cannot be served on.
func refused(addr string, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("watch: serve on %s: %w (another run may be watched there; choose another port, such as --watch=127.0.0.1:8081 or SPARK_HTTP=127.0.0.1:8081)", addr, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("watch: serve on %s: %w (want an address of this host, such as %s)", addr, err, DefaultAddr)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("watch: serve on %s: %w (want a port from 1024 up)", addr, err)
	}
	return fmt.Errorf("watch: serve on %s: %w", addr, err)
}

// Hub is what the server shows; nil for a nil Server.
func (s *Server) Hub() *Hub {
	if s == nil {
		return nil
	}
	return s.hub
}

// URL is the page's address.
func (s *Server) URL() string { return "http://" + s.addr.String() + "/" }

// Public says that other hosts can read the page: whoever reaches the port sees
// the target's URL and model, and there is no password.
func (s *Server) Public() bool { return !s.addr.Addr().IsLoopback() }

// closeAfter is how long readers may take to get the last news.
const closeAfter = time.Second

// Close tells every reader that the run is over, waits a second at most for
// them, and ends everything. It returns the error that ended the service early,
// which is no fault of the run. A nil Server has nothing to end.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	close(s.done)
	ctx, cancel := context.WithTimeout(context.Background(), closeAfter)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close() // somebody reads too slowly, or not at all
	}
	s.ending.Wait()
	return errors.Join(s.err, err)
}

//go:embed page
var page embed.FS // read-only

// handler is every path that is served.
func (s *Server) handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // "page" is a valid path
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /metrics", s.hub.metrics)
	return s.guard(mux)
}

// guard lets a page take nothing from anywhere else, and a loopback server
// answer only to names of this host, so that no site can point a name of its
// own here and read along.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.Public() && !ownName(r.Host) {
			http.Error(w, "this page is served on loopback: open "+s.URL(), http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// ownName says that a Host header names this host's loopback.
func ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
