package house

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// layers says which packages of the module each package may import. It is the
// architecture: change it only when the architecture changes, never to make a
// build pass. Tests may import more.
var layers = map[string][]string{
	"internal/clock":     {},
	"internal/jsonl":     {},
	"internal/bundle":    {},
	"internal/house":     {},
	"internal/buildtags": {},
	"internal/blockdev":  {},
	"internal/fixture":   {},
	"internal/cgroup":    {},
	"internal/loopdisk":  {},
	"internal/pagecache": {},
	"internal/oneline":   {},
	"loadgen":            {"internal/clock", "internal/jsonl"},
	"sysmon":             {"internal/clock", "internal/jsonl", "internal/blockdev"},
	"fioctl":             {"internal/clock", "internal/jsonl", "internal/blockdev", "internal/cgroup"},
	"spark/adapters":     {},
	"spark/smart":        {"internal/clock", "internal/blockdev"},
	"spark/emulator":     {"internal/clock", "internal/jsonl", "internal/pagecache", "spark/adapters"},
	"spark":              {"internal/clock", "internal/jsonl", "internal/bundle", "internal/cgroup", "loadgen", "sysmon", "spark/emulator"},
	"spark/preflight":    {"internal/buildtags", "internal/cgroup", "sysmon", "fioctl", "spark", "spark/smart"},
	"spark/sparktest":    {"internal/clock", "loadgen", "spark", "spark/emulator"},
	"analysis":           {"internal/oneline", "internal/clock", "internal/jsonl", "internal/bundle", "internal/pagecache", "loadgen", "sysmon", "fioctl", "spark", "spark/smart"},
	"analysis/report":    {"internal/oneline", "internal/bundle", "spark", "analysis"},
	"hypotheses/watch":   {"internal/clock", "loadgen", "sysmon"},
	"analysis/v25":       {"analysis"},
	"analysis/export":    {"internal/bundle", "loadgen", "spark", "analysis"},
	"hypotheses":         {"internal/clock", "internal/jsonl", "internal/bundle", "internal/buildtags", "internal/blockdev", "internal/pagecache", "loadgen", "sysmon", "fioctl", "spark", "spark/adapters", "spark/smart", "spark/emulator", "analysis", "analysis/report", "hypotheses/watch"},
	"cmd/spark":          {"internal/clock", "internal/pagecache", "loadgen", "sysmon", "fioctl", "spark", "spark/adapters", "spark/emulator", "spark/preflight", "analysis", "analysis/export", "analysis/report", "analysis/v25", "hypotheses", "hypotheses/watch"},
}

func TestImportsPointDown(t *testing.T) {
	for _, s := range sources(t) {
		allowed, known := layers[s.pkg]
		if !assert.Truef(t, known, "%s: package %s is not in the layer table", s.path, s.pkg) || s.test {
			continue
		}
		for _, path := range imports(s.file) {
			if dep, ours := strings.CutPrefix(path, module+"/"); ours {
				assert.Truef(t, slices.Contains(allowed, dep), "%s imports %s: the layer table does not allow it", s.path, dep)
			}
		}
	}
}

// restricted lists imports with side effects on the world and the packages that
// own them. Tests may use any.
var restricted = map[string]struct {
	owners []string
	why    string
}{
	"os/exec":   {[]string{"spark", "spark/smart", "fioctl", "sysmon", "internal/loopdisk"}, "processes are started where they are also ended; smart asks tools for a disk's log; only tests use loopdisk"},
	"os/signal": {[]string{"cmd/spark"}, "a library is stopped by its context"},
	"flag":      {nil, "flags are read in tests and commands only"},
	"log":       {[]string{"spark/emulator", "hypotheses/watch"}, "libraries return errors; http.Server wants a logger to be silenced with"},
	"log/slog":  {nil, "libraries return errors"},
	"unsafe":    {[]string{"loadgen", "sysmon", "spark/emulator", "spark/smart", "internal/pagecache"}, "only for system calls"},
}

func TestSideEffectsHaveOwners(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, path := range imports(s.file) {
			if r, listed := restricted[path]; listed {
				assert.Truef(t, slices.Contains(r.owners, s.pkg), "%s imports %s: %s", s.path, path, r.why)
			}
		}
	}
}
