package bundle

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// SumsFile lists the SHA-256 of every file of a committed run but derived/,
// in the format that sha256sum -c reads.
const SumsFile = "SHA256SUMS"

// ErrCorrupt is wrapped by Verify when a file of the run is missing, changed or
// unknown.
var ErrCorrupt = errors.New("bundle is damaged (restore it from a copy; its numbers cannot be trusted)")

// Verify checks a committed run against its SHA256SUMS. Files under derived/
// are rebuilt at will and not covered.
func Verify(dir string) error {
	f, err := os.Open(filepath.Join(dir, SumsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("bundle: %s has no %s: %w", dir, SumsFile, ErrCorrupt)
	}
	if err != nil {
		return fmt.Errorf("bundle: verify: %w", err)
	}
	defer f.Close()
	want := map[string]string{}
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		sum, name, ok := strings.Cut(sc.Text(), "  ")
		if !ok || len(sum) != 2*sha256.Size || !fs.ValidPath(name) {
			return fmt.Errorf("bundle: %s line %d is not a checksum: %w", SumsFile, n, ErrCorrupt)
		}
		want[name] = sum
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("bundle: verify: %w", err)
	}
	return compareSums(dir, want)
}

func compareSums(dir string, want map[string]string) error {
	var faults []error
	files, err := sumAll(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		switch sum, known := want[f.name]; {
		case f.err != nil:
			faults = append(faults, f.err)
		case !known:
			faults = append(faults, fmt.Errorf("bundle: %s is not in %s: %w", f.name, SumsFile, ErrCorrupt))
		case sum != f.sum:
			faults = append(faults, fmt.Errorf("bundle: %s changed since it was measured: %w", f.name, ErrCorrupt))
		}
		delete(want, f.name)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		faults = append(faults, fmt.Errorf("bundle: %s is missing: %w", name, ErrCorrupt))
	}
	return errors.Join(faults...)
}

func writeSums(dir string) error {
	var b strings.Builder
	files, err := sumAll(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.err != nil {
			return f.err
		}
		fmt.Fprintf(&b, "%s  %s\n", f.sum, f.name)
	}
	return WriteFile(filepath.Join(dir, SumsFile), []byte(b.String()))
}

// summed is one file of a run and its checksum.
type summed struct {
	name, path, sum string
	err             error
}

// sumAll sums the files of a run, several at a time, and returns them in lexical
// order.
func sumAll(dir string) ([]summed, error) {
	var files []summed
	err := eachFile(dir, func(name, path string) error {
		files = append(files, summed{name: name, path: path})
		return nil
	})
	if err != nil {
		return nil, err
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range files {
		g.Go(func() error {
			files[i].sum, files[i].err = sumFile(files[i].path)
			return nil
		})
	}
	return files, g.Wait()
}

// eachFile walks the regular files of a run in lexical order, without derived/
// and the sums themselves.
func eachFile(dir string, do func(name, path string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("bundle: walk: %w", err)
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return fmt.Errorf("bundle: walk: %w", err)
		}
		name := filepath.ToSlash(rel)
		if d.IsDir() {
			if name == "derived" || name == "derived.tmp" {
				return fs.SkipDir
			}
			return nil
		}
		if name == SumsFile {
			return nil
		}
		return do(name, path)
	})
}

func sumFile(path string) (string, error) {
	// Opening a pipe would wait for its writer for ever.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("bundle: %s is not a regular file: %w", path, ErrCorrupt)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("bundle: sum: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("bundle: sum %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
