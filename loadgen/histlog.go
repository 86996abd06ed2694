package loadgen

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// LogEntry is one interval of a histogram log.
type LogEntry struct {
	// Tag names what was measured, as letters, digits, '_' and '-'.
	Tag string
	// Start and Length are the interval, since the run's epoch.
	Start, Length time.Duration
	Hist          *Hist
}

// WriteLog writes the entries as a histogram log of version 1.3, which the
// tools of the HdrHistogram project open (values in µs, the interval maximum in
// ms, times in seconds after wallEpoch). Empty histograms are left out: a log
// cannot tell them from a zero.
func WriteLog(w io.Writer, wallEpoch time.Time, entries ...LogEntry) error {
	b := bufio.NewWriter(w)
	epoch := float64(wallEpoch.UnixMilli()) / 1e3
	fmt.Fprintf(b, "#[Histogram log format version %s]\n", hdr.HISTOGRAM_LOG_FORMAT_VERSION)
	fmt.Fprintf(b, "#[values in microseconds]\n")
	fmt.Fprintf(b, "#[BaseTime: %.3f (seconds since epoch)]\n", epoch)
	fmt.Fprintf(b, "#[StartTime: %.3f (seconds since epoch), %s]\n", epoch, wallEpoch.UTC().Format(time.RFC3339))
	fmt.Fprintf(b, "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n")
	for _, e := range entries {
		if e.Tag == "" || strings.Trim(e.Tag, tagLetters) != "" {
			return fmt.Errorf("loadgen: write histogram log: tag %q: use letters, digits, _ and -", e.Tag)
		}
		peak, ok := e.Hist.Max()
		if !ok {
			continue
		}
		payload, err := e.Hist.h.EncodeV2()
		if err != nil {
			return fmt.Errorf("loadgen: write histogram log: %s: %w", e.Tag, err)
		}
		fmt.Fprintf(b, "Tag=%s,%.3f,%.3f,%.3f,%s\n", e.Tag, e.Start.Seconds(), e.Length.Seconds(), millis(peak), payload)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("loadgen: write histogram log: %w", err)
	}
	return nil
}

const tagLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// ReadLog yields the entries of a log that WriteLog wrote. A line that is
// neither comment, legend nor entry ends the sequence with an error that gives
// its number.
func ReadLog(r io.Reader) iter.Seq2[LogEntry, error] {
	return func(yield func(LogEntry, error) bool) {
		sc := bufio.NewScanner(r)
		sc.Buffer(nil, 4<<20)
		for n := 1; sc.Scan(); n++ {
			line := sc.Text()
			if line == "" || line[0] == '#' || line[0] == '"' {
				continue
			}
			e, err := parseLogLine(line)
			if err != nil {
				yield(LogEntry{}, fmt.Errorf("loadgen: read histogram log: line %d: %w", n, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := sc.Err(); err != nil {
			yield(LogEntry{}, fmt.Errorf("loadgen: read histogram log: %w", err))
		}
	}
}

func parseLogLine(line string) (LogEntry, error) {
	f := strings.Split(line, ",")
	tag, tagged := strings.CutPrefix(f[0], "Tag=")
	if len(f) != 5 || !tagged {
		return LogEntry{}, fmt.Errorf("not a tag, two times, a maximum and a histogram")
	}
	start, err := time.ParseDuration(f[1] + "s")
	if err != nil {
		return LogEntry{}, fmt.Errorf("start time: %w", err)
	}
	length, err := time.ParseDuration(f[2] + "s")
	if err != nil {
		return LogEntry{}, fmt.Errorf("interval length: %w", err)
	}
	h, err := hdr.Decode([]byte(f[4]))
	if err != nil {
		return LogEntry{}, fmt.Errorf("histogram: %w", err)
	}
	if h.LowestTrackableValue() != 1 || h.HighestTrackableValue() != int64(MaxLatency/histUnit) || h.SignificantFigures() != histDigits {
		return LogEntry{}, fmt.Errorf("histogram of another range or precision than 1 µs to %v with %d digits", MaxLatency, histDigits)
	}
	return LogEntry{Tag: tag, Start: start, Length: length, Hist: &Hist{h: h}}, nil
}
