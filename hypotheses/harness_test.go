package hypotheses

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// harnessRole makes a copy of the test binary measure H4 as its argument says,
// and tell each state that it shows on a line of its own: for tests that end a
// harness from outside.
const harnessRole = "--test-harness--"

// harnessSetting is what such a harness is told.
type harnessSetting struct {
	Dir     string        `json:"dir"`
	Fio     string        `json:"fio"`
	NullDir string        `json:"null_dir"`
	Lever   string        `json:"lever"`
	Context int           `json:"context"`
	Window  time.Duration `json:"window_ns"`
}

func (s harnessSetting) config() Config {
	c := toyIn(s.Dir, s.Fio)
	c.Context = s.Context
	c.NullDir, c.Lever, c.profile.Window = s.NullDir, s.Lever, s.Window
	return c
}

func isHarness(args []string) bool { return len(args) == 3 && args[1] == harnessRole }

// harnessMain hears the signals that run hears.
func harnessMain(setting string) int {
	var s harnessSetting
	if err := json.Unmarshal([]byte(setting), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	_, _, err := Execute(ctx, s.config(), H4(), time.Time{}, Progress{Live: func(line string) { fmt.Println(line) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
