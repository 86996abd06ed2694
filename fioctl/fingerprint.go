package fioctl

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spark-harness/harness/internal/blockdev"
)

// Fingerprint tells what a calibration holds for: the device below the target
// (name, number, model, serial, firmware, size and I/O scheduler, as far as
// /sys tells), fio's version and engine, the target's size and the block size.
// It is readable: "device=nvme0n1; maj_min=259:0; …". Two that differ are two
// different setups.
func Fingerprint(f Fio, t Target, blockBytes int64) string {
	return fingerprint("/sys", f, t, blockBytes)
}

func fingerprint(sysRoot string, f Fio, t Target, blockBytes int64) string {
	block := filepath.Join(sysRoot, "block", t.Device.Name)
	attr := func(elem ...string) string { return blockdev.Attr(filepath.Join(append([]string{block}, elem...)...)) }
	if t.Device.Name == "" { // a target in memory
		attr = func(...string) string { return "" }
	}
	var disks []string
	for _, d := range t.Device.Disks {
		disks = append(disks, d.Name)
	}
	var parts []string
	add := func(key, value string) {
		// The separators must not come from a disk's free text.
		value = strings.Join(strings.Fields(strings.NewReplacer(";", " ", "=", " ").Replace(value)), " ")
		parts = append(parts, key+"="+value)
	}
	add("device", t.Device.Name)
	add("maj_min", t.Device.MajMin)
	add("disks", strings.Join(disks, ","))
	add("model", t.Device.Model)
	add("serial", attr("device/serial"))
	add("firmware", attr("device/firmware_rev"))
	add("sectors", attr("size"))
	add("scheduler", chosen(attr("queue/scheduler")))
	add("file_system", t.Device.FSType)
	add("fio", f.Version)
	add("engine", string(f.Engine))
	add("target_bytes", strconv.FormatInt(t.SizeBytes, 10))
	add("block_bytes", strconv.FormatInt(blockBytes, 10))
	return strings.Join(parts, "; ")
}

// chosen is the bracketed word of a sysfs choice: "none [mq-deadline] bfq".
func chosen(s string) string {
	_, after, ok := strings.Cut(s, "[")
	if !ok {
		return s
	}
	in, _, _ := strings.Cut(after, "]")
	return in
}
