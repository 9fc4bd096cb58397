package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/survey"
)

// checkMesos looks at the cluster and says what would not work. The error, which is the exit code, says that something would not.
func (p *schedulerPlan) checkMesos(ctx context.Context, out io.Writer) error {
	cluster, err := survey.Look(ctx, survey.Config{
		Masters: p.mesos.Masters, Find: p.mesos.Find, TLS: p.mesos.TLS, Principal: p.mesos.Principal, Secret: p.mesos.Secret,
	})
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
