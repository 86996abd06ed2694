package spark

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Part numbers of the two kinds of core in a GB10, from the MIDR register as
// cpuinfo prints it. Arm names no model there. See arch/arm64/include/asm/cputype.h.
const (
	partX925 = "Cortex-X925"
	partA725 = "Cortex-A725"
)

// cpu reads models from cpuinfo and governors from cpufreq.
func (p *prober) cpu() {
	p.m.CPUs = runtime.NumCPU()
	b, err := os.ReadFile(p.c.proc("cpuinfo"))
	if err != nil {
		p.m.Absent["cpu_models"] = err.Error()
	} else {
		p.m.CPUModels = cpuModels(string(b))
		if len(p.m.CPUModels) == 0 {
			p.m.Absent["cpu_models"] = "cpuinfo names none"
		}
		if strings.Contains(string(b), " hypervisor") {
			p.m.Virtual = "cpuinfo flag hypervisor"
		}
	}
	// The pattern is fixed, so it cannot be malformed.
	paths, _ := filepath.Glob(p.c.sys("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))
	for _, path := range paths {
		if s, err := readText(path); err == nil && !slices.Contains(p.m.Governors, s) {
			p.m.Governors = append(p.m.Governors, s)
		}
	}
	if len(p.m.Governors) == 0 {
		p.m.Absent["governors"] = "no cpufreq (the firmware or the host governs)"
	}
}

// cpuModels lists the distinct models: x86 has names, Arm has part numbers.
func cpuModels(cpuinfo string) []string {
	parts := map[string]string{"0x41/0xd85": partX925, "0x41/0xd87": partA725}
	var models []string
	add := func(s string) {
		if s != "" && !slices.Contains(models, s) {
			models = append(models, s)
		}
	}
	implementer := ""
	for line := range strings.Lines(cpuinfo) {
		key, val, _ := strings.Cut(line, ":")
		val = strings.TrimSpace(val)
		switch strings.TrimSpace(key) {
		case "model name":
			add(val)
		case "CPU implementer":
			implementer = val
		case "CPU part":
			id := implementer + "/" + val
			if name, ok := parts[id]; ok {
				id = name
			} else {
				id = "Arm part " + id
			}
			add(id)
		}
	}
	return models
}

// product asks DMI, then the device tree, then the NVIDIA driver.
func (p *prober) product() {
	vendor, _ := readText(p.c.sys("class/dmi/id/sys_vendor"))
	name, err := readText(p.c.sys("class/dmi/id/product_name"))
	if err != nil {
		vendor = ""
		var treeErr error
		if name, treeErr = readText(p.c.proc("device-tree/model")); treeErr != nil {
			p.m.Absent["product"] = "neither DMI nor device tree: " + err.Error()
		}
	}
	p.m.Product = name
	if vendor != "" && !strings.HasPrefix(name, vendor) {
		p.m.Product = vendor + " " + name
	}
	files, _ := filepath.Glob(p.c.proc("driver/nvidia/gpus/*/information"))
	for _, f := range files {
		text, err := readText(f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			if key, val, ok := strings.Cut(line, ":"); ok && key == "Model" {
				p.m.GPUs = append(p.m.GPUs, strings.TrimSpace(val))
			}
		}
	}
	if len(p.m.GPUs) == 0 {
		p.m.Absent["gpus"] = "no NVIDIA driver under /proc/driver/nvidia"
	}
	p.gb10()
}

// gb10 tells a DGX Spark or a sibling of other makers by its GPU, its product
// name or its pair of cores.
func (p *prober) gb10() {
	for _, gpu := range p.m.GPUs {
		if strings.Contains(gpu, "GB10") && !strings.Contains(gpu, "GB100") {
			p.m.GB10, p.m.GB10By = true, "GPU "+gpu
			return
		}
	}
	for _, word := range []string{"DGX Spark", "DGX_Spark", "GB10", "GX10"} {
		if strings.Contains(p.m.Product, word) && !strings.Contains(p.m.Product, "GB100") {
			p.m.GB10, p.m.GB10By = true, "product "+p.m.Product
			return
		}
	}
	if slices.Contains(p.m.CPUModels, partX925) && slices.Contains(p.m.CPUModels, partA725) {
		p.m.GB10, p.m.GB10By = true, "cores "+strings.Join(p.m.CPUModels, " and ")
	}
}

// surroundings looks for signs of a virtual machine and of a container. They
// are hints: a clean record proves nothing.
func (p *prober) surroundings() {
	if s, err := readText(p.c.sys("hypervisor/type")); err == nil {
		p.m.Virtual = "hypervisor " + s
	}
	for _, word := range []string{"QEMU", "KVM", "VMware", "VirtualBox", "Virtual Machine", "Google Compute", "Amazon EC2"} {
		if strings.Contains(p.m.Product, word) {
			p.m.Virtual = "product " + p.m.Product
		}
	}
	if b, err := os.ReadFile(p.c.proc("1/cgroup")); err == nil {
		for _, word := range []string{"docker", "kubepods", "libpod", "containerd", "lxc"} {
			if strings.Contains(string(b), word) {
				p.m.Confined = "init's cgroup names " + word
				return
			}
		}
	}
	b, err := os.ReadFile(p.c.proc("self/mountinfo"))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		// "36 35 0:34 / / rw,… - overlay overlay …": see proc_pid_mountinfo(5).
		before, after, _ := strings.Cut(line, " - ")
		if f := strings.Fields(before); len(f) > 4 && f[4] == "/" && strings.HasPrefix(after, "overlay ") {
			p.m.Confined = "the root file system is an overlay"
		}
	}
}
