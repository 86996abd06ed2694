package loadgen

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"
)

func adapterList(n int) []Adapter {
	list := make([]Adapter, n)
	for i := range list {
		list[i].Name = fmt.Sprintf("lora-%04d", i+1)
	}
	return list
}

func dealt(choice AdapterChoice, n int) Workload {
	return Workload{Adapters: Adapters{List: adapterList(n), Choice: choice}}
}

func TestWithoutListTheBaseModelIsAsked(t *testing.T) {
	for _, c := range []AdapterChoice{"", AdapterSticky, AdapterRandom, AdapterZipf, AdapterHotOne, AdapterInOrder} {
		require.Equal(t, -1, Workload{Adapters: Adapters{Choice: c}}.Adapter(1, 2, 3), c)
	}
}

func TestStickyUsersAreDealtEvenly(t *testing.T) {
	for _, n := range []int{1, 3, 4, 16, 64} {
		w := dealt(AdapterSticky, n)
		count := make([]int, n)
		for user := range 200 {
			a := w.Adapter(7, user, 0)
			for turn := range 5 {
				require.Equal(t, a, w.Adapter(7, user, turn), "user %d keeps one", user)
			}
			w.FirstTurn = 1000
			require.Equal(t, a, w.Adapter(7, user, 0), "over loads too")
			w.FirstTurn = 0
			count[a]++
			for _, c := range count {
				require.Contains(t, []int{(user + 1) / n, (user + n) / n}, c, "%d users over %d adapters: %v", user+1, n, count)
			}
		}
	}
	require.Equal(t, dealt("", 4).Adapter(1, 6, 0), dealt(AdapterSticky, 4).Adapter(1, 6, 0), "sticky is the default")
}

func TestHotOneAndInOrder(t *testing.T) {
	for user := range 10 {
		for turn := range 10 {
			require.Zero(t, dealt(AdapterHotOne, 4).Adapter(1, user, turn))
			w := dealt(AdapterInOrder, 4)
			require.Equal(t, (user+turn)%4, w.Adapter(1, user, turn))
			w.FirstTurn = 3
			require.Equal(t, (user+turn+3)%4, w.Adapter(1, user, turn))
		}
	}
}

// chiSquare is the chance of counts as far from what is expected, or further.
func chiSquare(count []int, expected func(i int) float64) float64 {
	var x float64
	for i, c := range count {
		e := expected(i)
		x += (float64(c) - e) * (float64(c) - e) / e
	}
	return 1 - distuv.ChiSquared{K: float64(len(count) - 1)}.CDF(x)
}

// counts is how often users ask for each adapter, over turns.
func counts(w Workload, seed uint64, users, turns int) []int {
	count := make([]int, len(w.Adapters.List))
	d := w.dealer(seed)
	for user := range users {
		for turn := range turns {
			count[d.adapter(user, turn)]++
		}
	}
	return count
}

func TestRandomIsUniform(t *testing.T) {
	for _, n := range []int{2, 4, 16, 64} {
		w := dealt(AdapterRandom, n)
		p := chiSquare(counts(w, 11, 200, 500), func(int) float64 { return 100_000 / float64(n) })
		require.Greater(t, p, 0.001, "over all, %d adapters", n)
		p = chiSquare(counts(w, 11, 1, 20_000), func(int) float64 { return 20_000 / float64(n) })
		require.Greater(t, p, 0.001, "of one user's turns, %d adapters", n)
		p = chiSquare(counts(w, 11, 20_000, 1), func(int) float64 { return 20_000 / float64(n) })
		require.Greater(t, p, 0.001, "of the users' first turns, %d adapters", n)
	}
}

// TestRandomHasNoMemory holds the pairs of a user's successive adapters against
// independence.
func TestRandomHasNoMemory(t *testing.T) {
	const n, turns = 8, 50_000
	w := dealt(AdapterRandom, n)
	d := w.dealer(5)
	pairs := make([]int, n*n)
	for turn := range turns {
		pairs[d.adapter(0, turn)*n+d.adapter(0, turn+1)]++
	}
	require.Greater(t, chiSquare(pairs, func(int) float64 { return turns / float64(n*n) }), 0.001)
}

func TestZipfFrequencies(t *testing.T) {
	for _, row := range []struct {
		n        int
		exponent float64 // as set
		s        float64 // as meant
	}{{4, 0, 1}, {16, 1, 1}, {64, 0.5, 0.5}, {64, 1.2, 1.2}, {3, 2, 2}} {
		w := dealt(AdapterZipf, row.n)
		w.Adapters.ZipfExponent = row.exponent
		var norm float64
		for k := range row.n {
			norm += math.Pow(float64(k+1), -row.s)
		}
		p := chiSquare(counts(w, 13, 100, 1000), func(k int) float64 {
			return 100_000 * math.Pow(float64(k+1), -row.s) / norm
		})
		require.Greater(t, p, 0.001, "%+v", row)
	}
	w := dealt(AdapterZipf, 64)
	w.Adapters.ZipfExponent = maxZipfExponent
	require.Equal(t, 100, counts(w, 1, 10, 10)[0], "the first has all")
}

