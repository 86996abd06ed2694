package hypotheses

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/blockdev"
)

func TestLimitsAreForTheWatchedDeviceItself(t *testing.T) {
	disk, loop := blockdev.Node{Name: "nvme0n1", MajMin: "259:0", Kind: "disk"}, blockdev.Node{Name: "loop0", MajMin: "7:0", Kind: "loop"}
	part := blockdev.Node{Name: "nvme0n1p2", MajMin: "259:2", Kind: "partition"}
	for _, row := range []struct {
		why   string
		chain []blockdev.Node
		want  string
	}{
		{"a disk", []blockdev.Node{disk}, "259:0"},
		{"a partition cannot be limited, its disk can", []blockdev.Node{part, disk}, "259:0"},
		{"a loop device: below it, its own r_await would show the wait", []blockdev.Node{loop, part, disk}, "7:0"},
		{"a partition of a loop device", []blockdev.Node{{Name: "loop0p1", MajMin: "259:9", Kind: "partition"}, loop, disk}, "7:0"},
	} {
		require.Equal(t, row.want, ownNumber(blockdev.Device{Name: "nvme0n1", MajMin: "259:0", Chain: row.chain}), row.why)
	}
}
