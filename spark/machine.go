package spark

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Machine describes the platform of a measurement. Fields that the kernel does
// not tell are absent, and Absent says why under their JSON name.
type Machine struct {
	GOOS   string `json:"goos"`
	GOARCH string `json:"goarch"`
	Kernel string `json:"kernel,omitempty"` // release

	Product  string   `json:"product,omitempty"`   // as firmware names it
	GPUs     []string `json:"gpus,omitempty"`      // as the NVIDIA driver names them
	GB10     bool     `json:"gb10"`                // a DGX Spark or one of its siblings
	GB10By   string   `json:"gb10_by,omitempty"`   // what told
	Virtual  string   `json:"virtual,omitempty"`   // sign of a virtual machine
	Confined string   `json:"container,omitempty"` // sign of a container

	CPUs        int      `json:"cpus"`
	CPUModels   []string `json:"cpu_models,omitempty"`
	Governors   []string `json:"governors,omitempty"` // distinct
	PageSize    int      `json:"page_size_bytes"`
	MemTotal    *int64   `json:"mem_total_bytes,omitempty"`
	SwapTotal   *int64   `json:"swap_total_bytes,omitempty"`
	Swappiness  *int64   `json:"swappiness,omitempty"`
	Transparent string   `json:"transparent_hugepage,omitempty"`

	Places []Place           `json:"places,omitempty"`
	Absent map[string]string `json:"absent,omitempty"`
}

// ProbeConfig says where to look. The zero value looks at this machine.
type ProbeConfig struct {
	ProcRoot string // "" = /proc
	SysRoot  string // "" = /sys
	// Places are directories that the measurement touches, most important
	// first; their disks are described.
	Places []PlaceOf
}

// PlaceOf names a directory by what it is for, such as "spill".
type PlaceOf struct{ Role, Dir string }

// Probe describes the machine. It only reads, needs no privilege and never
// fails: what cannot be read is listed in Absent.
func Probe(c ProbeConfig) Machine {
	if c.ProcRoot == "" {
		c.ProcRoot = "/proc"
	}
	if c.SysRoot == "" {
		c.SysRoot = "/sys"
	}
	p := prober{c: c, m: Machine{GOOS: runtime.GOOS, GOARCH: runtime.GOARCH, PageSize: os.Getpagesize(), Absent: map[string]string{}}}
	p.m.Kernel = p.text("kernel", c.proc("sys/kernel/osrelease"))
	p.cpu()
	p.memory()
	p.product()
	p.surroundings()
	for _, place := range c.Places {
		p.m.Places = append(p.m.Places, c.place(place))
	}
	return p.m
}

func (c ProbeConfig) proc(path string) string { return filepath.Join(c.ProcRoot, path) }
func (c ProbeConfig) sys(path string) string  { return filepath.Join(c.SysRoot, path) }

// prober fills a Machine.
type prober struct {
	c ProbeConfig
	m Machine
}

// text reads a one-line file; device trees end theirs with a zero byte.
func (p *prober) text(field, path string) string {
	s, err := readText(path)
	if err != nil {
		p.m.Absent[field] = err.Error()
	}
	return s
}

func readText(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	s := string(bytes.TrimSpace(bytes.Trim(b, "\x00")))
	if s == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return s, nil
}

// memory reads meminfo's totals, which are in KiB, and swap's settings.
func (p *prober) memory() {
	b, err := os.ReadFile(p.c.proc("meminfo"))
	read := func(field, key string) *int64 {
		if err != nil {
			p.m.Absent[field] = err.Error()
			return nil
		}
		for line := range strings.Lines(string(b)) {
			rest, ok := strings.CutPrefix(line, key+":")
			if !ok {
				continue
			}
			if kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 53); err == nil {
				return new(kb << 10)
			}
		}
		p.m.Absent[field] = "meminfo has no " + key
		return nil
	}
	p.m.MemTotal = read("mem_total_bytes", "MemTotal")
	p.m.SwapTotal = read("swap_total_bytes", "SwapTotal")
	if s := p.text("swappiness", p.c.proc("sys/vm/swappiness")); s != "" {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			p.m.Swappiness = &n
		} else {
			p.m.Absent["swappiness"] = err.Error()
		}
	}
	p.m.Transparent = chosen(p.text("transparent_hugepage", p.c.sys("kernel/mm/transparent_hugepage/enabled")))
}

// chosen is the word in brackets of "always [madvise] never", else all of it.
func chosen(s string) string {
	if _, rest, ok := strings.Cut(s, "["); ok {
		if word, _, ok := strings.Cut(rest, "]"); ok {
			return word
		}
	}
	return s
}
