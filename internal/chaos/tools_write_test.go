package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTools drives a cluster of pgbaton's members with Patroni's operator tool, and one of Patroni's with pgbaton: what
// both tools say of a cluster is the same, and what they are told to do has the same effect.
func TestTools(t *testing.T) {
	_, four := kinds(t.Context(), t)
	for _, c := range []struct {
		name    string
		patroni bool
		tool    *Kind
	}{
		{"patronictl on pgbaton", false, four},
		{"pgbaton on Patroni", true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
			defer cancel()
			f := newMixedField(ctx, t, seeded(t), four, []bool{c.patroni, c.patroni, c.patroni}, promised{mode: "on", nodes: 1})
			defer f.report(ctx)
			f.clients.Stop()
			for _, step := range toolSteps() {
				pic, err := f.whole(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if err := step.do(ctx, &operator{mixedField: f, t: t, tool: c.tool}, pic); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
			}
		})
	}
}

// operator is somebody who has one tool.
type operator struct {
	*mixedField

	t    *testing.T
	tool *Kind
}

// does runs a command, and wants to read that.
func (o *operator) does(ctx context.Context, wanted string, args ...string) error {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	text, code, err := o.Ctl(limited, o.tool, o.Names()[0], args...)
	if err != nil || code != 0 || !strings.Contains(text, wanted) {
		return errors.Join(fmt.Errorf("%s ended with exit code %d and without %q: %s", strings.Join(args, " "), code, wanted, text), err)
	}
	return nil
}

// sees waits until a member's answer on a path of its REST API has a text, or has it no more.
func (o *operator) sees(ctx context.Context, name, path, text string, there bool) error {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	_, err := o.Await(limited, func(Picture) error {
		_, body, err := o.Send(limited, name, http.MethodGet, path, "")
		if err == nil && strings.Contains(body, text) != there {
			err = fmt.Errorf("GET %s of %s with %s is to be %t: %s", path, name, text, there, body)
		}
		return err
	})
	return err
}

// shows waits until all servers have a setting.
func (o *operator) shows(ctx context.Context, name, value string) error {
	limited, cancel := context.WithTimeoutCause(ctx, wholeWithin, errors.New("too long"))
	defer cancel()
	_, err := o.Await(limited, func(Picture) error {
		for _, member := range o.Names() {
			got, err := o.SQL(limited, member, "show "+name)
			if err != nil || got != value {
				return errors.Join(err, fmt.Errorf("%s of %s is %s and not %s", name, member, got, value))
			}
		}
		return nil
	})
	return err
}

type toolStep struct {
	name string
	do   func(ctx context.Context, o *operator, pic Picture) error
}

func toolSteps() []toolStep {
	return []toolStep{
		{"read", func(ctx context.Context, o *operator, pic Picture) error {
			for _, args := range reads(pic.Leader, pic.Followers()[0].Name) {
				o.agree(ctx, o.t, args...)
			}
			return nil
		}},
		{"edit-config", editsConfig},
		{"pause and resume", func(ctx context.Context, o *operator, _ Picture) error {
			if err := o.does(ctx, "Success: cluster management is paused", "pause", "--wait"); err != nil {
				return err
			}
			for _, name := range o.Names() {
				if err := o.sees(ctx, name, "/patroni", `"pause": true`, true); err != nil {
					return err
				}
			}
			o.agree(ctx, o.t, "list")
			o.agree(ctx, o.t, "pause")
			return o.does(ctx, "Success: cluster management is resumed", "resume", "--wait")
		}},
		{"restart", restarts},
		{"settings that need a restart", needsRestart},
		{"reload", func(ctx context.Context, o *operator, pic Picture) error {
			return o.does(ctx, "Reload request received for member "+pic.Leader+" and will be processed within 1 seconds",
				"reload", mixedScope, pic.Leader, "--force")
		}},
		{"reinit", func(ctx context.Context, o *operator, pic Picture) error {
			name := pic.Followers()[0].Name
			before := o.files()[name]
			err := o.does(ctx, "Success: reinitialize for member "+name, "reinit", mixedScope, name, "--force", "--wait")
			if _, whole := o.whole(ctx); whole != nil {
				return errors.Join(err, whole)
			}
			if o.files()[name] == before {
				err = errors.Join(err, fmt.Errorf("%s has the data directory that it had", name))
			}
			return err
		}},
		{"switchover", func(ctx context.Context, o *operator, pic Picture) error {
			p, err := o.promise(ctx)
			if err != nil {
				return err
			}
			to := p.Voters[0]
			err = o.does(ctx, `Successfully switched over to "`+to+`"`, "switchover", "--force", "--leader", pic.Leader, "--candidate", to)
			if err != nil {
				return err
			}
			_, err = o.Await(ctx, o.holds(to))
			return err
		}},
		{"switchover at a time", func(ctx context.Context, o *operator, pic Picture) error {
			at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
			if err := o.does(ctx, "Switchover scheduled", "switchover", "--force", "--leader", pic.Leader, "--scheduled", at); err != nil {
				return err
			}
			o.agree(ctx, o.t, "list")
			o.agree(ctx, o.t, "topology")
			return o.does(ctx, "Success: scheduled switchover deleted", "flush", mixedScope, "switchover", "--force")
		}},
		{"failover", func(ctx context.Context, o *operator, _ Picture) error {
			p, err := o.promise(ctx)
			if err != nil {
				return err
			}
			to := p.Voters[0]
			if err := o.does(ctx, `Successfully failed over to "`+to+`"`, "failover", "--force", "--candidate", to); err != nil {
				return err
			}
			_, err = o.Await(ctx, o.holds(to))
			return err
		}},
		{"read again", func(ctx context.Context, o *operator, _ Picture) error {
			for _, args := range [][]string{{"list"}, {"history"}, {"history", "-f", "json"}, {"show-config"}} {
				o.agree(ctx, o.t, args...)
			}
			return nil
		}},
		{"remove", removes},
	}
}

