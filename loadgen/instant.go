package loadgen

import (
	"fmt"
	"strconv"
	"time"
)

// Instant is a moment since the run's epoch, or absent. The zero Instant is
// absent, which is not the same as At(0). Its JSON is whole nanoseconds; fields
// tagged omitzero leave an absent one out. Instants compare with ==.
type Instant struct {
	since time.Duration
	ok    bool
}

// At is the moment d after the epoch.
func At(d time.Duration) Instant { return Instant{since: d, ok: true} }

// Get returns the time since the epoch, and whether the Instant is present.
func (i Instant) Get() (time.Duration, bool) { return i.since, i.ok }

// IsZero reports whether the Instant is absent; encoding/json asks it.
func (i Instant) IsZero() bool { return !i.ok }

// Sub is i−j; ok is false when either is absent.
func (i Instant) Sub(j Instant) (d time.Duration, ok bool) {
	if !i.ok || !j.ok {
		return 0, false
	}
	return i.since - j.since, true
}

// String is the time since the epoch, or "absent".
func (i Instant) String() string {
	if !i.ok {
		return "absent"
	}
	return i.since.String()
}

// MarshalJSON writes nanoseconds, or null when absent.
func (i Instant) MarshalJSON() ([]byte, error) {
	if !i.ok {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(i.since), 10), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (i *Instant) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*i = Instant{}
		return nil
	}
	ns, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return fmt.Errorf("loadgen: read instant %q: not whole nanoseconds", b)
	}
	*i = At(time.Duration(ns))
	return nil
}
