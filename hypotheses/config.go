package hypotheses

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/hypotheses/watch"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/adapters"
	"github.com/spark-harness/harness/spark/emulator"
)

// Config is what the user asked for. The zero value asks for everything by
// default: the server found on this host, else the embedded emulator.
type Config struct {
	Profile         string `json:"profile"`            // "smoke", "quick", "full"; "" picks by target
	BaselineURL     string `json:"baseline_url"`       // "" probes ports 8355 and 8000, else the emulator
	Model           string `json:"model"`              // model id of a given server, or preset of the emulator; "" takes what there is
	Results         string `json:"results"`            // directory of run bundles; "" is results/ in the module
	Dir             string `json:"dir"`                // directory on the disk under test (the server's KV directory, the emulator's spill)
	Device          string `json:"device"`             // whole-disk name to watch; "" derives it from Dir
	Emulator        string `json:"emulator"`           // "", "default" or one of the controls
	Flavor          string `json:"flavor"`             // request flavour of a given server; "" detects it
	Users           int    `json:"users"`              // overrides U_work; 0 takes it from calibration.json
	KVTokens        int    `json:"kv_pool_tokens"`     // KV pool of a server that does not tell; 0 asks the server
	KVBytesPerToken int    `json:"kv_bytes_per_token"` // of a server that does not tell; 0 asks the server
	MaxNumSeqs      int    `json:"max_num_seqs"`       // batch limit of a server that does not tell; 0 asks the server
	Context         int    `json:"context_tokens"`     // overrides Ck; 0 takes it from calibration.json
	Lever           string `json:"lever"`              // of H4: "fio", "throttle", "both"; "" is fio, and both in full where the server can be limited
	Fio             string `json:"fio"`                // fio's executable; "" looks in PATH
	FioDir          string `json:"fio_dir"`            // of fio's file; "" is Dir
	NullDir         string `json:"null_dir"`           // off the watched disk, for the null load; "" is /dev/shm
	Seed            uint64 `json:"seed"`               // of arm order, prompts and arrivals
	APIKey          string `json:"-"`                  // bearer token; never stored
	CAFile          string `json:"ca_file"`            // PEM file of a private CA

	LoRAURL       string `json:"lora_url"`        // server of H1, H5 and H6; "" probes port 8000, else the emulator
	LoRAAPI       string `json:"lora_api"`        // how it is asked; see loadgen.ParseMode
	LoRADir       string `json:"lora_dir"`        // adapters on the disk under test, as this machine sees them
	LoRAServerDir string `json:"lora_server_dir"` // the same as the server sees them; "" is LoRADir
	LoRAList      string `json:"lora_list"`       // file of adapter names; "" takes what LoRADir holds
	LoRASeparator string `json:"lora_separator"`  // between model and adapter, for Triton's OpenAI front end
	LoRASlots     int    `json:"lora_slots"`      // adapters that the server's memory holds, where it does not tell
	LoRAMeans     string `json:"lora_means"`      // how the server forgets its adapters; see spark.Control
	LoRAContainer string `json:"lora_container"`  // the server's container

	HTTP string `json:"http,omitempty"` // address of the live page, complete; "" for none

	Force bool `json:"force,omitempty"` // measure although the build or the machine says no

	// Tests of the path itself run at a scale that no profile offers.
	profile    *Profile
	engine     func(*emulator.Config)
	calibrated func() fioctl.Calibration // instead of calibrating
	lock       string                    // "" is the machine's
	reserve    int64                     // bytes kept free on the disk; 0 is fioctl's default
	target     int64                     // bytes of fio's file; 0 is the profile's
	adapters   *adapters.Spec            // of the emulator; nil is the design's
	gentle     bool                      // leave what the page cache holds for others
}

// Controls of the emulator, each a planted null.
const (
	controlNoPaging       = "no-paging"       // memory holds all KV
	controlAdaptersPinned = "adapters-pinned" // all adapters are loaded before anything is asked
	controlAdaptersFit    = "adapters-fit"    // memory holds every adapter that was asked for once
	controlAdaptersWarm   = "adapters-warm"   // nobody can make the adapters' files cold
)

// control names the planted null of the emulator, "" for none.
func (c Config) control() string {
	if c.Emulator == "default" {
		return ""
	}
	return c.Emulator
}

// Setting is one knob of Config: its environment name and what it means.
type Setting struct {
	Env  string
	Help string
	set  func(*Config, string) error
}

