package spark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/spark-harness/harness/spark/emulator"
)

// childMarker as first argument makes a process the emulator. It is no word
// that anyone types, so it cannot collide with a program's own arguments.
const childMarker = "--spark-emulator-child--"

// reportFD is the descriptor on which a child reports to its parent.
const reportFD = 3

// childGrace is how long a child may clean up once its parent let go of it.
const childGrace = 10 * time.Second

// report is what a child tells its parent, a JSON line each: that it runs,
// what it serves, why it ended.
type report struct {
	Hello bool           `json:"hello,omitempty"`
	Info  *emulator.Info `json:"info,omitempty"`
	Error string         `json:"error,omitempty"`
}

// RunChild is the hook that makes StartEmulator and ApplyThrottle work:
// programs and TestMain call it with os.Args before anything else. In a process
// that one of them started it serves, or guards settings, until the parent
// closes its standard input or dies, and returns the exit status with handled
// set; in any other process it returns at once with handled false.
func RunChild(args []string) (exit int, handled bool) {
	if !isChild(args) {
		return 0, false
	}
	out := os.NewFile(reportFD, "report")
	if out == nil {
		return 2, true // typed by hand: nobody listens
	}
	defer out.Close()
	if args[1] == guardianMarker {
		return runGuardian(os.Stdin, out), true
	}
	return runChild(os.Stdin, out, emulator.Serve), true
}

// isChild tells whether a program was started to become one of our children.
func isChild(args []string) bool {
	return len(args) > 1 && (args[1] == childMarker || args[1] == guardianMarker)
}

// serveFunc is emulator.Serve's form.
type serveFunc func(context.Context, emulator.Config, func(emulator.Info)) error

// runChild reads the config, serves, and reports. The end of stdin is the one
// sign to stop: the kernel gives it when the parent closes the pipe and also
// when the parent is killed, and unlike a parent-death signal it leaves time to
// remove the spill file. Past childGrace the process ends itself.
func runChild(stdin io.Reader, out io.Writer, serve serveFunc) (exit int) {
	enc := json.NewEncoder(out)
	fail := func(err error) int {
		// A parent that is gone cannot hear; the exit status is all there is.
		_ = enc.Encode(report{Error: err.Error()})
		return 1
	}
	if err := enc.Encode(report{Hello: true}); err != nil {
		return 1
	}
	dec := json.NewDecoder(stdin)
	var cfg emulator.Config
	if err := dec.Decode(&cfg); err != nil {
		return fail(fmt.Errorf("spark: read config from parent: %w", err))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		// What is on the pipe beyond the config is of no interest, its end is.
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
		select {
		case <-done:
		case <-time.After(childGrace):
			// Cleaning up hangs; a stuck server is worse than its leftovers.
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}()
	var lost error
	err := serve(ctx, cfg, func(info emulator.Info) {
		if lost = enc.Encode(report{Info: &info}); lost != nil {
			cancel()
		}
	})
	if lost != nil {
		return 1
	}
	if err != nil && !errors.Is(err, context.Canceled) { // cancelled: asked to stop
		return fail(err)
	}
	return 0
}
