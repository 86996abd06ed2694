package spark

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/fixture"
)

// gb10Cpuinfo is modelled on the kernel's arm64 cpuinfo: one core of each kind.
const gb10Cpuinfo = "processor\t: 0\nCPU implementer\t: 0x41\nCPU variant\t: 0x0\nCPU part\t: 0xd87\nCPU revision\t: 1\n\n" +
	"processor\t: 5\nCPU implementer\t: 0x41\nCPU variant\t: 0x0\nCPU part\t: 0xd85\nCPU revision\t: 1\n"

func probeTree(proc, sys map[string]string, t *testing.T) Machine {
	return Probe(ProbeConfig{ProcRoot: fixture.Files(t, proc), SysRoot: fixture.Files(t, sys)})
}

func TestProbeOfASpark(t *testing.T) {
	// Modelled on public descriptions of a DGX Spark; none of it is a recording.
	m := probeTree(map[string]string{
		"sys/kernel/osrelease": "6.17.0-1008-nvidia\n",
		"cpuinfo":              gb10Cpuinfo,
		"meminfo":              "MemTotal:       127600748 kB\nMemFree: 1 kB\nSwapTotal:      16777212 kB\n",
		"sys/vm/swappiness":    "60\n",
		"driver/nvidia/gpus/000f:01:00.0/information": "Model: \t\t NVIDIA GB10\nIRQ:   \t\t 430\n",
		"self/mountinfo": "29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n",
		"1/cgroup":       "0::/init.scope\n",
	}, map[string]string{
		"class/dmi/id/sys_vendor":                          "NVIDIA\n",
		"class/dmi/id/product_name":                        "NVIDIA_DGX_Spark\n",
		"devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
		"devices/system/cpu/cpu5/cpufreq/scaling_governor": "performance\n",
		"kernel/mm/transparent_hugepage/enabled":           "always [madvise] never\n",
	}, t)
	require.True(t, m.GB10)
	require.Equal(t, "GPU NVIDIA GB10", m.GB10By)
	require.Equal(t, "NVIDIA_DGX_Spark", m.Product, "a vendor is not named twice")
	require.Equal(t, "6.17.0-1008-nvidia", m.Kernel)
	require.Equal(t, []string{"Cortex-A725", "Cortex-X925"}, m.CPUModels)
	require.Equal(t, []string{"schedutil", "performance"}, m.Governors)
	require.Equal(t, int64(127600748)<<10, *m.MemTotal)
	require.Equal(t, int64(16777212)<<10, *m.SwapTotal)
	require.Equal(t, int64(60), *m.Swappiness)
	require.Equal(t, "madvise", m.Transparent)
	require.Empty(t, m.Virtual)
	require.Empty(t, m.Confined)
	require.Empty(t, m.Absent)
}

func TestProbeTellsGB10ByEachSignAlone(t *testing.T) {
	for name, row := range map[string]struct {
		proc, sys map[string]string
		want      bool
	}{
		"GPU":                  {map[string]string{"driver/nvidia/gpus/a/information": "Model: NVIDIA GB10\n"}, nil, true},
		"another GPU":          {map[string]string{"driver/nvidia/gpus/a/information": "Model: NVIDIA H100\n"}, nil, false},
		"a maker's own name":   {nil, map[string]string{"class/dmi/id/product_name": "GX10\n", "class/dmi/id/sys_vendor": "ASUSTeK\n"}, true},
		"device tree":          {map[string]string{"device-tree/model": "NVIDIA DGX Spark\x00"}, nil, true},
		"cores":                {map[string]string{"cpuinfo": gb10Cpuinfo}, nil, true},
		"a phone's cores":      {map[string]string{"cpuinfo": "CPU implementer : 0x41\nCPU part : 0xd85\n"}, nil, false},
		"nothing can be known": {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := probeTree(row.proc, row.sys, t)
			require.Equal(t, row.want, m.GB10, m.GB10By)
			require.Equal(t, row.want, m.GB10By != "")
		})
	}
}

func TestProbeSaysWhatIsAbsent(t *testing.T) {
	m := probeTree(nil, nil, t)
	require.Nil(t, m.MemTotal)
	for _, field := range []string{"kernel", "product", "gpus", "cpu_models", "governors", "mem_total_bytes", "swap_total_bytes", "swappiness", "transparent_hugepage"} {
		require.NotEmpty(t, m.Absent[field], field)
	}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	require.NotContains(t, string(b), `"mem_total_bytes":0`)
}

func TestProbeHintsAtItsSurroundings(t *testing.T) {
	m := probeTree(map[string]string{
		"cpuinfo":        "model name : X\nflags : fpu hypervisor\n",
		"self/mountinfo": "600 500 0:52 / / rw - overlay overlay rw\n",
	}, nil, t)
	require.NotEmpty(t, m.Virtual)
	require.Contains(t, m.Confined, "overlay")
	m = probeTree(map[string]string{"1/cgroup": "0::/kubepods/pod1\n"}, map[string]string{"hypervisor/type": "xen\n"}, t)
	require.Equal(t, "hypervisor xen", m.Virtual)
	require.Contains(t, m.Confined, "kubepods")
}

func TestProbeDescribesThisMachine(t *testing.T) {
	m := Probe(ProbeConfig{Places: []PlaceOf{{"here", "."}, {"nowhere", "does/not/exist"}}})
	require.NotEmpty(t, m.Kernel)
	require.Positive(t, *m.MemTotal)
	require.Positive(t, m.CPUs)
	require.Positive(t, *m.Places[0].FreeBytes)
	require.True(t, (m.Places[0].Disk == nil) == (m.Places[0].Reason != ""), "a disk, or why none")
	require.Nil(t, m.Places[1].FreeBytes)
	require.NotEmpty(t, m.Places[1].Reason)
}

func TestDiskFacts(t *testing.T) {
	// Modelled on the sysfs of an NVMe disk.
	c := ProbeConfig{SysRoot: fixture.Files(t, map[string]string{
		"block/nvme0n1/size":                             "8001573552\n",
		"block/nvme0n1/device/model":                     "SAMSUNG MZALC4T0HBL1-00B07              \n",
		"block/nvme0n1/device/firmware_rev":              "GXA7\n",
		"block/nvme0n1/queue/scheduler":                  "[none] mq-deadline\n",
		"block/nvme0n1/queue/read_ahead_kb":              "128\n",
		"block/nvme0n1/queue/rotational":                 "0\n",
		"block/nvme0n1/device/device/current_link_speed": "32.0 GT/s PCIe\n",
	})}
	d := c.disk("nvme0n1")
	require.Equal(t, "SAMSUNG MZALC4T0HBL1-00B07", d.Model)
	require.Equal(t, "GXA7", d.Firmware)
	require.Equal(t, int64(8001573552)*512, *d.Bytes)
	require.Equal(t, int64(128<<10), *d.ReadAhead)
	require.Equal(t, int64(0), *d.Rotational, "a true 0 is told")
	require.Equal(t, "none", d.Scheduler)
	require.Equal(t, "32.0 GT/s PCIe", d.LinkSpeed)
	require.Nil(t, d.LogicalBlock)
	require.Equal(t, Disk{Name: "gone"}, c.disk("gone"))
}
