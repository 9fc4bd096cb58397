package ctl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// longestEvent bounds one event: a posted definition is one.
const longestEvent = 32 << 20

// streamed is one event of the scheduler. Which fields are set depends on its type.
type streamed struct {
	Kind string `json:"eventType"`
	Time string `json:"timestamp"`

	AppID      app.ID         `json:"appId"`
	RunSpecID  app.ID         `json:"runSpecId"`
	GroupID    app.ID         `json:"groupId"`
	TaskID     app.TaskID     `json:"taskId"`
	InstanceID app.InstanceID `json:"instanceId"`
	Host       string         `json:"host"`
	State      app.TaskState  `json:"taskStatus"`
	Condition  string         `json:"condition"`
	Message    string         `json:"message"`
	Reason     string         `json:"reason"`
	Alive      bool           `json:"alive"`
	ID         string         `json:"id"`
	URI        string         `json:"uri"`
	Plan       struct {
		ID    string     `json:"id"`
		Steps []app.Step `json:"steps"`
	} `json:"plan"`
	CurrentStep app.Step `json:"currentStep"`

	data string // as it came
}

// events delivers what happens until ctx ends or the scheduler ends the stream; then the channel is closed.
func (m *marathon) events(ctx context.Context, types ...string) (<-chan streamed, error) {
	v := url.Values{"plan-format": {"light"}}
	for _, kind := range types {
		v.Add("event_type", kind)
	}
	resp, err := m.request(ctx, http.MethodGet, "/v2/events?"+v.Encode(), nil, "text/event-stream") //nolint:bodyclose // whoever reads it does
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		resp.Body.Close() //nolint:errcheck // only read
		return nil, refused(resp.StatusCode, text)
	}
	out := make(chan streamed, 16)
	go func() {
		defer close(out)
		defer resp.Body.Close() //nolint:errcheck // only read
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, longestEvent)
		for lines.Scan() {
			data, is := strings.CutPrefix(strings.TrimSuffix(lines.Text(), "\r"), "data:")
			e := streamed{data: strings.TrimSpace(data)}
			if !is || json.Unmarshal([]byte(e.data), &e) != nil {
				continue
			}
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// subject is the app that an event is about; empty for none.
func (e streamed) subject() app.ID {
	for _, id := range []app.ID{e.AppID, e.RunSpecID, e.GroupID} {
		if id != "" {
			return id
		}
	}
	return ""
}

// sentence is an event in words.
func (e streamed) sentence() string {
	switch e.Kind {
	case "status_update_event":
		text := "task on " + e.Host + ": " + stateWord(e.State)
		if message := strings.Join(strings.Fields(e.Message), " "); message != "" && e.State != app.TaskRunning {
			text += ": " + message
		}
		return text
	case "deployment_info":
		return "deployment " + e.Plan.ID + ": " + doing(e.CurrentStep.Actions)
	case "deployment_step_success":
		return "deployment " + e.Plan.ID + ": done: " + doing(e.CurrentStep.Actions)
	case "deployment_step_failure":
		return "deployment " + e.Plan.ID + ": failed: " + doing(e.CurrentStep.Actions)
	case "deployment_success":
		return "deployment " + e.ID + " is done"
	case "deployment_failed":
		return strings.TrimSuffix("deployment "+e.ID+" was ended: "+e.Reason, ": ")
	case "health_status_changed_event":
		return fmt.Sprintf("%s is %s", e.InstanceID, map[bool]string{true: "healthy", false: "unhealthy"}[e.Alive])
	case "instance_changed_event":
		return strings.TrimSpace(string(e.InstanceID) + " " + strings.ToLower(e.Condition) + " " + e.Host)
	}
	words := strings.ReplaceAll(strings.TrimSuffix(e.Kind, "_event"), "_", " ")
	for _, more := range []string{string(e.TaskID), string(e.InstanceID), e.Host, e.Reason, e.URI} {
		if more != "" {
			return words + ": " + more
		}
	}
	return words
}

func (t *tool) appEventsCommand(at *string) *cobra.Command {
	format := formatPretty
	var types []string
	c := &cobra.Command{
		Use: "events [APP]", Short: "Tell what happens, as it happens", Args: between(0, 1, ""),
		Example:           "  pgbaton app events\n  pgbaton app events /postgresql/patroni -t status_update_event\n  pgbaton app events -f json | jq .eventType",
		ValidArgsFunction: t.completeApps(at),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.tellEvents(cmd.Context(), *at, args, types, format)
		},
	}
	choiceVar(c, &format, "format", "f", "pretty, or json: one document a line", formatPretty, formatJSON)
	c.Flags().StringSliceVarP(&types, "type", "t", nil, "only events of this type; may be repeated")
	return c
}

func (t *tool) tellEvents(ctx context.Context, at string, args, types []string, format string) error {
	m, err := t.marathon(at)
	if err != nil {
		return err
	}
	var only app.ID
	if len(args) == 1 {
		if only, err = parseID(args[0]); err != nil {
			return err
		}
	}
	events, err := m.events(ctx, types...)
	if err != nil {
		return err
	}
	for e := range events {
		if only != "" && e.subject() != only && !touches(e, only) {
			continue
		}
		if format == formatJSON {
			t.printf("%s\n", e.data)
			continue
		}
		t.printf("%s  %-24s %s\n", e.Time, e.subject(), e.sentence())
	}
	if ctx.Err() == nil {
		return errors.New("the scheduler has ended the stream: it stopped, or another one leads now; try again")
	}
	return nil
}

