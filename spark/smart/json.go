package smart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// mostOutput bounds what is read of a tool's output.
const mostOutput = 1 << 20

// ParseSmartctl reads the output of `smartctl --json -A`. A number that JSON
// readers may not keep is taken from its twin with "_s". ErrShape where there is
// no NVMe log, with what smartctl said of it.
func ParseSmartctl(b []byte) (Log, error) {
	var out struct {
		Smartctl struct {
			Messages []struct {
				Text string `json:"string"`
			} `json:"messages"`
		} `json:"smartctl"`
		Log map[string]json.RawMessage `json:"nvme_smart_health_information_log"`
	}
	if err := decode(b, &out); err != nil {
		return Log{}, fmt.Errorf("smart: read smartctl's output: %w: %w", ErrShape, err)
	}
	if out.Log == nil {
		said := "it has no nvme_smart_health_information_log"
		if m := out.Smartctl.Messages; len(m) > 0 {
			said = m[0].Text
		}
		why := ErrNoLog
		if strings.Contains(said, "ermission denied") {
			why = ErrNotRoot
		}
		return Log{}, fmt.Errorf("smart: read smartctl's output: %w: %s: %w", ErrShape, said, why)
	}
	f := fields(out.Log)
	l := f.log()
	l.HostReads, l.HostWrites = f.counter("host_reads"), f.counter("host_writes")
	l.PercentUsed, l.SpareLeft = f.number("percentage_used"), f.number("available_spare")
	l.TempCelsius = f.number("temperature")
	return l, l.check("smartctl")
}

// ParseNVMeCLI reads the output of `nvme smart-log -o json`, whose temperature
// is in kelvins. ErrShape where it is no log.
func ParseNVMeCLI(b []byte) (Log, error) {
	f := fields{}
	if err := decode(b, &f); err != nil {
		return Log{}, fmt.Errorf("smart: read nvme's output: %w: %w", ErrShape, err)
	}
	l := f.log()
	l.HostReads, l.HostWrites = f.counter("host_read_commands"), f.counter("host_write_commands")
	l.PercentUsed, l.SpareLeft = f.number("percent_used"), f.number("avail_spare")
	if k := f.number("temperature"); k != nil && *k > 0 {
		l.TempCelsius = new(*k - kelvinAtZero)
	}
	l.Throttles1, l.Throttles2 = f.number("thm_temp1_trans_count"), f.number("thm_temp2_trans_count")
	l.ThrottledSec1, l.ThrottledSec2 = f.number("thm_temp1_total_time"), f.number("thm_temp2_total_time")
	return l, l.check("nvme")
}

func decode(b []byte, v any) error {
	if len(b) > mostOutput {
		return fmt.Errorf("%d bytes", len(b))
	}
	return json.Unmarshal(b, v)
}

// check refuses a log without the two numbers that it is read for.
func (l Log) check(who string) error {
	if l.HostReads == nil || l.UnitsRead == nil {
		return fmt.Errorf("smart: read %s's output: %w: it lacks read commands or data units", who, ErrShape)
	}
	return nil
}

// fields is a JSON object whose values may have any shape; one of another shape
// than expected is absent.
type fields map[string]json.RawMessage

// log is what both tools call alike.
func (f fields) log() Log {
	return Log{
		UnitsRead: f.counter("data_units_read"), UnitsWritten: f.counter("data_units_written"),
		BusyMinutes: f.counter("controller_busy_time"), PowerCycles: f.counter("power_cycles"),
		PowerOnHours: f.counter("power_on_hours"), UnsafeOffs: f.counter("unsafe_shutdowns"), MediaErrors: f.counter("media_errors"),
		Warnings: f.number("critical_warning"), WarmMinutes: f.number("warning_temp_time"), HotMinutes: f.number("critical_comp_time"),
	}
}

func (f fields) counter(name string) *Counter {
	for _, raw := range []json.RawMessage{f[name+"_s"], f[name]} {
		var c Counter
		if raw != nil && json.Unmarshal(raw, &c) == nil && !bytes.Equal(raw, []byte("null")) {
			return &c
		}
	}
	return nil
}

func (f fields) number(name string) *int64 {
	n, err := strconv.ParseInt(strings.Trim(string(f[name]), `"`), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// identifying reports whether a member of a tool's output tells one disk from
// all others: it says nothing about a measurement and stays out of it.
func identifying(key string) bool {
	return slices.Contains([]string{"serial_number", "wwn", "eui64", "nguid", "uuid", "logical_unit_id"}, key)
}

// redact takes what identifies a disk out of a tool's output.
func redact(b []byte) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // all digits stay
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("smart: read tool's output: %w: %w", ErrShape, err)
	}
	strip(v)
	out, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("smart: keep tool's output: %w", err)
	}
	return out, nil
}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if identifying(k) {
				delete(v, k)
				continue
			}
			strip(inner)
		}
	case []any:
		for _, inner := range v {
			strip(inner)
		}
	}
}