// editsConfig changes the dynamic configuration in all ways there are.
func editsConfig(ctx context.Context, o *operator, _ Picture) error {
	if err := o.does(ctx, "Configuration changed", "edit-config", "--force", "-s", "maximum_lag_on_failover=2097152", "-p", "work_mem=5MB"); err != nil {
		return err
	}
	if err := o.shows(ctx, "work_mem", "5MB"); err != nil {
		return err
	}
	patch := filepath.Join(o.Dir(), "patch.yml")
	if err := os.WriteFile(patch, []byte("postgresql:\n  parameters:\n    work_mem: 6MB\nmaximum_lag_on_failover: null\n"), 0o600); err != nil {
		return err
	}
	if err := o.does(ctx, "Configuration changed", "edit-config", "--force", "--apply", patch); err != nil {
		return err
	}
	if err := o.shows(ctx, "work_mem", "6MB"); err != nil {
		return err
	}
	if values, err := o.dynamic(ctx); err != nil || values["maximum_lag_on_failover"] != nil {
		return errors.Join(err, fmt.Errorf("maximum_lag_on_failover was not deleted: %v", values))
	}
	o.agree(ctx, o.t, "show-config")
	if err := o.does(ctx, "Configuration changed", "edit-config", "--force", "-s", "postgresql.parameters.work_mem=null"); err != nil {
		return err
	}
	if err := o.shows(ctx, "work_mem", "4MB"); err != nil {
		return err
	}
	text, err := o.Document(ctx, "config")
	if err != nil {
		return err
	}
	if err := os.WriteFile(patch, []byte(strings.Replace(text, `"ttl":20`, `"ttl":21`, 1)), 0o600); err != nil {
		return err
	}
	if err := o.does(ctx, "Configuration changed", "edit-config", "--force", "--replace", patch); err != nil {
		return err
	}
	if values, err := o.dynamic(ctx); err != nil || fmt.Sprint(values["ttl"]) != "21" {
		return errors.Join(err, fmt.Errorf("ttl was not replaced: %v", values))
	}
	return nil
}

// restarts has servers restarted, now and later.
func restarts(ctx context.Context, o *operator, pic Picture) error {
	for _, name := range []string{pic.Followers()[0].Name, pic.Leader} {
		was := o.Postmaster(name)
		if err := o.does(ctx, "Success: restart on member "+name, "restart", mixedScope, name, "--force"); err != nil {
			return err
		}
		if now := o.Postmaster(name); now == was || now == 0 {
			return fmt.Errorf("the server of %s is process %d, and was %d", name, now, was)
		}
		if _, err := o.whole(ctx); err != nil {
			return err
		}
	}
	name, at := pic.Leader, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if err := o.does(ctx, "Success: restart scheduled on member "+name, "restart", mixedScope, name, "--force", "--scheduled", at); err != nil {
		return err
	}
	if err := o.sees(ctx, name, "/cluster", "scheduled_restart", true); err != nil {
		return err
	}
	for _, format := range []string{"pretty", "json", "yaml", "tsv"} {
		o.agree(ctx, o.t, "list", "-f", format)
	}
	if err := o.does(ctx, "Success: flush scheduled restart for member "+name, "flush", mixedScope, name, "restart", "--force"); err != nil {
		return err
	}
	return o.sees(ctx, name, "/cluster", "scheduled_restart", false)
}

// needsRestart changes a setting that takes effect with a restart, and restarts those that wait for it.
func needsRestart(ctx context.Context, o *operator, _ Picture) error {
	if err := o.does(ctx, "Configuration changed", "edit-config", "--force", "-p", "max_connections=120"); err != nil {
		return err
	}
	for _, name := range o.Names() {
		if err := o.sees(ctx, name, "/patroni", "pending_restart", true); err != nil {
			return err
		}
	}
	for _, format := range []string{"pretty", "json", "yaml", "tsv"} {
		o.agree(ctx, o.t, "list", "-f", format)
	}
	// Replicas first: one that has less than the primary cannot replay.
	for _, role := range []string{"replica", "any"} {
		if err := o.does(ctx, "Success: restart on member", "restart", mixedScope, "-r", role, "--pending", "--force"); err != nil {
			return err
		}
		if _, err := o.whole(ctx); err != nil {
			return err
		}
	}
	return o.shows(ctx, "max_connections", "120")
}

// removes ends the cluster and has everything deleted that the DCS knows of it.
func removes(ctx context.Context, o *operator, _ Picture) error {
	if err := o.Leave(ctx); err != nil {
		return err
	}
	leader, err := o.Document(ctx, "leader")
	if err != nil {
		return err
	}
	text, code, err := o.CtlAnswering(ctx, mixedScope+"\nYes I am aware\n"+leader+"\n", o.tool, o.Names()[0], "remove", mixedScope)
	if err != nil || code != 0 {
		return errors.Join(fmt.Errorf("remove ended with exit code %d: %s", code, text), err)
	}
	if left := o.documents(ctx); left != "" {
		return errors.New("left: " + left)
	}
	return nil
}
