// Command spark is the suite for people who would rather type a command than
// go test: it runs hypotheses, judges runs, loads a server or a disk by hand,
// records telemetry and serves the emulator. Each subcommand is one call into a
// package; it has no logic and no defaults of its own.
//
// It exits with 0 on success (and SUPPORTED), 1 on an error, 2 on bad usage,
// 3 on INCONCLUSIVE, 4 on REFUTED or INVALID, 130 when interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/spark-harness/harness/spark"
)

type cli struct {
	Run        runCmd        `cmd:"" help:"Measure hypotheses and judge them, as go test -tags spark ./hypotheses does."`
	Judge      judgeCmd      `cmd:"" help:"Judge runs again from their files, on any machine."`
	Report     reportCmd     `cmd:"" help:"Write report.html, report.md and bench.txt of a results directory."`
	Compare    compareCmd    `cmd:"" help:"Hold two results directories against each other, in plain words."`
	ImportV25  importV25Cmd  `cmd:"" name:"import-v25" help:"Read results of the earlier harness (v2.5) and say what in them can be believed."`
	Load       loadCmd       `cmd:"" help:"Load a server by hand and print what the requests saw."`
	Doctor     doctorCmd     `cmd:"" help:"Tell whether this machine can be measured, and what to mend first."`
	Fio        fioCmd        `cmd:"" help:"Calibrate a disk, probe it, or load it by hand."`
	Monitor    monitorCmd    `cmd:"" help:"Record the machine's telemetry, or check it against sysstat."`
	Serve      serveCmd      `cmd:"" help:"Serve an LLM."`
	Adapters   adaptersCmd   `cmd:"" help:"Make LoRA adapters to load a server with, or check your own."`
	Export     exportCmd     `cmd:"" help:"Write the records of runs for other programs."`
	Completion completionCmd `cmd:"" help:"Print a script that completes commands in your shell."`
	Version    versionCmd    `cmd:"" help:"Print what this binary was built from."`
}

// exitHelp is what scripts may rely on.
const exitHelp = `Exit status: 0 done, and every verdict is SUPPORTED; 1 an error; 2 bad usage; 3 a verdict is INCONCLUSIVE or a hypothesis was skipped; 4 a verdict is REFUTED or INVALID; 130 interrupted. With several verdicts the worst decides, and an error before any.`

// Help is the command in one screen.
func (cli) Help() string {
	return `It loads a server of language models, moves one thing at a time (users, context, the disk's other readers, adapters), and judges from the files of each run whether a hypothesis holds. Without a server it brings one: an emulator whose compute is modelled, and whose memory is bounded and reads the disk for real.

Examples:

    spark run --profile quick             # the whole plan, on the emulator if there is no server
    spark run H4                          # does tail TTFT follow the disk's read latency?
    spark load -U 16 --duration 30s       # load a server by hand, and print what the requests saw

` + exitHelp + `

Environment: spark run takes its settings from the SPARK_ variables that spark run --help lists, such as SPARK_BASELINE_URL (the server to measure) and SPARK_DIR (a directory on the disk under test). SPARK_API_KEY is the server's bearer token; it is never written anywhere.`
}

// streams are where a command writes.
type streams struct{ out, err io.Writer }

// exitError is an error with an exit status of its own.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

func main() {
	if exit, handled := spark.RunChild(os.Args); handled {
		os.Exit(exit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], streams{os.Stdout, os.Stderr}))
}

// execute is the command without the process around it.
func execute(ctx context.Context, args []string, s streams) (exit int) {
	var c cli
	parser, err := kong.New(&c, kong.Name("spark"),
		kong.Description("How much of an LLM server's tail latency is the disk's, once its memory is full?"),
		kong.UsageOnError(), kong.Writers(s.out, s.err), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s),
		kong.Vars{"hypotheses": known()},
		kong.Exit(func(code int) { panic(exited(code)) }))
	if err != nil {
		fmt.Fprintln(s.err, "spark:", err)
		return 1
	}
	defer func() { // --help leaves through Exit
		switch fault := recover().(type) {
		case nil:
		case exited:
			exit = int(fault)
		default: // a fault of ours, which must not look like success
			panic(fault)
		}
	}()
	if len(args) > 0 && args[0] == completeWord {
		printCandidates(s.out, parser.Model.Node, args[1:])
		return 0
	}
	k, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.err, "spark: %v (spark --help tells more)\n", err)
		return 2
	}
	err = k.Run()
	var own exitError
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(s.err, "spark: interrupted:", err)
		return 130
	case errors.As(err, &own):
		fmt.Fprintln(s.err, "spark:", err)
		return own.code
	}
	fmt.Fprintln(s.err, "spark:", err)
	return 1
}

// exited carries kong's exit status through its Exit hook.
type exited int
