package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// look learns everything about a daemon. Each container has the time of an answer: there may be many.
func (d *Driver) look(ctx context.Context, m *daemon) error {
	expected := d.expected(m)
	containers, err := d.overview(ctx, m)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, c := range containers {
		there[c.ID] = true
		if err := d.refreshSoon(ctx, m, c.ID); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range expected {
		switch {
		case t.state.Terminal():
		case !there[t.container]:
			d.change(t, app.TaskGone, "its container is not on host "+t.rec.Host+" any more", time.Time{})
		case t.state == app.TaskKilling:
			d.work.Go(func() { d.stop(t) }) // the daemon may have forgotten what was asked of it
		}
	}
	d.log.InfoContext(ctx, "a docker daemon is followed", slog.String("endpoint", m.cfg.Endpoint), slog.Int("containers", len(containers)))
	d.events.Add(driver.OffersChanged{})
	return nil
}

// overview learns what a daemon has, and lists our containers. It counts as reached then.
func (d *Driver) overview(ctx context.Context, m *daemon) ([]container.Summary, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.patience())
	defer cancel()
	total, err := measure(ctx, m)
	if err != nil {
		return nil, err
	}
	if err := d.lookAtVolumes(ctx, m); err != nil {
		return nil, err
	}
	if err := d.lookAtStrangers(ctx, m); err != nil {
		return nil, err
	}
	list, err := m.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labelRecord)})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m.total, m.up = total, true
	return list.Items, nil
}

// expected are the living tasks of a daemon for which there must be a container: those that nobody is making one for.
func (d *Driver) expected(m *daemon) []*task {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []*task
	for _, t := range d.tasks {
		if t.daemon == m && !t.launching && !t.state.Terminal() {
			all = append(all, t)
		}
	}
	return all
}

// lookAtStrangers learns which host ports the containers of others have.
func (d *Driver) lookAtStrangers(ctx context.Context, m *daemon) error {
	list, err := m.api.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return err
	}
	ports := map[int]bool{}
	for _, c := range list.Items {
		if c.Labels[labelRecord] != "" {
			continue
		}
		for _, p := range c.Ports {
			ports[int(p.PublicPort)] = true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m.strangers = ports
	d.events.Add(driver.OffersChanged{})
	return nil
}

// refresh looks at one container of ours and draws the consequences.
func (d *Driver) refresh(ctx context.Context, m *daemon, id string) error {
	if err := m.order.take(ctx); err != nil {
		return err
	}
	defer m.order.pass()
	seen, err := m.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		d.containerGone(id)
		return nil
	}
	if err != nil {
		return err
	}
	c := seen.Container
	rec, ours, err := readRecord(c.Config.Labels)
	if err != nil || !ours {
		d.report("read container", err, slog.String("container", c.Name))
		return nil
	}
	switch c.State.Status {
	case container.StateCreated:
		return d.drop(ctx, m, rec, c)
	case container.StateRunning, container.StatePaused, container.StateRestarting:
		d.runs(m, rec, c) //nolint:contextcheck // the checks of a task outlive the look at it
	case container.StateExited, container.StateDead:
		d.ended(m, rec, c, d.lastWords(ctx, m, c))
	case container.StateRemoving:
	}
	return nil
}

// known is the task of a container; one that was not known is taken up.
func (d *Driver) known(m *daemon, rec record, c container.InspectResponse) *task {
	t := d.tasks[rec.Task]
	if t == nil {
		t = &task{rec: rec, framework: c.Config.Labels[labelFramework], daemon: m, state: app.TaskStaging}
		d.tasks[rec.Task] = t
	}
	t.container = c.ID
	return t
}

// drop removes a container that nobody will start: who made it is gone. Should it be started at this very moment after
// all, the daemon refuses, and its start is the next event.
func (d *Driver) drop(ctx context.Context, m *daemon, rec record, c container.InspectResponse) error {
	d.mu.Lock()
	t := d.tasks[rec.Task]
	own := t != nil && t.launching
	d.mu.Unlock()
	if own {
		return nil
	}
	_, err := m.api.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{RemoveVolumes: true})
	if errdefs.IsConflict(err) {
		return nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t = d.known(m, rec, c)
	t.container = ""
	if !t.state.Terminal() {
		d.change(t, app.TaskDropped, "was not started before the scheduler stopped", time.Time{})
	}
	return nil
}

