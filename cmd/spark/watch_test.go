package main

import (
	"net"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/hypotheses"
)

func TestWatchFlag(t *testing.T) {
	for _, c := range []struct {
		why  string
		args []string
		env  string
		want string
		bad  bool
	}{
		{"not asked for", nil, "", "", false},
		{"alone", []string{"--watch"}, "", "127.0.0.1:8080", false},
		{"before a hypothesis, which is no address", []string{"--watch", "H0"}, "", "127.0.0.1:8080", false},
		{"a port", []string{"--watch=9001"}, "", "127.0.0.1:9001", false},
		{"another host is named", []string{"--watch=0.0.0.0:9001"}, "", "0.0.0.0:9001", false},
		{"the environment does the same", nil, "9002", "127.0.0.1:9002", false},
		{"a flag wins", []string{"--watch=9001"}, "9002", "127.0.0.1:9001", false},
		{"no address", []string{"--watch=nowhere"}, "", "", true},
	} {
		var r runCmd
		k, err := kong.New(&r, kong.Vars{"hypotheses": known()})
		require.NoError(t, err)
		_, err = k.Parse(c.args)
		if c.bad {
			require.Error(t, err, c.why)
			continue
		}
		require.NoError(t, err, c.why)
		var env []string
		if c.env != "" {
			env = append(env, "SPARK_HTTP="+c.env)
		}
		cfg, err := r.config(env)
		require.NoError(t, err, c.why)
		require.Equal(t, c.want, cfg.HTTP, c.why)
	}
}

func TestATakenPortEndsBeforeMeasuring(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, _, err = show(l.Addr().String(), hypotheses.Progress{})
	require.ErrorIs(t, err, unix.EADDRINUSE)
	p, end, err := show("", hypotheses.Progress{})
	require.NoError(t, err)
	require.Nil(t, p.Watch)
	end()
}