// Settings lists every knob with its environment name, in the order that help
// shows them. A test flag -spark.NAME is the lower-case twin of SPARK_NAME with
// dashes.
func Settings() []Setting {
	return []Setting{
		{"SPARK_PROFILE", "smoke, quick (default on the emulator) or full (default on a real server)", func(c *Config, v string) error { return oneOf(&c.Profile, v, "smoke", "quick", "full") }},
		{"SPARK_BASELINE_URL", "OpenAI-compatible server to measure; unset: ports 8355 and 8000 are probed, else the embedded emulator serves", func(c *Config, v string) error { return setURL(&c.BaselineURL, v) }},
		{"SPARK_MODEL", "model id on the given server, or the emulator's preset: L8B or L70B", func(c *Config, v string) error { c.Model = v; return nil }},
		{"SPARK_RESULTS", "directory of run bundles (default: results/ in the module)", func(c *Config, v string) error { c.Results = v; return nil }},
		{"SPARK_DIR", "directory on the disk under test: the server's KV directory, or where the emulator spills (default: .spark/ in the module)", func(c *Config, v string) error { c.Dir = v; return nil }},
		{"SPARK_DEVICE", "disk to watch, such as nvme0n1 (default: the one under SPARK_DIR)", func(c *Config, v string) error { c.Device = v; return nil }},
		{"SPARK_EMULATOR", "default, or a control: no-paging (memory holds all KV), adapters-pinned (all adapters loaded beforehand), adapters-fit (memory holds every adapter), adapters-warm (the adapters' files never leave the page cache)", func(c *Config, v string) error {
			return oneOf(&c.Emulator, v, "default", controlNoPaging, controlAdaptersPinned, controlAdaptersFit, controlAdaptersWarm)
		}},
		{"SPARK_FLAVOR", "request flavour of the given server: vllm, trtllm or generic (default: detected)", func(c *Config, v string) error { return oneOf(&c.Flavor, v, "vllm", "trtllm", "generic") }},
		{"SPARK_USERS", "concurrent users instead of U_work from H0", func(c *Config, v string) error { return atLeastOne(&c.Users, v) }},
		{"SPARK_CONTEXT", "context in tokens instead of Ck from H2", func(c *Config, v string) error { return atLeastOne(&c.Context, v) }},
		{"SPARK_LEVER", "what H4 moves the disk with: fio, throttle (limits on the server's own reads; proves less) or both (default: fio, and both in full where the server runs in a cgroup of ours)", func(c *Config, v string) error { return oneOf(&c.Lever, v, leverFio, leverThrottle, leverBoth) }},
		{"SPARK_FIO", "fio's executable (default: found in PATH)", func(c *Config, v string) error { c.Fio = v; return nil }},
		{"SPARK_FIO_DIR", "directory of fio's file (default: SPARK_DIR); one off the watched disk is refused, and with SPARK_FORCE=1 a planted null", func(c *Config, v string) error { c.FioDir = v; return nil }},
		{"SPARK_NULL_DIR", "directory off the watched disk, read by H4's null load (default: /dev/shm)", func(c *Config, v string) error { c.NullDir = v; return nil }},
		{"SPARK_KV_TOKENS", "tokens that the server's KV pool holds, where it does not tell", func(c *Config, v string) error { return atLeastOne(&c.KVTokens, v) }},
		{"SPARK_KV_BYTES_PER_TOKEN", "bytes of KV per token, where the server does not tell (Llama 8B fp16: 131072, 70B: 327680; halve for fp8)", func(c *Config, v string) error { return atLeastOne(&c.KVBytesPerToken, v) }},
		{"SPARK_MAX_NUM_SEQS", "batch limit of the server, where it does not tell", func(c *Config, v string) error { return atLeastOne(&c.MaxNumSeqs, v) }},
		{"SPARK_LORA_URL", "server of H1, H5 and H6; unset: port 8000 is probed, else the embedded emulator serves", func(c *Config, v string) error { return setURL(&c.LoRAURL, v) }},
		{"SPARK_LORA_API", "how that server is asked: auto (Triton), openai, triton, or by name: triton-trtllm, triton-llmapi, triton-vllm, vllm, trtllm, sglang, llamacpp, ollama, triton-openai", setLoRAAPI},
		{"SPARK_LORA_DIR", "directory of PEFT adapters that the server reads (needed for a given server; the emulator's are made in SPARK_DIR)", func(c *Config, v string) error { c.LoRADir = v; return nil }},
		{"SPARK_LORA_SERVER_DIR", "the same directory as the server sees it, where it differs", func(c *Config, v string) error { c.LoRAServerDir = v; return nil }},
		{"SPARK_LORA_LIST", "file of adapter names, one a line (default: all in SPARK_LORA_DIR)", func(c *Config, v string) error { c.LoRAList = v; return nil }},
		{"SPARK_LORA_SEPARATOR", "what joins model and adapter at Triton's OpenAI front end (default _lora_)", func(c *Config, v string) error { c.LoRASeparator = v; return nil }},
		{"SPARK_LORA_SLOTS", "adapters that the server's memory holds, where it does not tell", func(c *Config, v string) error { return atLeastOne(&c.LoRASlots, v) }},
		{"SPARK_LORA_MEANS", "how the server forgets its adapters: container, unload (its own endpoints) or person (default: the first that it offers)", func(c *Config, v string) error {
			return oneOf(&c.LoRAMeans, v, spark.MeansContainer, spark.MeansUnload, spark.MeansPerson)
		}},
		{"SPARK_LORA_CONTAINER", "name of the server's container, which docker or podman may restart", func(c *Config, v string) error { c.LoRAContainer = v; return nil }},
		{"SPARK_SEED", "seed of arm order, prompts and arrivals (default 1)", setSeed},
		{"SPARK_API_KEY", "bearer token for the server; never written anywhere", func(c *Config, v string) error { c.APIKey = v; return nil }},
		{"SPARK_CA_FILE", "PEM file of the CA that signed the server's certificate", func(c *Config, v string) error { c.CAFile = v; return nil }},
		{"SPARK_HTTP", "address of a live page and a Prometheus endpoint while a run goes on, such as 127.0.0.1:8080 or 8080; another host than loopback must be named (default: none)", setHTTP},
		{"SPARK_FORCE", "1: measure although this build is unfit for it; the manifest says how it was built", setForce},
	}
}

