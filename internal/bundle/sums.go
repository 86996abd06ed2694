package bundle

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	err := eachFile(dir, func(name, path string) error {
		got, err := sumFile(path)
		switch sum, known := want[name]; {
		case err != nil:
			return err
		case !known:
			faults = append(faults, fmt.Errorf("bundle: %s is not in %s: %w", name, SumsFile, ErrCorrupt))
		case sum != got:
			faults = append(faults, fmt.Errorf("bundle: %s changed since it was measured: %w", name, ErrCorrupt))
		}
		delete(want, name)
		return nil
	})
	for name := range want {
		faults = append(faults, fmt.Errorf("bundle: %s is missing: %w", name, ErrCorrupt))
	}
	return errors.Join(append(faults, err)...)
}

func writeSums(dir string) error {
	var b strings.Builder
	err := eachFile(dir, func(name, path string) error {
		sum, err := sumFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, name)
		return nil
	})
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, SumsFile), []byte(b.String()))
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