// touches reports whether a deployment does something to an app.
func touches(e streamed, id app.ID) bool {
	for _, step := range e.Plan.Steps {
		for _, a := range step.Actions {
			if a.App == id {
				return true
			}
		}
	}
	return false
}

// deploy sends a change and tells how its deployment goes until it is done.
func (t *tool) deploy(ctx context.Context, m *marathon, method, path string, body any, o changeOptions) error {
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	var events <-chan streamed
	if !o.noWait {
		events, _ = m.events(following) // before the change, so that nothing of it is missed; without, it is looked for
	}
	var made struct {
		DeploymentID string
		ID           app.ID
		Deployments  []struct{ ID string }
	}
	if err := m.ask(ctx, method, path, body, &made); err != nil {
		return err
	}
	id := made.DeploymentID
	if id == "" && len(made.Deployments) > 0 {
		id = made.Deployments[len(made.Deployments)-1].ID
	}
	switch {
	case id == "":
		t.printf("done\n")
		return nil
	case o.noWait:
		t.printf("deployment %s has begun\n", id)
		return nil
	}
	f := follower{t: t, m: m, id: id, events: events, began: t.env.Now(), touched: map[app.ID]bool{}, told: map[app.ID]string{}}
	return f.run(ctx)
}

// follower tells how one deployment goes.
type follower struct {
	t      *tool
	m      *marathon
	id     string
	events <-chan streamed // nil or closed when there are none
	began  time.Time

	touched map[app.ID]bool   // apps it changes
	step    string            // last told
	told    map[app.ID]string // why apps wait
}

// lookAgain is how often it is asked why something waits, which no event tells, and whether a deployment still runs whose end
// may have been missed.
const lookAgain = 2 * time.Second

func (f *follower) run(ctx context.Context) error {
	if over, err := f.look(ctx); over || err != nil {
		return err
	}
	pause := lookAgain
	if f.t.env.Poll > 0 {
		pause = f.t.env.Poll
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			f.print("the deployment goes on: app deployments shows it, app deployments --cancel %s undoes it\n", f.id)
			return ErrAborted
		case e, open := <-f.events:
			if !open {
				f.events = nil
				continue
			}
			if over, err := f.hear(e); over {
				return err
			}
		case <-tick.C:
			over, err := f.look(ctx)
			switch {
			case err != nil && ctx.Err() == nil:
				f.say("the scheduler does not answer; the deployment may go on")
			case over:
				return err
			}
		}
	}
}

func (f *follower) print(format string, args ...any) { fmt.Fprintf(f.t.env.Out, format, args...) }

func (f *follower) say(text string) {
	if text == f.step {
		return
	}
	f.step = text
	f.print("%6.1fs  %s\n", f.t.env.Now().Sub(f.began).Seconds(), text)
}

// hear tells what an event says about the deployment; true when it is over.
func (f *follower) hear(e streamed) (bool, error) {
	switch {
	case e.ID == f.id && e.Kind == "deployment_success":
		f.say("done")
		return true, nil
	case e.ID == f.id && e.Kind == "deployment_failed":
		return true, errors.New(e.sentence())
	case e.Plan.ID == f.id && e.Kind == "deployment_info":
		f.begin(e.Plan.Steps, e.CurrentStep)
	case e.Kind == "status_update_event" && f.touched[e.AppID]:
		f.say(string(e.AppID) + ": " + e.sentence())
	case e.Kind == "health_status_changed_event" && f.touched[e.AppID]:
		f.say(string(e.AppID) + ": " + e.sentence())
	}
	return false, nil
}

// begin tells a step.
func (f *follower) begin(steps []app.Step, current app.Step) {
	for _, s := range steps {
		for _, a := range s.Actions {
			f.touched[a.App] = true
		}
	}
	for i, s := range steps {
		if doing(s.Actions) == doing(current.Actions) && len(current.Actions) > 0 {
			f.say(fmt.Sprintf("step %d of %d: %s", i+1, len(steps), doing(current.Actions)))
			return
		}
	}
}

// look asks how far the deployment is and what its apps wait for; true when it is over.
func (f *follower) look(ctx context.Context) (bool, error) {
	list, err := f.m.deployments(ctx)
	if err != nil {
		return false, err
	}
	for _, d := range list {
		if d.ID != f.id {
			continue
		}
		if d.CurrentStep > 0 && len(f.touched) == 0 {
			f.begin(d.Steps, app.Step{Actions: d.CurrentActions()})
		}
		return false, f.reasons(ctx)
	}
	f.say("done")
	return true, nil
}

// reasons tells why apps wait, when that is new.
func (f *follower) reasons(ctx context.Context) error {
	queue, err := f.m.queue(ctx)
	if err != nil {
		return err
	}
	for _, q := range queue {
		why := q.why()
		if !q.Delay.Overdue && q.Delay.TimeLeftSeconds > 0 && q.Summary.Why == "" {
			why = "its tasks ended too soon and are started again after a pause" // whose seconds would be news each time
		}
		if f.touched[q.App.ID] && f.told[q.App.ID] != why {
			f.told[q.App.ID] = why
			f.say(fmt.Sprintf("%s: %d to be started: %s", q.App.ID, q.Count, why))
		}
	}
	return nil
}
