package up

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// EtcdImage is the image name that the etcd members' driver maps to `pgbaton etcd`.
const EtcdImage = "etcd"

const (
	// etcdAgain is the pause before a member that ended is started again.
	etcdAgain = time.Second
	// etcdGrace is how long a member may take to end.
	etcdGrace = 6 * time.Second
)

// Etcd keeps the etcd members running on a driver of their own. They outlive this process, and the next one adopts
// them.
type Etcd struct {
	driver  driver.Driver
	layout  Layout
	path    string
	log     *slog.Logger
	say     func(topic, text string)
	state   etcdState
	running map[app.TaskID]bool
	adopted int
}

// etcdState is what must be known to find the members again: written before a member is started.
type etcdState struct {
	Framework string                `json:"framework"`
	Tasks     map[string]app.TaskID `json:"tasks"`
	// Founded is true once all members were started for the first time.
	Founded bool `json:"founded"`
}

// NewEtcd makes the keeper; its notes lie in the file.
func NewEtcd(d driver.Driver, l Layout, file string, log *slog.Logger, say func(topic, text string)) (*Etcd, error) {
	e := &Etcd{driver: d, layout: l, path: file, log: log, say: say, running: map[app.TaskID]bool{}}
	e.state.Tasks = map[string]app.TaskID{}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &e.state)
	}
	if err != nil {
		return nil, fmt.Errorf("read what is known of the etcd members: %w", err)
	}
	return e, nil
}

func (e *Etcd) save() error {
	text, err := json.Marshal(e.state)
	if err != nil {
		return fmt.Errorf("note the etcd members: %w", err)
	}
	if err := renameio.WriteFile(e.path, text, 0o600); err != nil {
		return fmt.Errorf("note the etcd members: %w", err)
	}
	return nil
}

// Start adopts the members that run and starts the others.
func (e *Etcd) Start(ctx context.Context) error {
	framework, err := e.driver.Subscribe(ctx, e.state.Framework)
	if err != nil {
		return fmt.Errorf("find the etcd members: %w", err)
	}
	if framework != e.state.Framework {
		e.state.Framework = framework
		if err := e.save(); err != nil {
			return err
		}
	}
	adopted, err := e.reconcile(ctx)
	if err != nil {
		return err
	}
	e.adopted = adopted
	for _, p := range e.layout.Etcd {
		if e.running[e.state.Tasks[p.Name]] {
			continue
		}
		if err := e.launch(ctx, p); err != nil {
			return err
		}
	}
	e.say("etcd", fmt.Sprintf("%d members started, %d adopted: %s", len(e.layout.Etcd)-adopted, adopted, strings.Join(e.layout.EtcdEndpoints(), ", ")))
	e.state.Founded = true
	return e.save()
}

// Adopted is how many members of a former one Start found running.
func (e *Etcd) Adopted() int { return e.adopted }

