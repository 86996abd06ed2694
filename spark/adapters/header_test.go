package adapters

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseHeader(t *testing.T) {
	for _, c := range []struct {
		why, header string
		data        int64
		want        string // of the error; "" for none
	}{
		{"as PEFT writes it", smallHeader, smallData, ""},
		{"with metadata and padding", `{"__metadata__":{"format":"pt"},"t":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}   `, 6, ""},
		{"keys and tensors in any order", `{"b":{"data_offsets":[2,4],"shape":[2],"dtype":"I8"},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 4, ""},
		{"a scalar has an empty shape", `{"t":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}`, 8, ""},
		{"an empty tensor takes no place", `{"t":{"dtype":"F64","shape":[0,7],"data_offsets":[0,0]},"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, ""},
		{"elements smaller than a byte", `{"t":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]}}`, 3, ""},
		{"no tensors", `{}`, 0, ""},

		{"nothing", ``, 0, "no JSON object"},
		{"padding before it", ` {}`, 0, "no JSON object"},
		{"no object", `[]`, 0, "no JSON object"},
		{"bytes that are no text", "{\"\xff\":1}", 0, "UTF-8"},
		{"cut off", smallHeader[:60], smallData, "no JSON"},
		{"cut off between tensors", smallHeader[:strings.Index(smallHeader, smallB)], smallData, "no JSON"},
		{"more than an object", `{}{}`, 0, "goes on after its end"},
		{"NULs for spaces", "{}\x00", 0, "goes on after its end"},
		{"no JSON", `{"t":{"dtype":F32}}`, 0, "no JSON"},
		{"a comma too much", `{"t":{"dtype":"U8","shape":[1,],"data_offsets":[0,1]}}`, 1, "no JSON"},
		{"a tensor twice", `{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, `tensor "t": its header has it twice`},
		{"a key twice", `{"t":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 1, `tensor "t": dtype comes twice`},
		{"a key in capitals", `{"t":{"DTYPE":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, `"DTYPE" is unknown`},
		{"a key too many", `{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"strides":[1]}}`, 1, `"strides" is unknown`},
		{"no shape", `{"t":{"dtype":"U8","data_offsets":[0,1]}}`, 1, "want dtype, shape, and data_offsets"},
		{"one offset", `{"t":{"dtype":"U8","shape":[1],"data_offsets":[1]}}`, 1, "a begin and an end"},
		{"three offsets", `{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 1, "a begin and an end"},
		{"a list for a tensor", `{"t":["U8"]}`, 1, `tensor "t"`},
		{"a number for a tensor", `{"t":7}`, 1, `tensor "t"`},
		{"metadata that is no text", `{"__metadata__":{"format":7}}`, 0, "__metadata__"},
		{"a type of its own", `{"t":{"dtype":"F12","shape":[1],"data_offsets":[0,1]}}`, 1, `dtype "F12" is unknown`},
		{"a type in small letters", `{"t":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}`, 4, `dtype "f32" is unknown`},
		{"negative shape", `{"t":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1, "no whole number"},
		{"a broken number", `{"t":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1, "no whole number"},
		{"a number with an exponent", `{"t":{"dtype":"U8","shape":[1e3],"data_offsets":[0,1]}}`, 1, "no whole number"},
		{"text for a number", `{"t":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`, 1, "no whole number"},
		{"a list in a list", `{"t":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}}`, 1, "no whole number"},
		{"an offset past 63 bits", `{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,9223372036854775808]}}`, 1, "no whole number"},
		{"a shape whose product wraps to 1 byte", `{"t":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,1]}}`, 1, "too large"},
		{"a shape that overflows and ends in 0", `{"t":{"dtype":"U8","shape":[9223372036854775807,3,0],"data_offsets":[0,0]}}`, 0, "too large"},
		{"half a byte", `{"t":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1, "no whole number of bytes"},
		{"a shape that does not fill its place", `{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}`, 9, `tensor "t": 9 bytes are set aside for F32 [2], which is 8`},
		{"an end before the begin", `{"t":{"dtype":"U8","shape":[1],"data_offsets":[2,1]}}`, 2, "before its begin"},
		{"a hole at the start", `{"t":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, `tensor "t": it begins at 1, 1 bytes after`},
		{"overlap", `{"t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"u":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3, `tensor "u": it begins at 1, inside`},
		{"the same place", `{"t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"u":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2, `tensor "u"`},
		{"a file cut short", smallHeader, smallData - 1, `q_proj.lora_B.weight": it ends at 80, but the file has 79`},
		{"something behind the last", smallHeader, smallData + 3, "3 bytes follow the last tensor"},
		{"data of no tensor", `{}`, 5, "5 bytes follow"},
	} {
		tensors, err := parseHeader([]byte(c.header), c.data)
		if c.want == "" {
			require.NoError(t, err, c.why)
			continue
		}
		require.ErrorContains(t, err, c.want, c.why)
		_ = tensors
	}
}

func TestParseHeaderGivesWhatStandsThere(t *testing.T) {
	got, err := parseHeader([]byte(smallHeader), smallData)
	require.NoError(t, err)
	require.Equal(t, []tensor{
		{strings.Trim(smallA, `"`), "F32", []int64{2, 4}, 0, 32},
		{strings.Trim(smallB, `"`), "F32", []int64{6, 2}, 32, 80},
	}, got)
}

// Long text of a stranger's file must not flood a terminal.
func TestFaultsAreShort(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, h := range []string{
		`{"` + long + `":7}`,
		`{"t":{"dtype":"` + long + `","shape":[],"data_offsets":[0,1]}}`,
		`{"t":{"` + long + `":1}}`,
		`{"t":{"dtype":"U8","shape":["` + long + `"],"data_offsets":[0,1]}}`,
		`{"t":{"dtype":"U8","shape":[` + strings.Repeat("9,", 1<<16) + `9],"data_offsets":[0,1]}}`,
		`{"t":{"dtype":"U8","shape":[` + strings.Repeat("1,", 1<<16) + `1],"data_offsets":[0,2]}}`,
		`{}` + long,
	} {
		_, err := parseHeader([]byte(h), 1)
		require.Error(t, err)
		require.Less(t, len(err.Error()), 1000)
	}
}

func FuzzParseHeader(f *testing.F) {
	p, err := Spec{Model: "L8B", Rank: 1}.plan()
	require.NoError(f, err)
	f.Add(p.head(1)[8:], p.data)
	f.Add([]byte(smallHeader), int64(smallData))
	f.Add([]byte(`{"__metadata__":{"a":"b"},"t":{"dtype":"F4","shape":[0,9223372036854775807],"data_offsets":[0,0]}}`), int64(0))
	f.Add([]byte(`{"t":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, header []byte, data int64) {
		tensors, err := parseHeader(header, data)
		if err != nil {
			require.Less(t, len(err.Error()), 4000)
			return
		}
		// What is accepted covers the data, and says the same when written again.
		var at int64
		again := []string{}
		for _, e := range tensors {
			n, err := e.bytes()
			require.NoError(t, err)
			require.Equal(t, at, e.begin)
			require.Equal(t, at+n, e.end)
			at = e.end
			again = append(again, fmt.Sprintf(`%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`,
				quoted(t, e.name), e.dtype, strings.ReplaceAll(fmt.Sprint(e.shape), " ", ","), e.begin, e.end))
		}
		require.Equal(t, data, at)
		back, err := parseHeader([]byte("{"+strings.Join(again, ",")+"}"), data)
		require.NoError(t, err)
		require.ElementsMatch(t, tensors, back)
	})
}
