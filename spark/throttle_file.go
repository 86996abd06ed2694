package spark

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// limitFile is one kernel file that holds limits of one disk: version 2 has one
// for all four, version 1 one for each.
type limitFile struct {
	step undoStep
	want string // value in force, "" for none
	text string // what brings it about
	keys []limitKey
}

// limitKey ties a limit to its name in the file.
type limitKey struct {
	name string // in io.max; "" where the file holds one bare number
	at   func(*IOLimits) *int64
}

// v2Keys are in the order in which the kernel prints them.
func v2Keys() []limitKey {
	return []limitKey{
		{"rbps", func(l *IOLimits) *int64 { return &l.ReadBytesPerSec }},
		{"wbps", func(l *IOLimits) *int64 { return &l.WriteBytesPerSec }},
		{"riops", func(l *IOLimits) *int64 { return &l.ReadIOPS }},
		{"wiops", func(l *IOLimits) *int64 { return &l.WriteIOPS }},
	}
}

// ioMax is version 2's file.
const ioMax = "io.max"

// v1File is version 1's file for one of v2Keys.
func v1File(name string) string {
	return map[string]string{
		"rbps": "blkio.throttle.read_bps_device", "wbps": "blkio.throttle.write_bps_device",
		"riops": "blkio.throttle.read_iops_device", "wiops": "blkio.throttle.write_iops_device",
	}[name]
}

// isLimitFile tells whether a throttle may have made this step.
func isLimitFile(s undoStep) bool {
	name := filepath.Base(s.Path)
	if !strings.Contains(s.Path, "/fs/cgroup/") || filepath.Clean(s.Path) != s.Path {
		return false
	}
	switch s.Kind {
	case keyedLine:
		return name == ioMax || slices.ContainsFunc(v2Keys(), func(k limitKey) bool { return v1File(k.name) == name })
	case controller:
		return name == subtreeControl && s.Key == ioController
	default:
		return false
	}
}

// limitFiles finds the group's files and reads what they hold.
func (h hierarchy) limitFiles(device string) ([]limitFile, error) {
	var files []limitFile
	add := func(name string, keys []limitKey) error {
		f := limitFile{step: undoStep{Path: filepath.Join(h.dir(), name), Kind: keyedLine, Key: device}, keys: keys}
		was, err := f.step.value()
		if errors.Is(err, errGone) {
			return fmt.Errorf("%w: no %s (a kernel with CONFIG_BLK_DEV_THROTTLING has it)", ErrNoIOController, f.step.Path)
		}
		if err != nil {
			return err
		}
		f.step.Was, f.want = was, was
		f.step.Write = f.line(was)
		files = append(files, f)
		return nil
	}
	if h.version == 2 {
		return files, add(ioMax, v2Keys())
	}
	for _, k := range v2Keys() {
		if err := add(v1File(k.name), []limitKey{{"", k.at}}); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// before adds what the file held before us.
func (f limitFile) before(l *IOLimits) { f.parse(f.step.Was, l) }

// parse reads a value into limits; words it does not know are of no concern.
func (f limitFile) parse(value string, l *IOLimits) {
	for word := range strings.FieldsSeq(value) {
		name, number, named := strings.Cut(word, "=")
		if !named {
			name, number = "", word
		}
		for _, k := range f.keys {
			if n, err := strconv.ParseUint(number, 10, 64); err == nil && k.name == name {
				*k.at(l) = int64(min(n, math.MaxInt64))
			}
		}
	}
}

// target is the value that limits ask for, as the kernel will print it, and the
// line to write for it.
func (f limitFile) target(limits IOLimits) (value, line string) {
	var l IOLimits
	f.before(&l)
	asked := false
	for _, k := range f.keys {
		if v := *k.at(&limits); v != 0 {
			*k.at(&l) = v
			asked = true
		}
	}
	if !asked { // byte for byte what was there
		return f.step.Was, f.line(f.step.Was)
	}
	words := make([]string, len(f.keys))
	for i, k := range f.keys {
		words[i] = limitWord(k.name, *k.at(&l))
	}
	value = strings.Join(words, " ")
	return value, f.line(value)
}

// line is what to write to bring a value about.
func (f limitFile) line(value string) string {
	if value == "" {
		words := make([]string, len(f.keys))
		for i, k := range f.keys {
			words[i] = limitWord(k.name, 0)
		}
		value = strings.Join(words, " ")
	}
	return f.step.Key + " " + value
}

func limitWord(name string, v int64) string {
	switch {
	case name == "":
		return strconv.FormatInt(v, 10) // 0 takes the limit away
	case v == 0:
		return name + "=max"
	default:
		return name + "=" + strconv.FormatInt(v, 10)
	}
}

// limitText is a value as read, with one spelling for none.
func limitText(v string) string {
	words := strings.Fields(v)
	for _, w := range words {
		if w != "0" && !strings.HasSuffix(w, "=max") {
			return strings.Join(words, " ")
		}
	}
	return ""
}

// put writes what is wanted, unless it is there, and reads it back.
func (f limitFile) put(write writeFunc) error {
	now, err := f.step.value()
	if err != nil {
		return err
	}
	if now == f.want {
		return nil
	}
	if err := write(f.step.Path, f.text); err != nil {
		return explainWrite(f.step.Path, f.text, err)
	}
	if now, err = f.step.value(); err != nil {
		return err
	}
	if now != f.want {
		return fmt.Errorf("%s reads %q after %q was written", f.step.Path, now, f.text)
	}
	return nil
}

// explainWrite gives a refused write its name and remedy.
func explainWrite(path, text string, err error) error {
	kind := fmt.Errorf("write %q to %s", text, path)
	switch {
	case errors.Is(err, syscall.EROFS):
		kind = ErrCgroupReadOnly
	case errors.Is(err, os.ErrPermission):
		kind = ErrNotPermitted
	case errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		kind = ErrUnknownDevice
	case errors.Is(err, os.ErrNotExist):
		kind = ErrNoCgroup
	}
	return fmt.Errorf("%w: %w", kind, err)
}