// reconcile asks which of the members that were started once still run.
func (e *Etcd) reconcile(ctx context.Context) (int, error) {
	var known []driver.Known
	for name, task := range e.state.Tasks {
		known = append(known, driver.Known{Task: task, Host: name})
	}
	if len(known) == 0 {
		return 0, nil
	}
	if err := e.driver.Reconcile(ctx, known); err != nil {
		return 0, fmt.Errorf("find the etcd members: %w", err)
	}
	answered := map[app.TaskID]bool{}
	for len(answered) < len(known) {
		select {
		case event := <-e.driver.Events():
			if changed, ok := event.(driver.StatusChanged); ok {
				answered[changed.Status.Task] = true
				e.note(ctx, changed.Status)
			}
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	return len(e.running), nil
}

// note takes a status in and acknowledges it.
func (e *Etcd) note(ctx context.Context, s driver.Status) {
	if s.State == app.TaskRunning {
		e.running[s.Task] = true
	}
	if s.State.Terminal() {
		delete(e.running, s.Task)
	}
	if err := e.driver.Ack(ctx, s); err != nil {
		e.log.WarnContext(ctx, "status of an etcd member not acknowledged", slog.String("task", string(s.Task)), slog.Any("err", err))
	}
}

// launch starts one member. A start is noted before it happens.
func (e *Etcd) launch(ctx context.Context, p Place) error {
	if err := free(ctx, p.Address.String(), EtcdClientPort, EtcdPeerPort); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	instance := app.NewInstanceID("/"+app.ID(p.Name), "00000000-0000-0000-0000-000000000000")
	incarnation := 1
	if last, ok := e.state.Tasks[p.Name]; ok {
		incarnation = last.Incarnation() + 1
	}
	task := app.NewTaskID(instance, incarnation)
	e.state.Tasks[p.Name] = task
	if err := e.save(); err != nil {
		return err
	}
	offer, err := e.offer(ctx, p.Name)
	if err != nil {
		return err
	}
	err = e.driver.Launch(ctx, driver.Spec{
		Task: task, Instance: instance, Offer: offer, Host: p.Name, Volume: string(instance),
		App: app.App{Args: e.args(ctx, p), Container: &app.Container{Type: app.ContainerDocker, Docker: &app.Docker{Image: EtcdImage}}},
	})
	if err == nil {
		e.running[task] = true
	}
	return err
}

func (e *Etcd) offer(ctx context.Context, host string) (string, error) {
	offers, err := e.driver.Offers(ctx)
	if err != nil {
		return "", fmt.Errorf("start %s: %w", host, err)
	}
	for _, o := range offers {
		if o.Host == host {
			return o.ID, nil
		}
	}
	return "", fmt.Errorf("start %s: its host offers nothing", host)
}

// args are the arguments of one member. The first one also serves etcdctl's default address, where that is free.
func (e *Etcd) args(ctx context.Context, p Place) []string {
	url := func(address string, port int) string {
		return "http://" + net.JoinHostPort(address, strconv.Itoa(port))
	}
	var initial []string
	for _, m := range e.layout.Etcd {
		initial = append(initial, m.Name+"="+url(m.Address.String(), EtcdPeerPort))
	}
	args := []string{
		"--name", p.Name, "--client-url", url(p.Address.String(), EtcdClientPort),
		"--peer-url", url(p.Address.String(), EtcdPeerPort), "--initial-cluster", strings.Join(initial, ","),
	}
	if p == e.layout.Etcd[0] && free(ctx, e.layout.Listen.Addr().String(), EtcdClientPort) == nil {
		args = append(args, "--client-url", url(e.layout.Listen.Addr().String(), EtcdClientPort))
	}
	if e.state.Founded {
		args = append(args, "--existing")
	}
	return args
}

// Keep starts members again when they end, until the context does; they go on running then.
func (e *Etcd) Keep(ctx context.Context) error {
	again := map[string]time.Time{}
	for {
		timer := time.NewTimer(untilFirst(again))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case event, open := <-e.driver.Events():
			if !open {
				return errors.New("the driver of the etcd members was closed")
			}
			if changed, ok := event.(driver.StatusChanged); ok {
				e.hear(ctx, changed.Status, again)
			}
		case <-timer.C:
			e.relaunch(ctx, again)
		}
		timer.Stop()
	}
}

func (e *Etcd) hear(ctx context.Context, s driver.Status, again map[string]time.Time) {
	e.note(ctx, s)
	for name, task := range e.state.Tasks {
		if task == s.Task && s.State.Terminal() {
			e.say("etcd", name+" ended and is started again: "+s.Message)
			again[name] = time.Now().Add(etcdAgain)
		}
	}
}

func (e *Etcd) relaunch(ctx context.Context, again map[string]time.Time) {
	for _, p := range e.layout.Etcd {
		due, wanted := again[p.Name]
		if !wanted || time.Now().Before(due) {
			continue
		}
		delete(again, p.Name)
		if err := e.launch(ctx, p); err != nil {
			e.log.WarnContext(ctx, "etcd member not started", slog.Any("err", err))
			again[p.Name] = time.Now().Add(etcdAgain)
		}
	}
}

func untilFirst(again map[string]time.Time) time.Duration {
	first := time.Hour
	for _, due := range again {
		first = min(first, time.Until(due))
	}
	return max(first, 0)
}

// Stop ends all members, one after the other: a leader that ends hands over to a member that stays, and waits for
// seconds when there is none. It must not run beside Keep.
func (e *Etcd) Stop(ctx context.Context) error {
	for _, task := range slices.Sorted(maps.Keys(e.running)) {
		if err := e.driver.Kill(ctx, task, etcdGrace); err != nil {
			return fmt.Errorf("stop the etcd members: %w", err)
		}
		for e.running[task] {
			select {
			case event := <-e.driver.Events():
				if changed, ok := event.(driver.StatusChanged); ok {
					e.note(ctx, changed.Status)
				}
			case <-ctx.Done():
				return fmt.Errorf("stop the etcd members: %w", context.Cause(ctx))
			}
		}
	}
	return nil
}
