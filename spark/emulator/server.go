package emulator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spark-harness/harness/internal/clock"
)

// server is the HTTP side of a running emulator.
type server struct {
	cfg     Config
	info    Info
	clk     clock.Clock
	arena   *arena
	eng     *engine
	spill   *spill // nil without a disk tier
	lora    loraMemory
	loras   *catalogue // nil without adapters
	journal *journal   // nil without a truth log
	ttft    *hist
	salt    uint64
	started time.Time

	requests, refused atomic.Int64
	door              door
	triton            *triton // nil without Triton's face
}

// door counts the handlers inside and lets none in once it is shut.
type door struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.inside.Add(1)
	}
	return !d.closed
}

func (d *door) leave() { d.inside.Done() }

// shut returns when everybody has left.
func (d *door) shut() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.inside.Wait()
}

// Serve runs the server until ctx ends, which is its normal end and gives nil.
// It calls ready, if not nil, once requests are answered; before that it has
// written the spill file, which takes seconds unless a kept one is reused.
// When it returns, every goroutine, descriptor, mapping and, without
// Config.KeepSpill, the spill file are gone; answers under way are cut.
//
// Errors wrap ErrConfig, ErrMemory, ErrNoDisk, ErrNoDirect, ErrSpillBusy,
// ErrSpace or ErrAdapters where one of them is the cause.
func Serve(ctx context.Context, cfg Config, ready func(Info)) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	s := &server{cfg: cfg, clk: clock.New(), ttft: newHist(1e-3, 18), started: time.Now()}
	s.salt = mix(uint64(s.clk.Now()))
	defer func() { err = errors.Join(err, s.free()) }()
	if err := s.furnish(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	faces, err := s.listen(ctx)
	if err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return errors.Join(err, shut(faces))
	}
	s.info = describe(cfg, faces, s.spill)
	s.describeAdapters(&s.info)
	return s.run(ctx, faces, ready)
}

// listening is one of the addresses that a server answers on.
type listening struct {
	ln      net.Listener
	handler http.Handler
}

// listen opens the OpenAI face first and then, where there is one, Triton's.
func (s *server) listen(ctx context.Context) ([]listening, error) {
	open := func(addr string) (net.Listener, error) {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("emulator: listen on %s: %w", addr, err)
		}
		return ln, nil
	}
	ln, err := open(cmp.Or(s.cfg.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	faces := []listening{{ln, s.guard(s.handler())}}
	if s.cfg.TritonAddr == "" {
		return faces, nil
	}
	if ln, err = open(s.cfg.TritonAddr); err != nil {
		return nil, errors.Join(err, shut(faces))
	}
	s.triton = newTriton(s)
	return append(faces, listening{ln, s.guard(s.triton.handler())}), nil
}

func shut(faces []listening) error {
	var errs []error
	for _, f := range faces {
		errs = append(errs, f.ln.Close())
	}
	return errors.Join(errs...)
}

// furnish takes what free gives back: memory, timer, adapters, spill file.
func (s *server) furnish(ctx context.Context) (err error) {
	if s.arena, err = newArena(s.cfg.poolBlocks(), s.cfg.BlockBytes()); err != nil {
		return err
	}
	if s.eng, err = newEngine(s.clk, s.cfg, s.arena); err != nil {
		return err
	}
	if s.cfg.AdapterDir != "" {
		if err = s.furnishAdapters(ctx); err != nil {
			return err
		}
	}
	if s.cfg.SpillBytes > 0 {
		s.spill, err = openSpill(ctx, s.cfg)
	}
	return err
}

// start makes what its own goroutine of run closes: disk and journal.
func (s *server) start() (err error) {
	if s.spill != nil {
		if s.eng.disk, err = newDisk(s.clk, s.cfg.IODepth, s.spill, s.arena, s.eng.landed); err != nil {
			return err
		}
	}
	if s.journal, err = newJournal(s.cfg.TruthPath, s.cfg.Epoch); err != nil && s.eng.disk != nil {
		err = errors.Join(err, s.eng.disk.aio.close())
	}
	s.eng.keepLatencies = s.journal != nil
	return err
}

func (s *server) free() error {
	var errs []error
	if s.spill != nil {
		errs = append(errs, s.spill.close())
	}
	errs = append(errs, s.lora.close())
	if s.eng != nil {
		errs = append(errs, s.eng.timer.close())
	}
	if s.arena != nil {
		errs = append(errs, s.arena.close())
	}
	return errors.Join(errs...)
}

func describe(cfg Config, faces []listening, sp *spill) Info {
	i := Info{
		URL: "http://" + faces[0].ln.Addr().String(), Model: cfg.Model,
		MaxContextTokens: cfg.ContextTokens(), MaxSeqs: cfg.MaxSeqs,
		PoolTokens: cfg.PoolTokens, PoolBytes: cfg.PoolBytes(),
		BlockTokens: cfg.BlockTokens, BlockBytes: cfg.BlockBytes(), KVBytesPerToken: cfg.KVBytesPerToken,
		SpillBytes: cfg.SpillBytes, PID: os.Getpid(),
	}
	if len(faces) > 1 {
		i.TritonURL = "http://" + faces[1].ln.Addr().String()
	}
	if sp != nil {
		i.SpillPath, i.SpillReused = sp.path, sp.reused
	}
	return i
}

// run starts the parts, waits for the end, and stops them in the order in
// which they depend on each other: connections, engine, loader, disk, journal.
func (s *server) run(ctx context.Context, faces []listening, ready func(Info)) error {
	g, running := errgroup.WithContext(ctx)
	answering, cut := context.WithCancelCause(running)
	closeWeb := serveFaces(g, answering, faces)
	diskDone := make(chan struct{})
	g.Go(s.eng.run)
	if s.eng.loader != nil {
		g.Go(s.eng.loader.run)
	}
	g.Go(func() error {
		defer close(diskDone)
		if s.eng.disk == nil {
			return nil
		}
		return s.eng.disk.run()
	})
	if s.journal != nil {
		g.Go(s.journal.run)
	}
	ticking := make(chan struct{})
	s.journal.put(Truth{Kind: TruthStart, At: s.clk.Now(), Start: &StartTruth{s.cfg, s.info}})
	g.Go(func() error { defer close(ticking); s.tick(running); return nil })
	if ready != nil {
		ready(s.info)
	}
	<-running.Done()
	cut(errStopping)
	err := closeWeb()
	s.door.shut()
	<-ticking
	s.eng.stop(nil)
	if s.eng.loader != nil {
		s.eng.loader.close()
	}
	if s.eng.disk != nil {
		s.eng.disk.close()
	}
	<-diskDone
	s.journal.end(s.clk.Now())
	return errors.Join(g.Wait(), err)
}

// serveFaces answers on every address until the function returned is called,
// which drops the connections.
func serveFaces(g *errgroup.Group, answering context.Context, faces []listening) func() error {
	webs := make([]*http.Server, len(faces))
	for i, f := range faces {
		webs[i] = &http.Server{
			Handler:           f.handler,
			BaseContext:       func(net.Listener) context.Context { return answering },
			ReadHeaderTimeout: 30 * time.Second,
			ErrorLog:          log.New(io.Discard, "", 0), // libraries do not print
		}
		g.Go(func() error {
			if err := webs[i].Serve(f.ln); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("emulator: serve: %w", err)
			}
			return nil
		})
	}
	return func() error {
		var errs []error
		for _, web := range webs {
			errs = append(errs, web.Close())
		}
		return errors.Join(errs...)
	}
}

