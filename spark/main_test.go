package spark

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spark-harness/harness/spark/emulator"
)

// Roles that a copy of the test binary plays besides being the emulator.
const (
	parentRole  = "--test-parent--"    // starts an emulator and waits to be killed
	withoutHook = "SPARK_TEST_NO_HOOK" // when set, the copy does not call RunChild
)

func TestMain(m *testing.M) {
	if os.Getenv(withoutHook) != "" {
		os.Exit(0)
	}
	if exit, handled := RunChild(os.Args); handled {
		os.Exit(exit)
	}
	// A process under the race detector lingers for a second; ours need not.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	if len(os.Args) > 2 && os.Args[1] == parentRole {
		os.Exit(parent(os.Args[2]))
	}
	if len(os.Args) > 2 && os.Args[1] == throttleRole {
		os.Exit(throttleParent(os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

// parent starts the emulator that the argument describes, prints the process
// as JSON and never stops it.
func parent(config string) int {
	var cfg emulator.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p, err := StartEmulator(context.Background(), cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(p); err != nil {
		return 1
	}
	time.Sleep(time.Minute)
	return 1
}
