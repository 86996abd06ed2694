//go:build spark

package sparktest

import (
	"cmp"
	"os"
	"testing"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// TestBaseline runs the suite against the server at SPARK_BASELINE_URL, with
// SPARK_MODEL, SPARK_API_KEY, SPARK_CA_FILE and SPARK_FLAVOR where set, and
// against the emulator without it.
func TestBaseline(t *testing.T) {
	o := Options{
		Endpoint: spark.Endpoint{
			URL: os.Getenv("SPARK_BASELINE_URL"), Model: os.Getenv("SPARK_MODEL"),
			APIKey: os.Getenv("SPARK_API_KEY"), CAFile: os.Getenv("SPARK_CA_FILE"),
		},
		Flavor: loadgen.Flavor(os.Getenv("SPARK_FLAVOR")),
	}
	if o.Endpoint.URL == "" {
		t.Log("SPARK_BASELINE_URL is not set: testing the embedded emulator")
		o.Endpoint.URL = startEmulator(t, emulated(t))
	}
	Run(t, o)
}

// TestLoRA runs the suite against the server at SPARK_LORA_URL by SPARK_LORA_API,
// and against the emulator's Triton face without it.
func TestLoRA(t *testing.T) {
	o := Options{Endpoint: spark.Endpoint{
		URL: os.Getenv("SPARK_LORA_URL"), API: cmp.Or(os.Getenv("SPARK_LORA_API"), "auto"),
		APIKey: os.Getenv("SPARK_API_KEY"), CAFile: os.Getenv("SPARK_CA_FILE"),
	}}
	if o.Endpoint.URL == "" {
		t.Log("SPARK_LORA_URL is not set: testing the embedded emulator")
		cfg := emulated(t)
		cfg.TritonAddr = "127.0.0.1:0"
		o.Endpoint.URL = startInfo(t, cfg).TritonURL
	}
	Run(t, o)
}
