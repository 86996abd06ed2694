package fioctl

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Roles that a copy of the test binary plays.
const (
	parentRole  = "--test-parent--"  // starts a fio and waits to be killed
	seccompRole = "--test-seccomp--" // looks for fio where io_uring is forbidden
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch arg := os.Args[1]; {
		case arg == "--version", strings.HasPrefix(arg, "--output-format="):
			os.Exit(fakeFio(os.Args))
		case arg == parentRole:
			os.Exit(parent(os.Args[2:]))
		case arg == seccompRole:
			os.Exit(withoutURing(os.Args[2:]))
		}
	}
	goleak.VerifyTestMain(m)
}