// ErrSetting is wrapped by errors of a setting that has an impossible value or
// a name close to a real one.
var ErrSetting = errors.New("bad setting")

// ParseConfig reads settings from environment entries of the form NAME=value.
// Names without the SPARK_ prefix are ignored, and so are foreign ones with it
// (Apache Spark has many), unless they look like a slip of one of ours. Empty
// values count as unset.
func ParseConfig(environ []string) (Config, error) {
	c := Config{Seed: 1}
	var faults []error
	settings := Settings()
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "SPARK_") || value == "" {
			continue
		}
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Env == name })
		if i < 0 {
			if near := nearest(name, settings); near != "" {
				faults = append(faults, fmt.Errorf("hypotheses: %s: %w: did you mean %s? (unset it otherwise)", name, ErrSetting, near))
			}
			continue
		}
		if err := settings[i].set(&c, value); err != nil {
			faults = append(faults, fmt.Errorf("hypotheses: %s=%q: %w: %w", name, value, ErrSetting, err))
		}
	}
	if (c.BaselineURL != "" || c.LoRAURL != "") && c.Emulator != "" {
		faults = append(faults, fmt.Errorf("hypotheses: SPARK_EMULATOR and SPARK_BASELINE_URL or SPARK_LORA_URL: %w: set one of them, they name two targets", ErrSetting))
	}
	return c, errors.Join(faults...)
}

func oneOf(dst *string, v string, allowed ...string) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("want one of %s", strings.Join(allowed, ", "))
	}
	*dst = v
	return nil
}

func atLeastOne(dst *int, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return errors.New("want a whole number of at least 1")
	}
	*dst = n
	return nil
}

func setURL(dst *string, v string) error {
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("want http://host:port or https://host:port")
	}
	if u.User != nil {
		return errors.New("credentials do not belong in the URL, which is stored (use SPARK_API_KEY)")
	}
	*dst = strings.TrimSuffix(strings.TrimSuffix(v, "/"), "/v1")
	return nil
}

func setLoRAAPI(c *Config, v string) error {
	_, err := loadgen.ParseMode(v, true)
	c.LoRAAPI = v
	return err
}

func setSeed(c *Config, v string) error {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return errors.New("want a whole number from 0")
	}
	c.Seed = n
	return nil
}

func setHTTP(c *Config, v string) (err error) {
	c.HTTP, err = watch.ParseAddr(v)
	return err
}

func setForce(c *Config, v string) error {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return errors.New("want 1 or 0")
	}
	c.Force = b
	return nil
}

// nearest is the setting within two edits of name, or "".
func nearest(name string, settings []Setting) string {
	for _, s := range settings {
		if edits(name, s.Env) <= 2 {
			return s.Env
		}
	}
	return ""
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diag, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diag+cost)
		}
	}
	return row[len(b)]
}
