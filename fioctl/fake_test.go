package fioctl

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fake is a fio that never does I/O: a link to the test binary whose name says
// what it pretends to be. What it does with a job, the job's name says.
func fake(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink(self, path))
	return path
}

// recorded is what a real fio wrote; the fake runs elsewhere.
func recorded(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("testdata/process/run.txt")
	require.NoError(t, err)
	return path
}

var (
	sectionForm = regexp.MustCompile(`(?m)^\[([A-Za-z0-9_-]+)\]$`)
	engineForm  = regexp.MustCompile(`(?m)^ioengine=(.*)$`)
	fileForm    = regexp.MustCompile(`(?m)^filename=(.*)$`)
)

// fakeFio is the main function of the fake.
func fakeFio(args []string) int {
	name := filepath.Base(args[0])
	if args[1] == "--version" {
		return fakeVersion(name)
	}
	text, err := os.ReadFile(args[len(args)-1])
	if err != nil {
		return 1
	}
	sections := sectionForm.FindAllSubmatch(text, -1)
	job := string(sections[len(sections)-1][1])
	if job == "trial" {
		return fakeTrial(name, string(engineForm.FindSubmatch(text)[1]))
	}
	f := &fakeRun{out: os.Stdout, signals: make(chan os.Signal, 100)}
	signal.Notify(f.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
	if job == "recorded" {
		// The target's place holds the recording.
		return f.replay(string(fileForm.FindSubmatch(text)[1]))
	}
	return f.play(job)
}

func fakeVersion(name string) int {
	switch name {
	case "fio-old":
		fmt.Println("fio-3.16")
	case "fio-not":
		fmt.Println("Flexible something 7")
	case "fio-broken":
		fmt.Fprintln(os.Stderr, "error while loading shared libraries: libaio.so.1")
		return 127
	case "fio-slow":
		time.Sleep(3 * time.Second)
	default:
		fmt.Println("fio-3.40-12-gabc")
	}
	return 0
}

// fakeTrial answers for one engine as fio 3.33 does: it names the call that
// failed, and exits with 1.
func fakeTrial(name, engine string) int {
	refuse := func(errno int, said string) int {
		fmt.Printf("fio: pid=1, err=%d/file:x.c:1, func=io_queue_init, error=%s\n%s\n", errno, said, fakeDocument(0, errno))
		return 1
	}
	switch {
	case name == "fio-forbidden" && engine == "io_uring":
		return refuse(1, "Operation not permitted")
	case name == "fio-small" && engine != "psync":
		fmt.Fprintf(os.Stderr, "fio: engine %s not loadable\nfio: failed to load engine\n", engine)
		return 1
	case name == "fio-tmpfs":
		return refuse(22, "Invalid argument")
	case name == "fio-silent":
		return 0
	}
	fmt.Println(fakeDocument(8, 0))
	return 0
}

// fakeDocument has the form of fio's, with the members that are read here.
func fakeDocument(ios int64, errno int) string {
	return fmt.Sprintf(`{
  "fio version" : "fio-3.33",
  "timestamp" : %d,
  "timestamp_ms" : %d,
  "jobs" : [
    {
      "jobname" : "load",
      "error" : %d,
      "read" : {
        "io_bytes" : %d,
        "runtime" : %d,
        "total_ios" : %d
      }
    }
  ]
}`, time.Now().Unix(), time.Now().UnixMilli(), errno, ios*4096, ios, ios)
}

// fakeRun is one run of the fake.
type fakeRun struct {
	out     *os.File
	signals chan os.Signal
	ios     int64
}

func (f *fakeRun) say(text string) { _, _ = f.out.WriteString(text) }

func (f *fakeRun) status() {
	f.ios += 100
	f.say(fakeDocument(f.ios, 0) + "\n")
}

// end is how fio ends after a signal that it handles.
func (f *fakeRun) end(sig os.Signal) int {
	f.say(fmt.Sprintf("\nfio: terminating on signal %d\n", sig))
	f.status()
	return exitSignalled
}

// play acts as the job's name says. Whoever is not stopped ends after 20 s.
func (f *fakeRun) play(job string) int {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	if job == "notes" {
		f.say("note: both iodepth >= 1 and synchronous I/O engine are selected\nfio: {a note with a brace}\n")
	}
	for n := 0; ; {
		select {
		case <-limit:
			return 99
		case sig := <-f.signals:
			if sig == syscall.SIGUSR1 {
				continue
			}
			if code, ends := f.stop(job, sig); ends {
				return code
			}
			continue
		case <-tick.C:
		}
		if code, ends := f.tick(job, n); ends {
			return code
		}
		n++
	}
}

// stop answers SIGINT and SIGTERM.
func (f *fakeRun) stop(job string, sig os.Signal) (code int, ends bool) {
	switch {
	case job == "deaf", job == "stubborn" && sig == syscall.SIGINT:
		return 0, false
	case job == "truncated":
		text := fakeDocument(f.ios, 0)
		f.say(text[:len(text)/2])
		return exitSignalled, true
	}
	return f.end(sig), true
}

// tick does what is due at the n-th tick.
func (f *fakeRun) tick(job string, n int) (code int, ends bool) {
	switch {
	case job == "idle":
		f.say(fakeDocument(0, 0) + "\n")
	case job == "refused":
		fmt.Fprintln(os.Stderr, "fio: CPU 77 too large (max=1)\nfio: failed parsing cpus_allowed=77")
		return 1, true
	case job == "full" && n == 5:
		f.say("fio: io_u error on file /t/f: No space left on device: write offset=0\n" + fakeDocument(f.ios, 28) + "\n")
		return 1, true
	case job == "sick" && n == 5:
		f.say(fakeDocument(f.ios, 5) + "\n")
		return 1, true
	case job == "crash" && n == 5:
		return 3, true
	case job == "early" && n == 5:
		f.status()
		return 0, true
	case n == 1 && (job == "held" || job == "escaped"):
		// A child of fio that keeps the pipe open.
		cmd := exec.Command("/proc/self/exe", "--version")
		cmd.Args[0], cmd.Stdout = "fio-slow", f.out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: job == "escaped"}
		_ = cmd.Start()
		f.status()
	case job == "glued":
		f.ios += 100
		f.say(fakeDocument(f.ios, 0))
	case job == "huge" && n < 3:
		f.ios += 100
		filler := strings.Repeat(`"9" : 1, `, 1<<17)
		f.say(strings.Replace(fakeDocument(f.ios, 0), `"error" :`, `"filler" : {`+filler+`"8" : 1}, "error" :`, 1) + "\n")
	default:
		f.status()
	}
	return 0, false
}

// replay writes the recorded run with the stamps of now: all but its end at
// once, the end at the signal; then it exits as fio did.
func (f *fakeRun) replay(path string) int {
	coded := filepath.Base(path)
	source, err := base64.RawURLEncoding.DecodeString(coded)
	if err != nil {
		return 98
	}
	text, err := os.ReadFile(string(source))
	if err != nil {
		return 98
	}
	live, final, _ := bytes.Cut(text, []byte("\nfio: terminating"))
	stamp := regexp.MustCompile(`"timestamp_ms" : \d+`)
	now := func(b []byte) string {
		return stamp.ReplaceAllString(string(b), `"timestamp_ms" : `+strconv.FormatInt(time.Now().UnixMilli(), 10))
	}
	for doc := range bytes.SplitAfterSeq(live, []byte("\n}\n")) {
		f.say(now(doc))
		time.Sleep(20 * time.Millisecond)
	}
	for sig := range f.signals {
		if sig == syscall.SIGINT {
			f.say("\nfio: terminating" + now(final))
			return exitSignalled
		}
	}
	return 99
}
