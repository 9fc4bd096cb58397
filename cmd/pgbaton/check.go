package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/survey"
)

// checkMesos looks at the cluster and says what would not work. The error, which is the exit code, says that something would not.
func (p *schedulerPlan) checkMesos(ctx context.Context, out io.Writer) error {
	progress := newProgress(os.Stderr, terminal(os.Stderr), "looking at Mesos: ")
	cluster, err := survey.Look(ctx, survey.Config{
		Masters: p.mesos.Masters, Find: p.mesos.Find, TLS: p.mesos.TLS, Principal: p.mesos.Principal, Secret: p.mesos.Secret, Tell: progress.tell,
	})
	progress.over()
	if err != nil {
		return fmt.Errorf("look at Mesos: %w", err)
	}
	wrong := 0
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range cluster.Judge(survey.Wanted{Role: p.mesos.Role, User: p.mesos.User, Principal: p.mesos.Principal, GPUs: p.mesos.GPUs}) {
		if f.Level == survey.Wrong {
			wrong++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Level, f.What, f.Found)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the findings: %w", err)
	}
	switch wrong {
	case 0:
		return nil
	case 1:
		return errors.New("1 thing would not work on this cluster")
	}
	return fmt.Errorf("%d things would not work on this cluster", wrong)
}

// patience is how long something may take before a person is told what is being done.
const patience = 2 * time.Second

// progress is a line on a terminal that says what is being done, once that takes long, and goes when it is over.
type progress struct {
	out    io.Writer
	prefix string

	mu    sync.Mutex
	what  string
	shown bool
	ended bool
	timer *time.Timer
}

// newProgress makes one; where there is no terminal it says nothing.
func newProgress(out io.Writer, onTerminal bool, prefix string) *progress {
	p := &progress{out: out, prefix: prefix}
	if onTerminal {
		p.timer = time.AfterFunc(patience, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.shown = !p.ended; p.shown {
				p.show()
			}
		})
	}
	return p
}

func (p *progress) tell(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
	if p.shown {
		p.show()
	}
}

func (p *progress) show() { fmt.Fprint(p.out, clearLine+p.prefix+p.what) }

func (p *progress) over() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.shown {
		fmt.Fprint(p.out, clearLine)
	}
	p.shown, p.ended = false, true
}

// clearLine goes back to the beginning of a terminal's line and empties it (ECMA-48, EL).
const clearLine = "\r\x1b[K"
