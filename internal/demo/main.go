package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pgbaton/pgbaton/internal/chaos"
)

// stopWithin bounds the orderly end.
const stopWithin = time.Minute

func main() { os.Exit(run()) } //nolint:forbidigo // this is a main

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var cfg chaos.Config
	flag.StringVar(&cfg.Program, "program", "bin/pgbaton", "the pgbaton to show")
	flag.StringVar(&cfg.Source, "source", ".", "the root of this repository")
	flag.Parse()
	s := newScreen(os.Stdout)
	cfg.Tell = s.waitFor
	if err := play(ctx, s, cfg); err != nil {
		s.complain(err.Error())
		return 1
	}
	return 0
}

var errInterrupted = errors.New("interrupted; nothing is left behind")

// play opens a platform, plays all acts on it, and removes it.
func play(ctx context.Context, s *screen, cfg chaos.Config) (err error) {
	p, err := chaos.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		switch {
		case ctx.Err() != nil:
			err = errInterrupted
		case err != nil:
			s.text(p.Output(15))
			err = fmt.Errorf("not as promised: %w", err)
		}
		if gone := p.Destroy(ctx); gone != nil {
			err = fmt.Errorf("not removed without a trace: %w", gone)
		}
	}()
	if err := rise(ctx, s, p); err != nil {
		return err
	}
	t, err := chaos.Begin(ctx, p)
	if err != nil {
		return err
	}
	results, err := perform(ctx, s, t)
	if err = errors.Join(err, t.End()); err != nil {
		return err
	}
	s.table(results)
	return fall(ctx, s, p)
}

// rise starts everything.
func rise(ctx context.Context, s *screen, p *chaos.Platform) error {
	s.headline("Everything is started with one command")
	s.said("did", "pgbaton up, with the app and the configuration of examples/mesos as they stand")
	began := time.Now()
	stop := s.progress()
	pic, err := p.Up(ctx)
	stop()
	if err != nil {
		return err
	}
	s.said("saw", fmt.Sprintf("after %s %s", seconds(time.Since(began)), standing(pic)))
	s.text("\nFrom now on a client writes a row every few milliseconds through the write URL, and all servers are asked all\n" +
		"the time whether they accept writes. The write outage is the longest wait between two acknowledged rows.")
	return nil
}

// perform plays one act after the other and stops at the first that is not as promised.
func perform(ctx context.Context, s *screen, t *chaos.Tour) ([]performed, error) {
	var results []performed
	for _, a := range acts() {
		s.headline(a.title)
		s.text(a.words)
		stop := s.progress()
		r, err := t.Act(ctx, a.fault)
		stop()
		if r.Deed != "" {
			s.said("did", r.Deed)
		}
		if err != nil {
			return results, fmt.Errorf("%s: %w", a.title, err)
		}
		s.said("saw", outcome(r))
		s.said("client", fmt.Sprintf("longest wait %s, %s", seconds(r.Outage), lost(r.Lost)))
		results = append(results, performed{a, r})
	}
	return results, nil
}

// fall stops everything in good order.
func fall(ctx context.Context, s *screen, p *chaos.Platform) error {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	s.headline("Everything is stopped with Ctrl-C")
	began := time.Now()
	if err := p.Stop(ctx); err != nil {
		return err
	}
	s.said("saw", fmt.Sprintf("replicas first, the leader last, all of it within %s and with exit code 0", seconds(time.Since(began))))
	return nil
}
