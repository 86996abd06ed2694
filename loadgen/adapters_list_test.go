package loadgen

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func writeList(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.txt")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestReadAdapters(t *testing.T) {
	for _, row := range []struct {
		why, text string
		want      []Adapter
	}{
		{"names", "a\nb\n", []Adapter{{Name: "a"}, {Name: "b"}}},
		{"the last line needs no end", "a\nb", []Adapter{{Name: "a"}, {Name: "b"}}},
		{"CRLF", "a\r\nb 2\r\nc 3 /p\r\n", []Adapter{{Name: "a"}, {"b", 2, ""}, {"c", 3, "/p"}}},
		{"a byte order mark", "\ufeffa\n", []Adapter{{Name: "a"}}},
		{"a byte order mark before a comment", "\ufeff# list\na\n", []Adapter{{Name: "a"}}},
		{"blank lines and white space about", "\n  a\t\n \t \n\r\nb\n", []Adapter{{Name: "a"}, {Name: "b"}}},
		{"comments", "# all\na # the first\n\t# none\nb#2\n#c\n", []Adapter{{Name: "a"}, {Name: "b#2"}}},
		{"ids", "a 7\nb\t9 # nine\n", []Adapter{{"a", 7, ""}, {"b", 9, ""}}},
		{"id 0 is the place", "a 0 /x\nb 0\n", []Adapter{{"a", 0, "/x"}, {"b", 0, ""}}},
		{"paths may have spaces and #", "a 1 /my loras/#1 # home\n", []Adapter{{"a", 1, "/my loras/#1"}}},
		{"names of other alphabets", "größe\n模型\n", []Adapter{{Name: "größe"}, {Name: "模型"}}},
		{"names that look like flags and paths", "-x\norg/name:tag\n", []Adapter{{Name: "-x"}, {Name: "org/name:tag"}}},
	} {
		got, err := ReadAdapters(writeList(t, row.text))
		require.NoError(t, err, row.why)
		require.Equal(t, row.want, got, row.why)
	}
}

func TestReadAdaptersNamesEveryFault(t *testing.T) {
	for _, row := range []struct {
		why, text string
		want      map[int]string // by line
	}{
		{"empty", "", map[int]string{0: "names no adapter"}},
		{"only comments", "# a\n\n", map[int]string{0: "names no adapter"}},
		{"a byte order mark alone", "\ufeff", map[int]string{0: "names no adapter"}},
		{"a name twice", "# x\na\n\nb\na\n", map[int]string{5: `name "a" stands there twice (first on line 2)`}},
		{"an id twice", "a 3\nb 3\n", map[int]string{2: "id 3 stands for two adapters (without an id it is the place in the list) (first on line 1)"}},
		{"an id that is another's place", "a 2\n#\nb\n", map[int]string{3: "id 2"}},
		{"an id that is none", "a one\n", map[int]string{1: `id "one" is not a whole number`}},
		{"a path in the id's place", "a /x\n", map[int]string{1: "the columns are name, id, path"}},
		{"a negative id", "a -1\n", map[int]string{1: `"-1"`}},
		{"an id beyond 63 bits", "a 9223372036854775808\n", map[int]string{1: "not a whole number"}},
		{"too long", strings.Repeat("n", 256) + "\n", map[int]string{1: "too long (256 bytes, at most 255)"}},
		{"a long path", "a 1 " + strings.Repeat("n", 4096) + "\n", map[int]string{1: "path"}},
		{"a control character", "a\x07b\n", map[int]string{1: `"a\ab"`}},
		{"a terminal's escape in a path", "a 1 /x\x1b[2J\n", map[int]string{1: "path"}},
		{"a NUL", "a\x00\n", map[int]string{1: `"a\x00"`}},
		{"lines that end with CR alone", "a\rb\r", map[int]string{1: `"a\rb"`}},
		{"a space that is none of ours", "a\u00a0b\n", map[int]string{1: "cannot be seen"}},
		{"a mark within", "a\n\ufeffb\n", map[int]string{2: "cannot be seen"}},
		{"UTF-16", "a\x00\n\x00", map[int]string{1: "name", 2: "name"}},
		{"not UTF-8", "caf\xe9\n", map[int]string{1: "UTF-8"}},
		{"the pool's name", RestOfAdapters + "\n", map[int]string{1: "kept"}},
		{"all at once", "a x\nb\nb\nc\x01\n", map[int]string{1: "id", 3: "twice", 4: "cannot be seen"}},
	} {
		path := writeList(t, row.text)
		got, err := ReadAdapters(path)
		require.Error(t, err, row.why)
		require.Nil(t, got, row.why)
		found := map[int]string{}
		for _, e := range unjoin(err) {
			fault, ok := errors.AsType[*AdapterListError](e)
			require.True(t, ok, "%s: %v", row.why, e)
			require.Equal(t, path, fault.File)
			found[fault.Line] += fault.Fault
			if fault.Line > 0 {
				require.Contains(t, e.Error(), fmt.Sprintf("loadgen: read adapters: %s:%d: ", path, fault.Line))
			}
		}
		require.Len(t, found, len(row.want), "%s: %v", row.why, err)
		for line, part := range row.want {
			require.Contains(t, found[line], part, "%s, line %d", row.why, line)
		}
	}
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func TestReadAdaptersRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	_, err := ReadAdapters(filepath.Join(dir, "gone"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "loadgen: read adapters: ")
	_, err = ReadAdapters(dir)
	require.ErrorContains(t, err, dir)
	_, err = ReadAdapters("/dev/zero")
	require.ErrorContains(t, err, "longer than")
}

// TestListsOfTheSets holds the lists that come with the project against the
// names that adapters are made with.
func TestListsOfTheSets(t *testing.T) {
	for _, n := range []int{4, 16, 64} {
		got, err := ReadAdapters(fmt.Sprintf("../inputs/adapters/%d.txt", n))
		require.NoError(t, err)
		require.Equal(t, adapterList(n), got)
	}
}

func FuzzReadAdapters(f *testing.F) {
	for _, seed := range []string{
		"a\nb 2 /p\n", "\ufeff# c\r\na\r\n", "a\na\n", "a x\n", "\x00", "a\xff", "a 1 /x #\n", "  \n\t\n", "# \n#", strings.Repeat("a", 300),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseAdapters("f", text)
		if err != nil {
			require.Nil(t, list)
			for _, e := range unjoin(err) {
				fault, ok := errors.AsType[*AdapterListError](e)
				require.True(t, ok, "%v", e)
				require.LessOrEqual(t, fault.Line, 1+strings.Count(string(text), "\n"))
				require.True(t, printable(fault.Fault), "%q", fault.Fault)
			}
			return
		}
		require.NotEmpty(t, list)
		p := planOf(Users(1))
		p.Workload.Adapters.List = list
		require.NoError(t, p.Validate(), "what is read is good to use")
		var again strings.Builder
		for i, a := range list {
			fmt.Fprintf(&again, "%s %d %s\r\n", a.Name, adapterID(list, i), a.Path)
		}
		back, err := parseAdapters("again", []byte(again.String()))
		require.NoError(t, err)
		for i := range back {
			list[i].ID = adapterID(list, i)
		}
		require.Equal(t, list, back)
	})
}
