package fioctl

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// parent starts the fio that its argument describes, prints its process id and
// never stops it.
func parent(args []string) int {
	var c StartConfig
	if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p, err := Start(context.Background(), c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(p.cmd.Process.Pid)
	time.Sleep(time.Minute)
	return 1
}

// killParent runs a copy of the test binary as a parent and kills it; it returns
// the fio that the parent had.
func killParent(t *testing.T, c StartConfig) procID {
	t.Helper()
	text, err := json.Marshal(c)
	require.NoError(t, err)
	cmd := exec.Command("/proc/self/exe", parentRole, string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(line[:len(line)-1])
	require.NoError(t, err)
	id, err := identify("/proc", pid)
	require.NoError(t, err)
	// Threads of the parent come and go: the signal must not depend on them.
	time.Sleep(300 * time.Millisecond)
	require.True(t, id.lives("/proc"))
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	return id
}

// requireParentTakesFioAlong is for the fake and for the real one.
func requireParentTakesFioAlong(t *testing.T, c StartConfig) {
	t.Helper()
	id := killParent(t, c)
	require.Eventually(t, func() bool { return !id.lives("/proc") }, 2*time.Second, time.Millisecond, "fio outlives its parent")
	left, err := filepath.Glob(filepath.Join(c.Dir, runPrefix+"*"))
	require.NoError(t, err)
	require.Len(t, left, 1, "nobody could remove it")
	p, err := Start(t.Context(), c)
	require.NoError(t, err)
	require.NoDirExists(t, left[0], "the next start does")
	_, err = p.Stop()
	require.NoError(t, err)
}

func TestKilledParentTakesFioAlong(t *testing.T) {
	c := fakeConfig(t, "steady")
	requireParentTakesFioAlong(t, c)
	requireNothingLeft(t, c.Dir)
}
