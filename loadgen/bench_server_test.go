package loadgen

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/clock"
)

// The server that the client is measured against: raw sockets, one thread that
// writes every token at its moment, and the CLOCK_MONOTONIC instant of each
// write, taken just before it, kept as the truth and put into the text.

const (
	benchTokens = 64
	benchFirst  = 200 * time.Millisecond
	benchGap    = 20 * time.Millisecond
)

// pacing is when the server's tokens leave.
type pacing string

const (
	paceSpread   pacing = "spread"   // each stream by its own start
	paceLockstep pacing = "lockstep" // all at once on a grid of benchGap, as a batching engine steps
	paceNone     pacing = "unpaced"  // as fast as the socket takes them
)

// truth is what the server knows of one stream.
type truth struct {
	Prompt uint64
	Begun  time.Duration // the request was read
	Sent   [benchTokens]time.Duration
}

type benchServer struct {
	clk  clock.Clock
	pace pacing

	mu     sync.Mutex
	fresh  []*benchStream
	truths []*truth
}

type benchStream struct {
	fd     int
	triton bool
	truth  *truth
	next   int
	over   chan struct{}
}

// TestBenchServer is not a test: benchmarks run it in a process of its own.
func TestBenchServer(t *testing.T) {
	pace := pacing(os.Getenv("LOADGEN_BENCH_SERVER"))
	if pace == "" {
		t.Skip("a helper process of the benchmarks")
	}
	runtime.GOMAXPROCS(2) // the writing thread keeps a processor of its own
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &benchServer{clk: clock.New(), pace: pace}
	fmt.Printf("http://%s\n", l.Addr())
	go s.write()
	go func() { // ends with its parent
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go s.converse(c.(*net.TCPConn))
	}
}

// converse answers a connection's requests.
func (s *benchServer) converse(c *net.TCPConn) {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	stream := &benchStream{over: make(chan struct{}, 1)}
	_ = raw.Control(func(fd uintptr) { stream.fd = int(fd) })
	in := bufio.NewReaderSize(c, 2048)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if req.URL.Path == "/truth" {
			s.tell(c)
			return
		}
		stream.truth = &truth{Prompt: uint64(promptHash(body)), Begun: s.clk.Now()}
		stream.next = 0
		stream.triton = strings.HasPrefix(req.URL.Path, "/v2/")
		s.mu.Lock()
		s.truths = append(s.truths, stream.truth)
		s.fresh = append(s.fresh, stream)
		s.mu.Unlock()
		if s.pace == paceNone {
			s.pour(stream)
			continue
		}
		<-stream.over
	}
}

// promptHash finds the prompt in a body that needs no escapes.
func promptHash(body []byte) Hash {
	_, rest, ok := bytes.Cut(body, []byte(`"prompt":"`))
	if !ok {
		_, rest, _ = bytes.Cut(body, []byte(`"text_input":"`))
	}
	prompt, _, _ := bytes.Cut(rest, []byte(`"`))
	return hashText(string(prompt))
}

const benchEvent = `data: {"id":"cmpl-0123456789abcdef","object":"text_completion","created":1795430204,"model":"m","choices":[{"index":0,"text":" %019d","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":null}` + "\n\n"

// event renders token n of a stream, with the header before the first and the
// end after the last.
func (s *benchServer) event(b []byte, triton bool, n int, at time.Duration) []byte {
	b = b[:0]
	if n == 0 {
		b = append(b, streamHead...)
	}
	event := benchEvent
	if triton {
		event = benchTriton
	}
	e := fmt.Sprintf(event, int64(at))
	b = fmt.Appendf(b, "%x\r\n%s\r\n", len(e), e)
	switch {
	case n < benchTokens-1:
	case triton:
		b = append(b, "0\r\n\r\n"...)
	default:
		tail := finish + `data: {"choices":[],"usage":{"prompt_tokens":64,"completion_tokens":` + strconv.Itoa(benchTokens) + "}}\n\n" + done
		b = fmt.Appendf(b, "%x\r\n%s\r\n0\r\n\r\n", len(tail), tail)
	}
	return b
}

// emit writes the stream's next token and reports whether it was the last.
func (s *benchServer) emit(st *benchStream, b []byte) ([]byte, bool) {
	at := s.clk.Now()
	st.truth.Sent[st.next] = at
	b = s.event(b, st.triton, st.next, at)
	for out := b; len(out) > 0; {
		n, err := unix.Write(st.fd, out)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return b, true
		}
		out = out[max(n, 0):]
	}
	st.next++
	return b, st.next == benchTokens
}

func (s *benchServer) pour(st *benchStream) {
	var b []byte
	for over := false; !over; {
		b, over = s.emit(st, b)
	}
}

// write is the thread that sends every token at its moment.
func (s *benchServer) write() {
	if s.pace == paceNone {
		return
	}
	runtime.LockOSThread()
	var active []*benchStream
	var b []byte
	const step = 250 * time.Microsecond
	for tick := s.clk.Now().Truncate(benchGap); ; {
		if s.pace == paceLockstep {
			tick += benchGap
		} else {
			tick += step
		}
		sleepUntil(tick)
		s.mu.Lock()
		active = append(active, s.fresh...)
		s.fresh = s.fresh[:0]
		s.mu.Unlock()
		kept := active[:0]
		for _, st := range active {
			over := false
			if s.due(st) <= tick {
				if b, over = s.emit(st, b); over {
					st.over <- struct{}{}
				}
			}
			if !over {
				kept = append(kept, st)
			}
		}
		active = kept
	}
}

func (s *benchServer) due(st *benchStream) time.Duration {
	return st.truth.Begun + benchFirst + time.Duration(st.next)*benchGap
}

func sleepUntil(at time.Duration) {
	ts := unix.NsecToTimespec(int64(at))
	for errors.Is(unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil), unix.EINTR) {
	}
}

// tell sends all truths, and forgets them.
func (s *benchServer) tell(c io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	for _, t := range s.truths {
		if t.Sent[benchTokens-1] != 0 {
			_ = binary.Write(&b, binary.LittleEndian, t)
		}
	}
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", b.Len())
	_, _ = c.Write(b.Bytes())
}

// readTruths asks the server what it knows.
func readTruths(url string) (map[Hash]*truth, error) {
	resp, err := http.Get(url + "/truth")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	all := map[Hash]*truth{}
	in := bufio.NewReader(resp.Body)
	for {
		t := &truth{}
		if err := binary.Read(in, binary.LittleEndian, t); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all[Hash(t.Prompt)] = t
	}
}
