// Package adapters writes, finds and checks LoRA adapters on disk in PEFT's
// form: a directory with adapter_config.json and adapter_model.safetensors.
// Sizes are in bytes. Its functions keep no state and are safe for concurrent
// use on different directories. It never follows a path out of the directory
// that it is given, and never overwrites an adapter.
package adapters

import "errors"

// Conditions of adapters; test with errors.Is.
var (
	// ErrNotAdapter means that a directory is not a PEFT adapter.
	ErrNotAdapter = errors.New("not a PEFT adapter")
	// ErrCorrupt means that an adapter's file is truncated, or its header lies.
	ErrCorrupt = errors.New("adapter is damaged")
	// ErrOutside means that a symbolic link leads out of the directory given.
	ErrOutside = errors.New("leads out of the directory")
	// ErrExists means that something else is where an adapter would be written.
	ErrExists = errors.New("already there")
	// ErrBusy means that another Make is at work in the directory.
	ErrBusy = errors.New("adapters are being made there")
	// ErrNoSpace means that the adapters would not leave the reserve free.
	ErrNoSpace = errors.New("not enough free space")
)

// Spec says what adapters to make.
type Spec struct {
	// Model is the base whose shapes are taken: L8B or L70B.
	Model string `json:"model"`
	// Rank is r of LoRA, 1 to 512.
	Rank int `json:"rank"`
	// Modules are the target modules; none means q_proj and v_proj, PEFT's default
	// for Llama, and all-linear alone, PEFT's word too, means all seven.
	Modules []string `json:"modules,omitempty"`
	// DType is "F16", "BF16" or "F32"; "" is BF16.
	DType string `json:"dtype,omitempty"`
	// Seed fixes the weights; every adapter's differ.
	Seed uint64 `json:"seed,omitempty"`
}

// Adapter is one adapter on disk.
type Adapter struct {
	Name    string   `json:"name"`  // of its directory
	Dir     string   `json:"dir"`   // absolute
	File    string   `json:"file"`  // path of adapter_model.safetensors
	Bytes   int64    `json:"bytes"` // of that file
	Base    string   `json:"base"`  // base_model_name_or_path
	Rank    int      `json:"rank"`
	Modules []string `json:"modules"`
	Tensors int      `json:"tensors"`
}

// The files of an adapter.
const (
	configFile  = "adapter_config.json"
	weightsFile = "adapter_model.safetensors"
)
