package spark

import (
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/sysmon"
)

// Place is a directory and the disk below it.
type Place struct {
	Role      string `json:"role"`
	Dir       string `json:"dir"`
	FreeBytes *int64 `json:"free_bytes,omitempty"` // for this user
	Disk      *Disk  `json:"disk,omitempty"`
	Reason    string `json:"reason,omitempty"` // why Disk or FreeBytes is missing
}

// Disk is the block device that a directory's I/O reaches. Fields the kernel
// does not tell are absent.
type Disk struct {
	Name          string `json:"name"` // to watch, under /sys/block
	FSType        string `json:"fs_type,omitempty"`
	Model         string `json:"model,omitempty"`
	Firmware      string `json:"firmware,omitempty"`
	Bytes         *int64 `json:"size_bytes,omitempty"`
	LogicalBlock  *int64 `json:"logical_block_bytes,omitempty"`
	PhysicalBlock *int64 `json:"physical_block_bytes,omitempty"`
	Rotational    *int64 `json:"rotational,omitempty"` // 1 if it turns, or says so
	Scheduler     string `json:"scheduler,omitempty"`
	ReadAhead     *int64 `json:"read_ahead_bytes,omitempty"`
	QueueRequests *int64 `json:"queue_requests,omitempty"`
	WriteCache    string `json:"write_cache,omitempty"`
	LinkSpeed     string `json:"pcie_link_speed,omitempty"`     // as negotiated
	LinkSpeedMax  string `json:"pcie_link_speed_max,omitempty"` // as the device could
	LinkWidth     string `json:"pcie_link_width,omitempty"`
}

func (c ProbeConfig) place(of PlaceOf) Place {
	p := Place{Role: of.Role, Dir: of.Dir}
	var fs unix.Statfs_t
	if err := unix.Statfs(of.Dir, &fs); err != nil {
		p.Reason = err.Error()
		return p
	}
	p.FreeBytes = new(int64(fs.Bavail) * int64(fs.Bsize))
	d, err := sysmon.DeviceOf(of.Dir, c.ProcRoot, c.SysRoot)
	if err != nil {
		p.Reason = err.Error()
		return p
	}
	disk := c.disk(d.Name)
	disk.FSType = d.FSType
	p.Disk = &disk
	return p
}

// disk reads a disk's directory; see Documentation/ABI/stable/sysfs-block.
func (c ProbeConfig) disk(name string) Disk {
	dir := filepath.Join(c.sys("block"), name)
	text := func(path string) string {
		s, err := readText(filepath.Join(dir, path))
		if err != nil {
			return "" // absent
		}
		return s
	}
	number := func(path string, unit int64) *int64 {
		n, err := strconv.ParseInt(text(path), 10, 64)
		if err != nil || n < 0 || n > 1<<52 {
			return nil
		}
		return new(n * unit)
	}
	return Disk{
		Name: name, Model: text("device/model"), Firmware: text("device/firmware_rev"),
		Bytes:        number("size", 512), // always in units of 512, whatever the block size
		LogicalBlock: number("queue/logical_block_size", 1), PhysicalBlock: number("queue/physical_block_size", 1),
		Rotational: number("queue/rotational", 1), Scheduler: chosen(text("queue/scheduler")),
		ReadAhead: number("queue/read_ahead_kb", 1024), QueueRequests: number("queue/nr_requests", 1),
		WriteCache: text("queue/write_cache"),
		// An NVMe disk's device is its controller, whose device is on the bus.
		LinkSpeed: text("device/device/current_link_speed"), LinkSpeedMax: text("device/device/max_link_speed"),
		LinkWidth: text("device/device/current_link_width"),
	}
}
