//go:build fio

package fioctl

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/clock"
)

// realFio finds fio for a test, with a target of random bytes on a disk.
func realFio(t *testing.T, size int64) (Fio, Target) {
	t.Helper()
	if _, err := exec.LookPath("fio"); err != nil {
		t.Skip("SKIPPED: fio is not installed (apt-get install fio)")
	}
	dir := t.TempDir()
	f, err := Find(t.Context(), "", dir)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	buf := make([]byte, size)
	_, _ = rand.Read(buf)
	path := filepath.Join(dir, "target.dat")
	file, err := os.Create(path)
	require.NoError(t, err)
	_, err = file.Write(buf)
	require.NoError(t, err)
	require.NoError(t, file.Sync())
	require.NoError(t, file.Close())
	return f, Target{Path: path, SizeBytes: size}
}

func realJob() Job {
	return Job{Name: "load", BlockBytes: 64 << 10, Depth: 8, Threads: 1, Backstop: time.Minute, Seed: 7}
}

func TestRealStartAndStopAreQuick(t *testing.T) {
	f, target := realFio(t, 64<<20)
	for range 5 {
		epoch := clock.New().Now()
		began := time.Now()
		p, err := Start(context.Background(), StartConfig{Fio: f, Job: realJob(), Target: target, Dir: filepath.Dir(target.Path), Epoch: epoch})
		require.NoError(t, err)
		started := time.Since(began)
		time.Sleep(600 * time.Millisecond)
		began = time.Now()
		r, err := p.Stop()
		require.NoError(t, err)
		t.Logf("start %v, stop %v, flowing %v after fork, %d statuses, exit %d, cgroup %+v, cpu %v+%v, errs %q", started, time.Since(began), r.Flowing-r.Started, len(r.Status), r.ExitCode, r.Cgroup, r.UserCPU, r.SysCPU, r.Fault)
		for _, s := range r.Status {
			t.Logf("  %v %d", s.T-r.Started, s.ReadIOs)
		}
	}
	left, _ := os.ReadDir(filepath.Dir(target.Path))
	require.Len(t, left, 1)
}
