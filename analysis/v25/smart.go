package v25

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// SmartUnitBytes is one Data Unit of an NVMe SMART log: 1000 × 512 bytes (NVM
// Express base specification, SMART / Health Information log). The drive rounds
// up, so a count is exact to one unit.
const SmartUnitBytes = 512_000

// Smart is one output of smartctl -a for an NVMe disk. A count of -1 is absent.
type Smart struct {
	Model, Serial, Firmware, Kernel string
	Local                           time.Time // when it was taken; zero if not said
	ReadUnits, WrittenUnits         int64
	HostReads, HostWrites           int64
	TempC                           int64
}

// ReadSmart reads smartctl -a as text, whatever separates its thousands. It
// fails where there is not one counter, and gives smartctl's own words then.
func ReadSmart(r io.Reader) (Smart, error) {
	s := Smart{ReadUnits: -1, WrittenUnits: -1, HostReads: -1, HostWrites: -1, TempC: -1}
	counts := map[string]*int64{
		"Data Units Read": &s.ReadUnits, "Data Units Written": &s.WrittenUnits,
		"Host Read Commands": &s.HostReads, "Host Write Commands": &s.HostWrites, "Temperature": &s.TempC,
	}
	texts := map[string]*string{"Model Number": &s.Model, "Serial Number": &s.Serial, "Firmware Version": &s.Firmware}
	complaint := ""
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for first := true; lines.Scan(); first = false {
		line := strings.TrimSpace(lines.Text())
		if first {
			if _, rest, ok := strings.Cut(line, "-linux-"); ok {
				kernel, _, _ := strings.Cut(rest, "]")
				s.Kernel = oneLine(kernel)
			}
		}
		if strings.Contains(line, "failed:") || strings.Contains(line, "Permission denied") {
			complaint = oneLine(line)
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(strings.TrimSpace(value), "[")
		if at, ok := counts[key]; ok && *at < 0 {
			if n, ok := digits(strings.TrimSuffix(strings.TrimSpace(value), "Celsius")); ok {
				*at = n
			}
		}
		if at, ok := texts[key]; ok && *at == "" {
			*at = oneLine(value)
		}
		if key == "Local Time is" {
			if t, err := time.Parse("Mon Jan _2 15:04:05 2006 MST", strings.TrimSpace(value)); err == nil {
				s.Local = t
			}
		}
	}
	if err := lines.Err(); err != nil {
		return s, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if s.ReadUnits < 0 && s.HostReads < 0 {
		if complaint != "" {
			return s, fmt.Errorf("%w: smartctl said %q (it needs root)", ErrMalformed, complaint)
		}
		return s, fmt.Errorf("%w: neither Data Units Read nor Host Read Commands (empty, cut short, or not an NVMe disk)", ErrMalformed)
	}
	return s, nil
}

// SmartDelta is what a disk did between two SMART logs of one run. NaN is
// absent.
type SmartDelta struct {
	ReadBytes, WrittenBytes float64 // units × 512,000
	HostReads               float64 // commands
	Seconds                 float64 // between the logs, by their own local times
}

// Delta is post less pre. It fails where they are of two disks, or a counter
// went back.
func (s Smart) Delta(post Smart) (SmartDelta, error) {
	if s.Serial != post.Serial || s.Model != post.Model {
		return noDelta(), fmt.Errorf("%w: the disk before is not the disk after (%s and %s)", ErrMalformed, s.Model, post.Model)
	}
	d := noDelta()
	for _, c := range []struct {
		to        *float64
		pre, post int64
		scale     float64
		name      string
	}{
		{&d.ReadBytes, s.ReadUnits, post.ReadUnits, SmartUnitBytes, "Data Units Read"},
		{&d.WrittenBytes, s.WrittenUnits, post.WrittenUnits, SmartUnitBytes, "Data Units Written"},
		{&d.HostReads, s.HostReads, post.HostReads, 1, "Host Read Commands"},
	} {
		switch {
		case c.pre < 0 || c.post < 0:
		case c.post < c.pre:
			return noDelta(), fmt.Errorf("%w: %s went back from %d to %d", ErrMalformed, c.name, c.pre, c.post)
		default:
			*c.to = float64(c.post-c.pre) * c.scale
		}
	}
	if !s.Local.IsZero() && !post.Local.IsZero() {
		if sec := post.Local.Sub(s.Local).Seconds(); sec > 0 {
			d.Seconds = sec
		}
	}
	return d, nil
}

func noDelta() SmartDelta { return SmartDelta{absent(), absent(), absent(), absent()} }
