package fioctl

import (
	"os"
	"strings"
	"syscall"
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
			exit(fakeFio(os.Args))
		case arg == parentRole:
			exit(parent(os.Args[2:]))
		case arg == seccompRole:
			exit(withoutURing(os.Args[2:]))
		}
	}
	goleak.VerifyTestMain(m)
}

// exit ends a copy at once: os.Exit waits a second for reports in a race build.
func exit(code int) {
	_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(code), 0, 0)
}
