package spark

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/spark/emulator"
)

func TestManifestSurvivesJSONWithoutTheKey(t *testing.T) {
	f := healthy()
	f.key = "sk-very-secret"
	f.pages["/metrics"] = page(t, "vllm.prom")
	s, err := Attach(t.Context(), Endpoint{URL: serve(t, f), APIKey: f.key})
	require.NoError(t, err)
	cfg, err := emulator.Preset("L8B")
	require.NoError(t, err)
	m := Manifest{
		Schema: ManifestSchema, Started: time.Now().UTC().Round(0), Epoch: 5 * time.Second,
		Target: s.Target(), Facts: s.Facts, Control: "no-paging",
		Machine: Probe(ProbeConfig{Places: []PlaceOf{{"here", "."}}}), Build: ReadBuild(),
		Emulator: &cfg, Process: &EmulatorProcess{Info: emulator.Info{PID: 7}, Cgroup: Cgroup{Reason: "not allowed"}},
		Plan: json.RawMessage(`{"users":3}`),
	}
	b, err := json.Marshal(m)
	require.NoError(t, err)
	require.NotContains(t, string(b), f.key)
	require.Contains(t, string(b), `"epoch_mono_ns":5000000000`)

	var back Manifest
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, m.Target, back.Target)
	require.Equal(t, m.Facts, back.Facts)
	require.Equal(t, m.Machine, back.Machine)
	require.Equal(t, m.Build, back.Build)
	require.Equal(t, m.Process.Cgroup, back.Process.Cgroup)
	require.Equal(t, m.Platform(), back.Platform())
}

func TestTargetKinds(t *testing.T) {
	s := Server{Endpoint: Endpoint{URL: "u", Model: "m"}, Flavor: FlavorEmulator}
	require.Equal(t, "emulator", s.Target().Kind)
	require.True(t, s.Target().Emulated)
	s.Flavor = FlavorVLLM
	require.Equal(t, "attached", s.Target().Kind)
	require.False(t, s.Target().Emulated)
}

func TestPlatform(t *testing.T) {
	spark := Machine{Product: "NVIDIA_DGX_Spark", Places: []Place{{Reason: "none"}, {Disk: &Disk{Name: "nvme0n1", Model: "PM9E1"}}}}
	require.Equal(t, "NVIDIA_DGX_Spark, PM9E1", Manifest{Machine: spark}.Platform())
	vm := Machine{GOARCH: "amd64", CPUs: 2, CPUModels: []string{"AMD EPYC"}, Places: []Place{{Disk: &Disk{Name: "vda"}}}}
	require.Equal(t, "amd64 2 x AMD EPYC, vda", Manifest{Machine: vm}.Platform())
	require.Equal(t, "arm64 4 x unknown CPU", Manifest{Machine: Machine{GOARCH: "arm64", CPUs: 4}}.Platform())
}

func TestReadBuild(t *testing.T) {
	b := ReadBuild()
	require.Contains(t, b.Go, "go1.")
	require.Equal(t, "github.com/spark-harness/harness", b.Module)
}
