package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// noon is when every scenario plays. Times in the files are relative to it: "-3s".
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// TestScenarios runs the files in testdata/next. "given" starts anew, "and" adds lines, replacing what has the same
// name:
//
//	app        ID postgres|plain|resident instances=3 config=-60s version=… min=… over=… oldest inactive=… expunge=…
//	instance   ID app=/pg state=RUNNING goal=running host=node1 version=… started=… ended=… failures=… stopping=-3s clean led deleted
//	member     INSTANCE leader|streaming|replica|silent|empty primary|standby lag=… state=…
//	deployment ID Stop:/a;Restart:/b,Scale:/c step=1 at=-10s
//	health     INSTANCE ok|bad|kill=… mute=-8s own sick=-60s quiet=-40s heard=-41s missed=-1s early
//	breaker    open|closed since=-10s kills=-30s,-20s
//	halted, began, down, draining, ready, unconfirmed, stranger, switchover
//
// "next" prints the plan, "gate" the verdicts of the gate, "queue" what is to be launched.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/next", func(t *testing.T, path string) {
		var s State
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "given":
				s = emptyState()
				readState(t, &s, d.Input)
			case "and":
				readState(t, &s, d.Input)
			case "next":
				return printPlan(Next(s, noon)) + printBreaker(s.Breaker, Next(s, noon).Breaker)
			case "gate":
				return printGate(s)
			case "queue":
				return printQueue(Queue(s, noon))
			default:
				t.Fatalf("unknown command %q", d.Cmd)
			}
			return ""
		})
	})
}

func emptyState() State {
	return State{
		Apps: map[app.ID]app.App{}, Roles: map[app.ID]Roles{}, Health: map[app.InstanceID]Health{}, Down: map[string]bool{},
		Ready: map[app.InstanceID]bool{}, Draining: map[string]string{},
		Unconfirmed: map[app.InstanceID]bool{}, Strangers: map[app.ID][]app.TaskID{}, Switchovers: map[app.ID]Switchover{},
	}
}

func readState(t *testing.T, s *State, input string) {
	for line := range strings.Lines(input) {
		words := strings.Fields(line)
		if len(words) < 2 {
			t.Fatalf("bad line %q", line)
		}
		w := newWords(t, words[2:])
		switch name := words[1]; words[0] {
		case "app":
			s.Apps[app.ID(name)] = w.app(app.ID(name))
		case "deleted":
			delete(s.Apps, app.ID(name))
		case "instance":
			replace(&s.Instances, w.instance(s, app.InstanceID(name)), func(i Instance) any { return i.ID })
		case "member":
			w.member(s, app.InstanceID(name))
		case "deployment":
			replace(&s.Deployments, w.deployment(name), func(d app.Deployment) any { return d.ID })
		case "health":
			s.Health[app.InstanceID(name)] = w.health()
		case "breaker":
			s.Breaker = Breaker{Open: w.moment("since"), Kills: w.moments("kills")}
		case "halted":
			s.Halted = newWords(t, []string{"at=" + name}).time("at", "").Time()
		case "began":
			s.Began = newWords(t, []string{"at=" + name}).time("at", "").Time()
		case "down":
			s.Down[name] = true
		case "draining":
			s.Draining[name] = w.sentence("why", "maintenance")
		case "stays":
			delete(s.Draining, name)
		case "ready":
			s.Ready[app.InstanceID(name)] = true
		case "unconfirmed":
			s.Unconfirmed[app.InstanceID(name)] = true
		case "stranger":
			s.Strangers[app.ID(name)] = []app.TaskID{app.TaskID(w.text("task", ""))}
		case "switchover":
			s.Switchovers[app.ID(name)] = Switchover{Running: w.has("running"), Failed: w.time("refused", "").Time(), Why: w.sentence("why", ""), Refused: w.number("times", 0)}
		default:
			t.Fatalf("unknown line %q", line)
		}
	}
}

func replace[T any](list *[]T, v T, key func(T) any) {
	for i := range *list {
		if key((*list)[i]) == key(v) {
			(*list)[i] = v
			return
		}
	}
	*list = append(*list, v)
}

// words are the flags and key=value pairs of a line.
type words struct {
	t      *testing.T
	flags  []string
	values map[string]string
}

func newWords(t *testing.T, list []string) words {
	w := words{t: t, values: map[string]string{}}
	for _, word := range list {
		if key, value, ok := strings.Cut(word, "="); ok {
			w.values[key] = value
			continue
		}
		w.flags = append(w.flags, word)
	}
	return w
}

func (w words) has(flag string) bool { return slices.Contains(w.flags, flag) }

