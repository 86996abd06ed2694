package hypotheses

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseConfig(t *testing.T) {
	for _, c := range []struct {
		why  string
		env  []string
		want Config
		err  string
	}{
		{why: "nothing set is the default", want: Config{Seed: 1}},
		{why: "an empty value is unset", env: []string{"SPARK_PROFILE=", "HOME=/x"}, want: Config{Seed: 1}},
		{why: "foreign names with our prefix are left alone", env: []string{"SPARK_HOME=/opt/spark", "SPARK_MASTER_HOST=x"}, want: Config{Seed: 1}},
		{why: "a slip of the pen must not silently run the default", env: []string{"SPARK_PROFIEL=full"}, err: "did you mean SPARK_PROFILE"},
		{why: "unknown values are refused with the choice", env: []string{"SPARK_PROFILE=fast"}, err: "smoke, quick, full"},
		{why: "unknown controls are refused", env: []string{"SPARK_EMULATOR=nopaging"}, err: "no-paging"},
		{why: "a URL without scheme", env: []string{"SPARK_BASELINE_URL=localhost:8355"}, err: "http://host:port"},
		{why: "keys in URLs would be stored", env: []string{"SPARK_BASELINE_URL=http://u:p@h:1"}, err: "SPARK_API_KEY"},
		{why: "/v1 is ours to add", env: []string{"SPARK_BASELINE_URL=http://h:1/v1/"}, want: Config{Seed: 1, BaselineURL: "http://h:1"}},
		{why: "two targets at once", env: []string{"SPARK_BASELINE_URL=http://h:1", "SPARK_EMULATOR=default"}, err: "two targets"},
		{why: "numbers are checked", env: []string{"SPARK_USERS=0"}, err: "at least 1"},
		{why: "every fault is told at once", env: []string{"SPARK_SEED=x", "SPARK_USERS=x"}, err: "SPARK_USERS"},
	} {
		got, err := ParseConfig(c.env)
		if c.err != "" {
			require.ErrorIs(t, err, ErrSetting, c.why)
			require.ErrorContains(t, err, c.err, c.why)
			continue
		}
		require.NoError(t, err, c.why)
		require.Equal(t, c.want, got, c.why)
	}
}

func TestProfiles(t *testing.T) {
	for _, name := range []string{"smoke", "quick", "full"} {
		p, err := ProfileByName(name)
		require.NoError(t, err)
		require.Equal(t, name, p.Name)
	}
	_, err := ProfileByName("fast")
	require.ErrorIs(t, err, ErrSetting)
	q, _ := ProfileByName("quick")
	require.Equal(t, "p95", q.QuantileName())
}
