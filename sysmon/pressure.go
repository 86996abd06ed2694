package sysmon

import "bytes"

// Kernel files: /proc/pressure/{cpu,memory,io} and a cgroup's *.pressure.
// https://docs.kernel.org/accounting/psi.html
//
//	some avg10=0.00 avg60=0.02 avg300=2.51 total=49848290
//	full avg10=0.00 avg60=0.02 avg300=2.49 total=49429351
//
// Only total (µs stalled since boot) is used: avg10 is a decaying mean that
// still shows a stall half a minute later. Kernels before 5.13 print no full
// line for the CPU.

func pressureColumns(prefix, file string) []Column {
	return []Column{
		{"raw_" + prefix + "_some_us", "µs", KindCounter, "psi", file + " some total"},
		{"raw_" + prefix + "_full_us", "µs", KindCounter, "psi", file + " full total"},
	}
}

func pressureNames() [][2]string {
	return [][2]string{{"cpu", "cpu"}, {"mem", "memory"}, {"io", "io"}}
}

func pressureFormulas() []formula {
	var out []formula
	for _, n := range pressureNames() {
		for _, who := range []string{"some", "full"} {
			raw := "raw_psi_" + n[0] + "_" + who + "_us"
			out = append(out, rate("psi", "psi_"+n[0]+"_"+who+"_pct", "% of wall time", 1e-4, "D("+raw+")/dt in µs·100", raw))
		}
	}
	return out
}

// parsePressure fills two slots: some and full.
func parsePressure(b []byte, dst []float64) error {
	fillNaN(dst)
	found := false
	for len(b) > 0 {
		var l []byte
		l, b = line(b)
		slot := -1
		switch {
		case bytes.HasPrefix(l, []byte("some ")):
			slot = 0
		case bytes.HasPrefix(l, []byte("full ")):
			slot = 1
		default:
			continue
		}
		i := bytes.Index(l, []byte(" total="))
		if i < 0 {
			return errShape
		}
		v, _, err := number(l[i+len(" total="):])
		if err != nil {
			return err
		}
		dst[slot], found = v, true
	}
	if !found {
		return errShape
	}
	return nil
}
