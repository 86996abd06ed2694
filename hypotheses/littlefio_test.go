package hypotheses

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// littleFio stands in for fio where none is installed: a link to the test
// binary that takes fio's command line, really reads what the job file says,
// and answers in fio's format. It measures nothing worth judging.
func littleFio(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "fio")
	require.NoError(t, os.Symlink(self, path))
	return path
}

// isLittleFio says that this process was started as one.
func isLittleFio(args []string) bool {
	return filepath.Base(args[0]) == "fio" && len(args) > 1
}

func littleFioMain(args []string) int {
	if args[1] == "--version" {
		fmt.Println("fio-3.33")
		return 0
	}
	text, err := os.ReadFile(args[len(args)-1])
	if err != nil {
		return 1
	}
	l := parseLittle(string(text))
	stop := make(chan os.Signal, 4)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
	for range l.depth {
		go l.read()
	}
	tick := time.NewTicker(20 * time.Millisecond)
	for {
		select {
		case <-tick.C:
			l.report()
		case sig := <-stop:
			if sig == syscall.SIGUSR1 {
				continue
			}
			fmt.Printf("\nfio: terminating on signal %d\n", sig)
			l.report()
			return 128
		}
		if l.failed.Load() || l.number > 0 && l.ios.Load() >= l.number {
			l.report()
			return 0
		}
	}
}

// little is one job of the little fio.
type little struct {
	file          string
	direct        bool
	block, size   int64
	depth, number int64 // number of I/Os, 0 for no end
	rate          float64
	start         time.Time
	ios           atomic.Int64
	failed        atomic.Bool
}

func parseLittle(text string) *little {
	l := &little{depth: 1, start: time.Now()}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		n, _ := strconv.ParseInt(value, 10, 64)
		switch key {
		case "filename":
			l.file = strings.ReplaceAll(value, `\:`, ":")
		case "direct":
			l.direct = value == "1"
		case "bs":
			l.block = n
		case "size":
			l.size = n
		case "iodepth":
			l.depth = n
		case "io_size": // of an engine's trial, in KiB
			kib, _ := strconv.ParseInt(strings.TrimSuffix(value, "k"), 10, 64)
			l.number = max(1, kib<<10/max(l.block, 1))
		case "rate_iops":
			l.rate, _ = strconv.ParseFloat(strings.Trim(value, ","), 64)
		}
	}
	return l
}

func (l *little) read() {
	flags := unix.O_RDONLY
	if l.direct {
		flags |= unix.O_DIRECT
	}
	fd, err := unix.Open(l.file, flags, 0)
	if err != nil {
		l.failed.Store(true)
		return
	}
	buf, err := unix.Mmap(-1, 0, int(l.block), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		l.failed.Store(true)
		return
	}
	for {
		if due := l.start.Add(time.Duration(float64(l.ios.Load()) / max(l.rate, 1e-9) * float64(time.Second))); l.rate > 0 && time.Now().Before(due) {
			time.Sleep(time.Millisecond)
			continue
		}
		if _, err := unix.Pread(fd, buf, rand.Int64N(l.size/l.block)*l.block); err != nil {
			l.failed.Store(true)
			return
		}
		l.ios.Add(1)
	}
}

func (l *little) report() {
	n, ran := l.ios.Load(), time.Since(l.start).Milliseconds()
	bucket := min(int64(64), l.depth)
	name := fmt.Sprint(bucket)
	if bucket == 64 {
		name = ">=64"
	}
	fmt.Printf(`{"fio version":"fio-3.33","timestamp":%d,"timestamp_ms":%d,"jobs":[{"jobname":"load","error":0,`+
		`"read":{"io_bytes":%d,"total_ios":%d,"runtime":%d,"clat_ns":{"min":1,"max":2000000,"mean":1000000.0,"stddev":1.0,"N":%d,"percentile":{"50.000000":1000000,"99.000000":2000000},"bins":{"1000000":%d}}},`+
		`"iodepth_level":{"%s":100.0},"usr_cpu":1.0,"sys_cpu":1.0}]}`+"\n",
		time.Now().Unix(), time.Now().UnixMilli(), n*l.block, n, ran, n, n, name)
}
