package adapters

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A small adapter as PEFT might have written it: one module, rank 2, one layer.
const (
	smallConfig = `{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"],"base_model_name_or_path":"tiny","bias":"none","task_type":"CAUSAL_LM"}`
	smallA      = `"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"`
	smallB      = `"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"`
	smallHeader = `{` + smallA + `:{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},` + smallB + `:{"dtype":"F32","shape":[6,2],"data_offsets":[32,80]}}`
	smallData   = 80
)

// put writes an adapter's files as given.
func put(t *testing.T, dir, config, header string, data int) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, configFile), []byte(config), 0o644))
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(append(b, header...), make([]byte, data)...)
	require.NoError(t, os.WriteFile(filepath.Join(dir, weightsFile), b, 0o644))
	return dir
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	list := []string{}
	for _, e := range all {
		list = append(list, e.Name())
	}
	return list
}
