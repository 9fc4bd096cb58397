package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run()) } //nolint:forbidigo // this is a main

// options are what the command line says.
type options struct {
	program  string
	runs     int
	subjects []string
	only     []string
	output   string
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	if err := measure(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

func parse(args []string) (options, error) {
	var o options
	var subjects, only string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.program, "program", "bin/pgbaton", "the pgbaton to measure")
	f.IntVar(&o.runs, "runs", 5, "how often each subject is measured")
	f.StringVar(&subjects, "subjects", pgbaton+" "+patroni, "what is measured")
	f.StringVar(&only, "only", "", "these steps only, of "+strings.Join(stepNames(), " ")+"; rise is always one")
	f.StringVar(&o.output, "o", "table", "table, markdown or json")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.subjects, o.only = strings.Fields(subjects), strings.Fields(only)
	for _, s := range o.subjects {
		if s != pgbaton && s != patroni {
			return o, fmt.Errorf("there is no subject %q: use %s or %s", s, pgbaton, patroni)
		}
	}
	for _, s := range o.only {
		if !slices.Contains(stepNames(), s) {
			return o, fmt.Errorf("there is no step %q: use %s", s, strings.Join(stepNames(), ", "))
		}
	}
	if _, ok := formats()[o.output]; !ok || o.runs < 1 || len(o.subjects) == 0 || f.NArg() > 0 {
		return o, errors.New("wanted are: at least one run and one subject, -o table, markdown or json, and no other words")
	}
	return o, nil
}

var errInterrupted = errors.New("interrupted")

func stepNames() []string {
	var names []string
	for _, s := range steps() {
		names = append(names, s.name)
	}
	return names
}

// measure measures all subjects in turns and prints what came of it. A run that failed is told, and the others go on.
func measure(ctx context.Context, o options) (err error) {
	folder, err := os.MkdirTemp("", "pgbaton-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := os.Chmod(folder, 0o711); err != nil { //nolint:gosec // the agents' user passes through
		return err
	}
	all, err := find(ctx, o, folder)
	if err != nil {
		return err
	}
	t := &teller{out: os.Stderr, began: time.Now()}
	r := report{When: t.began, Machine: machine(), Subjects: all}
	var failed error
	for n := range o.runs {
		for i := range all {
			t.prefix = fmt.Sprintf("%-8s run %d of %d", all[i].name, n+1, o.runs)
			got, err := once(ctx, t, all[i], o.only)
			r.add(all[i].name, got)
			if ctx.Err() != nil {
				return errors.Join(errInterrupted, err)
			}
			failed = errors.Join(failed, err)
		}
	}
	return errors.Join(formats()[o.output](os.Stdout, r), failed)
}

// find finds the subjects. Patroni may be missing, unless PEERS=required.
func find(ctx context.Context, o options, folder string) ([]subject, error) {
	own, err := baton(ctx, o.program)
	if err != nil {
		return nil, err
	}
	var all []subject
	for _, name := range o.subjects {
		if name == pgbaton {
			all = append(all, own)
			continue
		}
		peer, err := other(ctx, folder, own.path)
		if err != nil && os.Getenv("PEERS") == "required" {
			return nil, err
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "only %s is measured: %v\n", pgbaton, err)
			continue
		}
		all = append(all, peer)
	}
	return all, nil
}

// once is one run: a new cluster, all steps, and no cluster. A step that failed is told, and the run goes on if the cluster
// does.
func once(ctx context.Context, t *teller, s subject, only []string) (f figures, err error) {
	f = figures{}
	l, err := openLab(ctx, s)
	if err != nil {
		return f, err
	}
	defer func() {
		if gone := l.close(ctx); gone != nil {
			err = errors.Join(err, fmt.Errorf("remove the cluster of %s: %w", s.name, gone))
		}
	}()
	for _, st := range steps() {
		if len(only) > 0 && st.name != "rise" && !slices.Contains(only, st.name) {
			continue
		}
		t.begins(st)
		got := figures{}
		wrong := st.do(ctx, l, got)
		if ctx.Err() != nil {
			return f, err
		}
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %s: %w", t.prefix, st.name, wrong))
			t.failed(l, wrong)
			if l.whole(ctx) != nil {
				return f, err
			}
			continue
		}
		t.measured(got)
		maps.Copy(f, got)
	}
	return f, err
}
