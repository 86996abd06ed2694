package pagecache

import (
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	readBytes = 1 << 20 // of one read(2)
	coldShare = 0.01    // fewer resident pages than this are none
)

// ReadRate drops the file and reads it from start to end as a server would,
// and returns its size over the time taken, in bytes per second. A file of
// which a hundredth or more stays in the cache is ErrResident; an empty one has
// no rate.
func ReadRate(path string) (bytesPerSec float64, err error) {
	if err := Drop(path); err != nil {
		return 0, err
	}
	r, err := Of(path)
	if err != nil {
		return 0, err
	}
	if r.Pages == 0 {
		return 0, fmt.Errorf("pagecache: read %s: the file is empty", path)
	}
	if r.Share() >= coldShare {
		return 0, fmt.Errorf("pagecache: %s: %w: %d of %d pages after they were dropped (somebody has the file mapped, or reads it)", path, ErrResident, r.Resident, r.Pages)
	}
	f, info, err := open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, readBytes)
	clear(buf) // its pages are there before the clock runs
	var total int64
	began := time.Now()
	for {
		n, err := f.Read(buf)
		total += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("pagecache: read: %w", err)
		}
	}
	took := time.Since(began)
	if total != info.Size() {
		return 0, fmt.Errorf("pagecache: %s was changed while it was read: %d of %d bytes", path, total, info.Size())
	}
	return float64(total) / took.Seconds(), nil
}
