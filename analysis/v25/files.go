package v25

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Errors to test for with errors.Is.
var (
	// ErrNotV25: a directory has no file of the earlier harness.
	ErrNotV25 = errors.New("no results of the earlier harness (want *_manifest.json, *_summary.json, *_telemetry.csv)")
	// ErrOutput: what is to be written to cannot be.
	ErrOutput = errors.New("unusable output directory")
	// ErrMalformed: a file is not what its name says.
	ErrMalformed = errors.New("malformed")
)

// kind is what one file of a run holds.
type kind int

const (
	manifestFile kind = iota
	summaryFile
	telemetryFile
	smartPreFile
	smartPostFile
	mpstatFile
	kinds
)

// suffix is how the names of a kind end.
func (k kind) suffix() string {
	return [kinds]string{
		"_manifest.json", "_summary.json", "_telemetry.csv", "_smartctl_pre.txt", "_smartctl_post.txt", "_mpstat.log",
	}[k]
}

// most is how large a file of the kind may be, in bytes. A run's own files stay
// far below; what is larger is not one of them.
func (k kind) most() int64 {
	const mib = 1 << 20
	return [kinds]int64{4 * mib, 4 * mib, 256 * mib, 4 * mib, 4 * mib, 256 * mib}[k]
}

// Recognise reports whether dir holds results of the earlier harness, directly
// or in a folder named results. A directory that cannot be read is none.
func Recognise(dir string) bool {
	_, files, err := find(dir)
	return err == nil && len(files) > 0
}

// find lists the runs of a directory by name, each with the paths of its files.
func find(dir string) (at string, runs map[string][kinds]string, err error) {
	for _, at := range []string{dir, filepath.Join(dir, "results")} {
		entries, err := os.ReadDir(at)
		if err != nil {
			if at == dir {
				return "", nil, fmt.Errorf("v25: read results of the earlier harness: %w", err)
			}
			continue
		}
		runs := map[string][kinds]string{}
		for _, e := range entries {
			for k := range kinds {
				id, ok := strings.CutSuffix(e.Name(), k.suffix())
				if !ok || id == "" || e.IsDir() {
					continue
				}
				files := runs[id]
				files[k] = filepath.Join(at, e.Name())
				runs[id] = files
			}
		}
		// One mpstat log or SMART text may be anybody's.
		maps.DeleteFunc(runs, func(_ string, f [kinds]string) bool {
			return f[manifestFile] == "" && f[summaryFile] == "" && f[telemetryFile] == ""
		})
		if len(runs) > 0 {
			return at, runs, nil
		}
	}
	return "", nil, fmt.Errorf("v25: read %s: %w", dir, ErrNotV25)
}

// missing are the kinds of files that a run lacks, by suffix.
func missing(files [kinds]string) []string {
	var names []string
	for k := range kinds {
		if files[k] == "" {
			names = append(names, strings.TrimPrefix(k.suffix(), "_"))
		}
	}
	return names
}

// readWith opens a file and hands its content to parse, bounded. A file that
// does not exist is not an error: ok is false then.
func readWith[T any](path string, k kind, parse func(io.Reader) (T, error)) (value T, ok bool, err error) {
	if path == "" {
		return value, false, nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return value, false, fmt.Errorf("v25: read %s: %w", path, err)
	case !info.Mode().IsRegular():
		return value, false, fmt.Errorf("v25: read %s: %w: not a regular file", path, ErrMalformed)
	case info.Size() > k.most():
		return value, false, fmt.Errorf("v25: read %s: %w: %d bytes (at most %d; is it the file it claims to be?)", path, ErrMalformed, info.Size(), k.most())
	}
	f, err := os.Open(path)
	if err != nil {
		return value, false, fmt.Errorf("v25: read %s: %w", path, err)
	}
	defer f.Close()
	value, err = parse(io.LimitReader(f, k.most()))
	if err != nil {
		return value, false, fmt.Errorf("v25: read %s: %w", path, err)
	}
	return value, true, nil
}

// ids are the runs' names in order.
func ids(runs map[string][kinds]string) []string { return slices.Sorted(maps.Keys(runs)) }