// tick logs the state once a second.
func (s *server) tick(ctx context.Context) {
	if s.journal == nil {
		return
	}
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		var now SecondTruth
		if !s.eng.call(func() { now = s.eng.second() }) {
			return
		}
		s.journal.put(Truth{Kind: TruthSecond, At: s.clk.Now(), Second: &now})
	}
}

// handler routes as vLLM does; what is not there answers as FastAPI does.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	detail := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, status, map[string]string{"detail": http.StatusText(status)})
		}
	}
	route := func(method, path string, h http.HandlerFunc) {
		mux.HandleFunc(method+" "+path, h)
		mux.HandleFunc(path, detail(http.StatusMethodNotAllowed))
	}
	empty := func(http.ResponseWriter, *http.Request) {}
	route("POST", "/v1/completions", s.generate(false))
	route("POST", "/v1/chat/completions", s.generate(true))
	route("POST", "/tokenize", s.tokenize)
	route("GET", "/v1/models", s.models)
	route("POST", "/v1/load_lora_adapter", s.loadAdapter)
	route("POST", "/v1/unload_lora_adapter", s.unloadAdapter)
	route("GET", "/metrics", s.metrics)
	route("GET", "/health", empty)
	route("GET", "/ping", empty)
	route("GET", "/version", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"version": "spark-emulator"})
	})
	mux.HandleFunc("/", detail(http.StatusNotFound))
	return mux
}

// guard counts who is inside h, so that the engine ends after them.
func (s *server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.door.enter() {
			panic(http.ErrAbortHandler) // the connection is being closed
		}
		defer s.door.leave()
		h.ServeHTTP(w, r)
	})
}

func (s *server) tokenize(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Model            any       `json:"model"`
		Prompt           string    `json:"prompt"`
		Messages         []message `json:"messages"`
		AddSpecialTokens any       `json:"add_special_tokens"`
		ReturnTokenStrs  any       `json:"return_token_strs"`
	}
	if e := decode(http.MaxBytesReader(w, r.Body, maxBodyBytes), &req, s.cfg.Strict); e != nil {
		writeError(w, e)
		return
	}
	toks := tokenize(req.Prompt)
	if len(req.Messages) > 0 {
		var e *apiError
		if toks, e = chatTokens(req.Messages); e != nil {
			writeError(w, e)
			return
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"count": len(toks), "max_model_len": s.cfg.ContextTokens(), "tokens": toks, "token_strs": nil,
	})
}