func (w words) text(key, fallback string) string { return cmp.Or(w.values[key], fallback) }

// sentence is text in which "_" stands for a space.
func (w words) sentence(key, fallback string) string {
	return strings.ReplaceAll(w.text(key, fallback), "_", " ")
}

func (w words) number(key string, fallback int) int {
	n, err := strconv.Atoi(w.text(key, strconv.Itoa(fallback)))
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w words) fraction(key string, fallback float64) float64 {
	f, err := strconv.ParseFloat(w.text(key, fmt.Sprint(fallback)), 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w words) time(key, fallback string) app.Timestamp {
	text := w.text(key, fallback)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return app.At(noon.Add(d))
}

func (w words) app(id app.ID) app.App {
	a := app.App{
		ID: id, Instances: w.number("instances", 1), BackoffSeconds: w.number("backoff", 1), BackoffFactor: 2, MaxLaunchDelaySeconds: 300,
		KillSelection: app.YoungestFirst, Version: w.time("version", w.text("config", "-1h")),
		VersionInfo: app.VersionInfo{LastConfigChangeAt: w.time("config", "-1h")},
		UpgradeStrategy: app.UpgradeStrategy{
			MinimumHealthCapacity: w.fraction("min", 1), MaximumOverCapacity: w.fraction("over", 1),
		},
		UnreachableStrategy: app.UnreachableStrategy{
			InactiveAfterSeconds: w.number("inactive", 0), ExpungeAfterSeconds: w.number("expunge", 0),
		},
	}
	if w.has("postgres") {
		a.Labels = app.Labels{"PGBATON_POSTGRES": "true"}
	}
	if w.has("resident") {
		a.Container = &app.Container{Volumes: []app.Volume{{ContainerPath: "data", Persistent: &app.PersistentVolume{Size: 1}}}}
	}
	if w.has("oldest") {
		a.KillSelection = app.OldestFirst
	}
	if w.has("checked") {
		a.HealthChecks = []app.HealthCheck{{Protocol: app.ProtocolHTTP}}
	}
	if by := w.text("groupby", ""); by != "" {
		a.Constraints = []app.Constraint{{Field: by, Operator: app.OperatorGroupBy}}
	}
	if w.has("readiness") {
		a.ReadinessChecks = []app.ReadinessCheck{{Name: "ready"}}
	}
	if w.has("disabled") {
		a.UnreachableStrategy = app.UnreachableStrategy{Disabled: true}
	}
	for dependency := range strings.FieldsSeq(strings.ReplaceAll(w.text("after", ""), ",", " ")) {
		a.Dependencies = append(a.Dependencies, app.ID(dependency))
	}
	return a
}

// instance has run since an hour before noon with the configuration of then, unless the line says something else.
func (w words) instance(s *State, id app.InstanceID) Instance {
	i := Instance{
		ID: id, App: app.ID(w.text("app", "/pg")), Goal: Goal(w.text("goal", string(GoalRunning))), Incarnation: w.number("incarnation", 1),
		State: app.TaskState("TASK_" + w.text("state", "RUNNING")), Message: w.sentence("message", ""),
		Host: w.text("host", ""), Version: w.time("version", "-1h"), StagedAt: w.time("staged", w.text("started", "-1h")),
		StartedAt: w.time("started", "-1h"), EndedAt: w.time("ended", ""), UnreachableSince: w.time("since", ""),
		Failures: w.number("failures", 0), Clean: w.has("clean"), Led: w.has("led"), GraceSeconds: 5, Deleted: w.has("deleted"),
	}
	def, defined := s.Apps[i.App]
	i.Postgres = def.IsPostgres() || !defined
	if (Resident(def) || w.has("volume")) && !w.has("novolume") {
		i.Volume, i.Bound = string(id), true
	}
	i.ReservedAt, i.DestroyedAt = w.time("reserved", ""), w.time("destroyed", "")
	if w.has("new") { // never launched
		i.Incarnation, i.State, i.StagedAt, i.StartedAt, i.Version = 0, "", 0, 0, 0
		i.Bound = w.has("bound")
	}
	if cause := w.sentence("kill", ""); cause != "" {
		i.Kill = &Kill{At: app.At(noon), Task: app.NewTaskID(id, w.number("task", i.Incarnation)), Force: w.has("force"), Cause: cause}
	}
	if at := w.time("stopping", ""); at != 0 {
		i.Stopping = &Stopping{At: at, Cause: "as asked"}
	}
	if zone := w.text("zone", ""); zone != "" {
		i.Attributes = map[string]string{"zone": zone}
	}
	return i
}

func (w words) member(s *State, id app.InstanceID) {
	m := Member{
		Role: RoleReplica, Streaming: w.has("streaming"), Lag: int64(w.number("lag", 0)), State: w.sentence("state", "running"),
		Timeline: w.number("timeline", 0), Barred: w.sentence("barred", ""), Paused: w.has("paused"), ServerMajor: w.number("major", 0),
		Synchronous: w.number("waits", 0), Lenient: w.has("lenient"), Empty: w.has("empty"),
	}
	if w.has("primary") {
		m.Server = ServerPrimary
	}
	if w.has("standby") {
		m.Server = ServerStandby
	}
	if w.has("leader") {
		m.Role = RoleLeader
	}
	if w.has("sync") {
		m.Role = RoleSyncStandby
	}
	if w.has("quorum") {
		m.Role = RoleQuorumStandby
	}
	for _, i := range s.Instances {
		if i.ID != id {
			continue
		}
		r := s.Roles[i.App]
		r.At = noon
		if r.Members == nil {
			r.Members = map[app.InstanceID]Member{}
		}
		r.Members[id] = m
		if w.has("silent") {
			delete(r.Members, id)
		}
		s.Roles[i.App] = r
	}
}

func (w words) deployment(id string) app.Deployment {
	d := app.Deployment{ID: id, Version: w.time("at", "-10s"), CurrentStep: w.number("step", 1)}
	for step := range strings.SplitSeq(w.flags[0], ";") {
		var actions []app.Action
		for action := range strings.SplitSeq(step, ",") {
			kind, target, _ := strings.Cut(action, ":")
			actions = append(actions, app.Action{Kind: app.ActionKind(kind + "Application"), App: app.ID(target)})
		}
		d.Steps = append(d.Steps, app.Step{Actions: actions})
	}
	d.AffectedApps = Affected(d.Steps)
	return d
}

func printGate(s State) string {
	var out strings.Builder
	for _, id := range slices.Sorted(maps.Keys(s.Apps)) {
		verdicts := Gate(s, id, noon)
		for _, i := range slices.Sorted(maps.Keys(verdicts)) {
			fmt.Fprintf(&out, "%s: %s\n", i, cmp.Or(verdicts[i].Why, "open"))
		}
	}
	return cmp.Or(out.String(), "no members\n")
}

func printQueue(list []app.Queued) string {
	var out strings.Builder
	for _, q := range list {
		fmt.Fprintf(&out, "%s: %d since %s", q.App.ID, q.Count, q.Since.Time().Sub(noon))
		if q.DelayUntil.Time().After(noon) {
			fmt.Fprintf(&out, ", not before %s", q.DelayUntil.Time().Sub(noon))
		}
		out.WriteByte('\n')
	}
	return cmp.Or(out.String(), "nothing\n")
}

func printPlan(p Plan) string {
	var out strings.Builder
	for _, a := range p.Actions {
		fmt.Fprintln(&out, printAction(a))
	}
	for _, w := range p.Waits {
		fmt.Fprintf(&out, "wait %s: %s\n", cmp.Or(string(w.Instance), string(w.App)), w.Why)
	}
	for _, id := range p.Ask {
		fmt.Fprintf(&out, "ask %s\n", id)
	}
	if !p.Wake.IsZero() {
		fmt.Fprintf(&out, "wake in %s\n", p.Wake.Sub(noon).Round(10*time.Millisecond))
	}
	if out.Len() == 0 {
		return "nothing to do\n"
	}
	return out.String()
}

func printAction(a Action) string {
	switch a := a.(type) {
	case Launch:
		return fmt.Sprintf("launch %s", cmp.Or(string(a.Instance), "a new instance of "+string(a.App)))
	case Stop:
		led := ""
		if a.Led {
			led = ", the leader"
		}
		return fmt.Sprintf("stop %s%s, then %s: %s", a.Instance, led, a.Goal, a.Cause)
	case Withdraw:
		return fmt.Sprintf("take back the stop of %s", a.Instance)
	case SetGoal:
		return fmt.Sprintf("let %s be %s", a.Instance, a.Goal)
	case Forget:
		return fmt.Sprintf("forget %s", a.Instance)
	case Destroy:
		return fmt.Sprintf("destroy the volume of %s", a.Instance)
	case Handover:
		return fmt.Sprintf("hand over from %s to %s", a.Leader, a.Candidate)
	case Advance:
		return fmt.Sprintf("begin step %d of %s", a.Step, a.Deployment)
	case Finish:
		return fmt.Sprintf("finish %s", a.Deployment)
	}
	return fmt.Sprintf("%T", a)
}
