package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spark-harness/harness/spark"
)

type versionCmd struct {
	JSON bool `help:"Print it as JSON, as every run's manifest has it."`
}

// Help teaches by examples.
func (versionCmd) Help() string {
	return `The revision is there in builds of a checkout (go build), the version in installed ones (go install …@v1.2.3).

Examples:

    spark version
    spark version --json | jq -r .vcs_revision`
}

// Run prints what the go command wrote into this binary.
func (c versionCmd) Run(s streams) error {
	b := spark.ReadBuild()
	if c.JSON {
		return json.NewEncoder(s.out).Encode(b)
	}
	line := fmt.Sprintf("spark %s, %s, %s %s/%s", cmp.Or(b.Version, "(devel)"), cmp.Or(b.Module, "unknown module"), b.Go, runtime.GOOS, runtime.GOARCH)
	if b.Revision != "" {
		line += ", revision " + b.Revision
	}
	if b.Modified {
		line += " with changes"
	}
	_, err := fmt.Fprintln(s.out, line)
	return err
}
