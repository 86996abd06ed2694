package spark

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// throttleRole makes a copy of the test binary apply the throttle that its
// argument describes, tell its guardian's id, and wait to be killed.
const throttleRole = "--test-throttle--"

type throttleParentConfig struct {
	ThrottleConfig
	Sys string `json:"sys"`
}

func throttleParent(config string) int {
	var cfg throttleParentConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cfg.SysRoot = cfg.Sys
	th, err := ApplyThrottle(cfg.ThrottleConfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(th.guard.cmd.Process.Pid); err != nil {
		return 1
	}
	time.Sleep(time.Minute)
	return 1
}

func startThrottleParent(t *testing.T, cfg ThrottleConfig, sys string) (holder *exec.Cmd, guard int) {
	t.Helper()
	text, err := json.Marshal(throttleParentConfig{cfg, sys})
	require.NoError(t, err)
	holder = exec.Command("/proc/self/exe", throttleRole, string(text))
	holder.Stderr = os.Stderr
	out, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	err = json.NewDecoder(out).Decode(&guard)
	if err != nil {
		holder.Process.Kill()
		holder.Wait()
	}
	require.NoError(t, err)
	return holder, guard
}

func itoa(n int) string { return strconv.Itoa(n) }
