package hypotheses

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ModuleRoot is the nearest directory at or above dir that holds a go.mod.
func ModuleRoot(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("hypotheses: find module: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("hypotheses: no go.mod at or above %s (run inside a checkout, or set SPARK_RESULTS and SPARK_DIR)", dir)
		}
	}
}

// DefeatTestCache makes the go command measure again instead of printing
// "(cached)": it caches a passing test by the files inside the module that the
// test opened, so the test opens one that every run changes.
func DefeatTestCache(root string) error {
	path := filepath.Join(root, ".spark", "last-run")
	if _, err := os.ReadFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("hypotheses: read run stamp: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("hypotheses: make run stamp: %w", err)
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails on Linux
	if err := os.WriteFile(path, []byte(hex.EncodeToString(id[:])+"\n"), 0o644); err != nil {
		return fmt.Errorf("hypotheses: write run stamp: %w", err)
	}
	// A stamp that does not change after this is no help to a test that takes
	// longer than 2 s: it looks the same when the result is kept and when it is
	// looked up. The go command never trusts files that are newer than now.
	future := time.Now().AddDate(100, 0, 0)
	if err := os.Chtimes(path, future, future); err != nil {
		return fmt.Errorf("hypotheses: date run stamp: %w", err)
	}
	return nil
}
