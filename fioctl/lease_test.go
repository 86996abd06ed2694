package fioctl

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/fixture"
)

// stray runs a fake fio that no harness looks after, with the identity of it.
func stray(t *testing.T) procID {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, jobName), []byte("[steady]\n"), 0o600))
	cmd := exec.Command(fake(t, "fio"), "--output-format=json+", jobName)
	cmd.Dir = dir
	require.NoError(t, cmd.Start())
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait() // as its new parent would
		close(gone)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-gone
	})
	id, err := identify("/proc", cmd.Process.Pid)
	require.NoError(t, err)
	return id
}

func TestSweepOfLeases(t *testing.T) {
	me, err := identify("/proc", os.Getpid())
	require.NoError(t, err)
	dead := me
	dead.Start-- // the number is ours, but the process was another
	for _, row := range []struct {
		why   string
		owner procID
		edit  func(*procID)
		ends  bool // the fio
		goes  bool // the scratch
	}{
		{"the harness was killed, its fio runs", dead, func(*procID) {}, true, true},
		{"another harness is at work", me, func(*procID) {}, false, false},
		{"the number means another process now", dead, func(p *procID) { p.Start++ }, false, true},
		{"another executable", dead, func(p *procID) { p.Exe = "/bin/sh" }, false, true},
		{"another boot", dead, func(p *procID) { p.Boot = "x" }, false, true},
		{"no fio yet", dead, func(p *procID) { *p = procID{} }, false, true},
		{"a lease that points at init", dead, func(p *procID) { p.PID = 1 }, false, true},
	} {
		t.Run(row.why, func(t *testing.T) {
			dir := t.TempDir()
			scratch := filepath.Join(dir, runPrefix+"1")
			require.NoError(t, os.Mkdir(scratch, 0o755))
			id := stray(t)
			told := id
			row.edit(&told)
			require.NoError(t, lease{Owner: row.owner, Fio: told}.write(scratch))
			require.NoError(t, sweepLeases(dir, "/proc"))
			require.Equal(t, !row.ends, id.lives("/proc"))
			if row.goes {
				requireNothingLeft(t, dir)
			} else {
				require.DirExists(t, scratch)
			}
		})
	}
}

func TestSweepTouchesNothingElse(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	for _, row := range []struct {
		why   string
		name  string
		files map[string]string
		fresh bool
		goes  bool
		errs  bool
	}{
		{why: "a scratch without a lease, long since", name: runPrefix + "1", files: map[string]string{jobName: ""}, goes: true},
		{why: "of Find too", name: findPrefix + "1", files: map[string]string{trialName: ""}, goes: true},
		{why: "one that is just being made", name: runPrefix + "1", fresh: true},
		{why: "what is in the lease is no lease", name: runPrefix + "1", files: map[string]string{leaseName: "{"}},
		{why: "somebody put a file there", name: runPrefix + "1", files: map[string]string{"thesis.tex": ""}, errs: true},
		{why: "another's directory", name: "fioctl-targets", files: map[string]string{jobName: ""}},
	} {
		t.Run(row.why, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, row.name)
			require.NoError(t, os.Mkdir(path, 0o755))
			for name, text := range row.files {
				require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte(text), 0o600))
			}
			if !row.fresh {
				require.NoError(t, os.Chtimes(path, old, old))
			}
			err := sweepLeases(dir, "/proc")
			require.Equal(t, row.errs, err != nil)
			if row.goes {
				require.NoDirExists(t, path)
				return
			}
			for name := range row.files {
				require.FileExists(t, filepath.Join(path, name))
			}
			require.DirExists(t, path)
		})
	}
}

func TestIdentify(t *testing.T) {
	proc := fixture.Files(t, map[string]string{
		"7/stat":                    "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1\n",
		"8/stat":                    "8 (a) Z 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1\n",
		"9/stat":                    "9 (a\n",
		"sys/kernel/random/boot_id": "b\n",
	})
	require.NoError(t, os.Symlink("/usr/bin/fio", filepath.Join(proc, "7/exe")))
	id, err := identify(proc, 7)
	require.NoError(t, err)
	require.Equal(t, procID{PID: 7, Start: 4242, Boot: "b", Exe: "/usr/bin/fio"}, id, "a name may hold anything")
	_, err = identify(proc, 8)
	require.ErrorIs(t, err, os.ErrProcessDone, "a zombie runs no more")
	_, err = identify(proc, 9)
	require.ErrorContains(t, err, "short")
	_, err = identify(proc, 10)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestCatches(t *testing.T) {
	for _, row := range []struct {
		why, status string
		want        bool
	}{
		{"as fio 3.33 is", "Name:\tfio\nSigIgn:\t0000000000000000\nSigCgt:\t0000000180004a02\nCapInh:\t0\n", true},
		{"before it is ready", "Name:\tfio\nSigCgt:\t0000000000000000\n", false},
		{"another mask", "Name:\tfio\nSigBlk:\t0000000000000200\n", false},
		{"no number", "Name:\tfio\nSigCgt:\tx\n", false},
		{"empty", "", false},
	} {
		require.Equal(t, row.want, catches(row.status, syscall.SIGUSR1), row.why)
	}
}
