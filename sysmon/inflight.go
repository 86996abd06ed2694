package sysmon

// Kernel file: /sys/block/D/inflight, reads and writes in flight.
// https://docs.kernel.org/admin-guide/abi-stable.html (sys-block-disk-inflight)
//
//	       0        0

func inflightColumns() []Column {
	return []Column{
		{"inflight_r", "I/Os", KindGauge, "disk", "/sys/block/D/inflight: reads in flight"},
		{"inflight_w", "I/Os", KindGauge, "disk", "/sys/block/D/inflight: writes in flight"},
	}
}

// parseInflight fills two slots.
func parseInflight(b []byte, dst []float64) (err error) {
	fillNaN(dst)
	for i := range dst {
		if dst[i], b, err = number(b); err != nil {
			return err
		}
	}
	if !blank(b) {
		return errFields
	}
	return nil
}