// The expected numbers were computed on amd64; any machine must give the same.
func TestGoldenAdapters(t *testing.T) {
	for _, row := range []struct {
		choice AdapterChoice
		s      float64
		first  []int
		hash   uint64 // FNV-1a of 20 users' 500 turns, a byte each
	}{
		{AdapterRandom, 0, []int{23, 11, 15, 29, 57, 28, 20, 56}, 0xdb69210af9b1c119},
		{AdapterZipf, 1, []int{2, 0, 1, 4, 39, 4, 2, 37}, 0xa3602937d8ddb54b},
		{AdapterZipf, 0.7, []int{6, 1, 3, 10, 48, 10, 5, 47}, 0xce0bc9cce2410740},
	} {
		w := dealt(row.choice, 64)
		w.Adapters.ZipfExponent = row.s
		h := fnv.New64a()
		var first []int
		for user := range 20 {
			for turn := range 500 {
				a := w.Adapter(42, user, turn)
				require.NoError(t, binary.Write(h, binary.LittleEndian, uint8(a)))
				if len(first) < 8 {
					first = append(first, a)
				}
			}
		}
		require.Equal(t, row.first, first, "%s %v", row.choice, row.s)
		require.Equal(t, row.hash, h.Sum64(), "%s %v", row.choice, row.s)
	}
}

// TestAdaptersDoNotDependOnOrder asks for the same requests in another order.
func TestAdaptersDoNotDependOnOrder(t *testing.T) {
	for _, c := range []AdapterChoice{AdapterSticky, AdapterRandom, AdapterZipf, AdapterInOrder} {
		w := dealt(c, 16)
		shared := w.dealer(3)
		want := map[[2]int]int{}
		for user := range 20 {
			for turn := range 20 {
				want[[2]int{user, turn}] = shared.adapter(user, turn)
			}
		}
		for _, i := range rand.Perm(400) {
			require.Equal(t, want[[2]int{i / 20, i % 20}], w.Adapter(3, i/20, i%20), c)
		}
	}
	w := dealt(AdapterRandom, 64)
	later := w
	later.FirstTurn = 100
	require.NotEqual(t, counts(w, 1, 1, 50), counts(w, 2, 1, 50), "another seed, other adapters")
	for turn := range 20 {
		require.Equal(t, w.Adapter(1, 3, turn+100), later.Adapter(1, 3, turn), "a load that goes on")
	}
	w.PromptSeed = 99
	require.Equal(t, counts(w, 1, 3, 50), counts(dealt(AdapterRandom, 64), 1, 3, 50), "new questions to the same adapters")
}

func TestAdaptersAreValidated(t *testing.T) {
	for _, row := range []struct {
		name string
		a    Adapters
		want []string // nothing where it is valid
	}{
		{"none", Adapters{}, nil},
		{"every column", Adapters{List: []Adapter{{"a", 7, "/x y"}, {"b", 0, ""}}, Choice: AdapterZipf, ZipfExponent: 2}, nil},
		{"no name", Adapters{List: []Adapter{{}, {Name: "b"}}}, []string{"List[0]", "no name"}},
		{"a name twice", Adapters{List: []Adapter{{Name: "a"}, {Name: "b"}, {Name: "a"}}}, []string{"List[2]", `"a"`, "twice", "first at 0"}},
		{"an id twice", Adapters{List: []Adapter{{Name: "a", ID: 9}, {Name: "b", ID: 9}}}, []string{"List[1]", "id 9"}},
		{"an id that is another's place", Adapters{List: []Adapter{{Name: "a", ID: 2}, {Name: "b"}}}, []string{"List[1]", "id 2", "place"}},
		{"a negative id", Adapters{List: []Adapter{{Name: "a", ID: -1}}}, []string{"List[0]", "negative"}},
		{"a line break", Adapters{List: []Adapter{{Name: "a\nb"}}}, []string{"List[0]", `"a\nb"`}},
		{"half a letter", Adapters{List: []Adapter{{Name: "a\xff"}}}, []string{"UTF-8"}},
		{"a long name", Adapters{List: []Adapter{{Name: strings.Repeat("a", 256)}}}, []string{"too long", "255"}},
		{"a long path", Adapters{List: []Adapter{{Name: "a", Path: strings.Repeat("a", 4096)}}}, []string{"too long", "4095"}},
		{"the pool's name", Adapters{List: []Adapter{{Name: RestOfAdapters}}}, []string{"kept"}},
		{"unknown choice", Adapters{List: adapterList(2), Choice: "best"}, []string{"Choice", `"best"`, `"zipf"`}},
		{"negative exponent", Adapters{List: adapterList(2), Choice: AdapterZipf, ZipfExponent: -1}, []string{"ZipfExponent"}},
		{"exponent NaN", Adapters{List: adapterList(2), Choice: AdapterZipf, ZipfExponent: math.NaN()}, []string{"ZipfExponent", "NaN"}},
		{"a choice of nothing", Adapters{Choice: AdapterRandom}, []string{"List", "empty"}},
		{"an exponent of nothing", Adapters{ZipfExponent: 1}, []string{"List", "empty"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := planOf(Users(4))
			p.Workload.Adapters = row.a
			err := p.Validate()
			if row.want == nil {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			require.True(t, strings.HasPrefix(err.Error(), "loadgen: plan: Workload.Adapters."), err)
			for _, part := range row.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
}