// runs notes that a container runs.
func (d *Driver) runs(m *daemon, rec record, c container.InspectResponse) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.known(m, rec, c)
	if t.state.Terminal() {
		// Somebody started it again by hand. Another task may be on its way to take its place.
		d.log.Warn("a container that had ended was started again by somebody and is stopped", slog.String("container", c.Name))
		d.work.Go(func() { d.report("kill container", d.remove(d.life, m, c.ID), slog.String("container", c.Name)) })
		return
	}
	if t.state == app.TaskStaging {
		t.addresses = addresses(c)
		d.change(t, app.TaskRunning, "", moment(c.State.StartedAt))
		d.check(t)
	} else {
		d.emit(t)
	}
	if !t.killBy.IsZero() && t.state == app.TaskRunning { // asked for while it was on its way, or out of reach
		d.change(t, app.TaskKilling, "", time.Time{})
		d.work.Go(func() { d.stop(t) })
	}
}

// addresses are those of a container that has a network of its own: at the network it was made with, then at the others by
// their names.
func addresses(c container.InspectResponse) []app.IPAddress {
	var all []app.IPAddress
	if c.NetworkSettings == nil || c.HostConfig.NetworkMode.IsHost() {
		return nil
	}
	names := slices.Sorted(maps.Keys(c.NetworkSettings.Networks))
	if i := slices.Index(names, c.HostConfig.NetworkMode.NetworkName()); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, c.HostConfig.NetworkMode.NetworkName())
	}
	for _, name := range names {
		n := c.NetworkSettings.Networks[name]
		if n.IPAddress.IsValid() {
			all = append(all, app.IPAddress{IPAddress: n.IPAddress.String(), Protocol: "IPv4"})
		}
		if n.GlobalIPv6Address.IsValid() {
			all = append(all, app.IPAddress{IPAddress: n.GlobalIPv6Address.String(), Protocol: "IPv6"})
		}
	}
	return all
}

// ended notes the end of a container.
func (d *Driver) ended(m *daemon, rec record, c container.InspectResponse, words string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.known(m, rec, c)
	if t.forgotten {
		d.work.Go(func() {
			d.report("remove container", d.remove(d.life, m, c.ID), slog.String("container", c.Name))
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.tasks, rec.Task)
		})
		return
	}
	if t.state.Terminal() || t.launching {
		return // of a launch that came to nothing its maker tells more
	}
	if started := moment(c.State.StartedAt); t.state == app.TaskStaging && !started.IsZero() {
		d.change(t, app.TaskRunning, "", started) // so briefly that nobody saw it
	}
	state, why := verdict(c.State)
	if !t.killBy.IsZero() {
		state, why = app.TaskKilled, "stopped as asked"
	}
	if words != "" && state == app.TaskFailed {
		why += ": " + words
	}
	d.change(t, state, why, moment(c.State.FinishedAt))
}

// containerGone notes that somebody removed a container.
func (d *Driver) containerGone(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tasks {
		if t.container != id || t.launching {
			continue
		}
		t.container = ""
		if !t.state.Terminal() {
			d.change(t, app.TaskGone, "its container was removed from host "+t.rec.Host+" by somebody", time.Time{})
		}
	}
}

// verdict reads how a container ended.
func verdict(s *container.State) (app.TaskState, string) {
	switch {
	case s.OOMKilled:
		return app.TaskFailed, fmt.Sprintf("used more memory than it has and was killed, exit status %d", s.ExitCode)
	case s.ExitCode == 0 && s.Error == "":
		return app.TaskFinished, "exit status 0"
	case s.Error != "":
		return app.TaskFailed, fmt.Sprintf("exit status %d (%s)", s.ExitCode, oneLine(s.Error))
	}
	return app.TaskFailed, fmt.Sprintf("exit status %d", s.ExitCode)
}

// tailLines are as many of the last lines of a log as go into a message.
const tailLines = 5

// lastWords are the last lines a container wrote before it failed, joined by " | ". Log drivers that cannot be read give none.
func (d *Driver) lastWords(ctx context.Context, m *daemon, c container.InspectResponse) string {
	if c.State.ExitCode == 0 {
		return ""
	}
	logs, err := m.api.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(tailLines)})
	if err != nil {
		return ""
	}
	defer logs.Close() //nolint:errcheck // only read
	const most = 16 << 10
	var text bytes.Buffer
	if c.Config.Tty {
		_, err = io.Copy(&text, io.LimitReader(logs, most))
	} else {
		_, err = stdcopy.StdCopy(&text, &text, io.LimitReader(logs, most))
	}
	if err != nil && text.Len() == 0 {
		return ""
	}
	lines := strings.FieldsFunc(strings.ToValidUTF8(text.String(), "?"), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, " | ")
}

// moment reads a time of the daemon, zero when it has none.
func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Year() < 2000 {
		return time.Time{}
	}
	return at
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
