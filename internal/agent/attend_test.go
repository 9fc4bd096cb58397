package agent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbaton/pgbaton/internal/agent"
	"github.com/pgbaton/pgbaton/internal/callback"
	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/postgres"
	"github.com/pgbaton/pgbaton/internal/watchdog"
)

// heard is what the scripts, or the service manager, of one host were told. It belongs to the loop and to a test that
// looks at a moment when the loop sleeps.
type heard struct {
	host  *host
	lines []string
}

func (h *heard) note(line string) {
	h.host.lab.mu.Lock()
	defer h.host.lab.mu.Unlock()
	h.lines = append(h.lines, line)
}

// read returns what was told since the last time.
func (h *heard) read() []string {
	h.host.lab.mu.Lock()
	defer h.host.lab.mu.Unlock()
	lines := h.lines
	h.lines = nil
	return lines
}

// Call implements agent.Callbacks.
func (h *heard) Call(e callback.Event, role cluster.Role) { h.note(string(e) + " " + string(role)) }

// Ready implements agent.Manager.
func (h *heard) Ready(context.Context) { h.note("ready") }

// Reloading implements agent.Manager.
func (h *heard) Reloading(context.Context) { h.note("reloading") }

// Stopping implements agent.Manager.
func (h *heard) Stopping(context.Context) { h.note("stopping") }

func same(t *testing.T, what string, h *heard, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, h.read()); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// TestCallbacksOfALife follows two members through birth, switchover, restart, crash and end.
func TestCallbacksOfALife(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		told := map[string]*heard{}
		b.adjust = func(l *life, cfg *agent.Config) {
			told[l.host.name] = &heard{host: l.host}
			cfg.Callbacks = told[l.host.name]
		}
		leader := b.start("n1", "n2")
		follower := b.followers()[0]
		time.Sleep(time.Minute)
		same(t, "the new leader", told[leader.name], "on_start primary")
		same(t, "the clone", told[follower.name], "on_start replica")

		b.switchover(leader.member, follower.member)
		b.await(30*time.Second, "the switchover", func() bool { return b.leader() == follower && b.healthy() })
		same(t, "the former leader", told[leader.name], "on_stop primary", "on_role_change replica")
		same(t, "the promoted member", told[follower.name], "on_role_change primary")

		if code, text := follower.post("/restart", "{}"); code != 200 {
			t.Fatalf("restart: %d %s", code, text)
		}
		b.await(30*time.Second, "health after the restart", b.healthy)
		time.Sleep(moment)
		same(t, "the restarted leader", told[follower.name], "on_restart primary")

		leader.crash()
		b.await(30*time.Second, "health after the crash", b.healthy)
		same(t, "the crashed replica", told[leader.name], "on_start replica")

		if err := leader.leave(); err != nil {
			t.Fatal(err)
		}
		same(t, "the replica that left", told[leader.name], "on_stop replica")
		if err := follower.leave(); err != nil {
			t.Fatal(err)
		}
		if got := told[follower.name].read(); len(got) != 1 || !strings.HasPrefix(got[0], "on_stop ") {
			t.Errorf("the leader that left: %q", got)
		}
	})
}

// A new agent takes a running server over, and tells of it as of one that was started.
func TestCallbackOfAnAdoptedServer(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		var told *heard
		b.adjust = func(l *life, cfg *agent.Config) {
			told = &heard{host: l.host}
			cfg.Callbacks = told
		}
		leader := b.start("n1")
		leader.kill()
		leader.start()
		time.Sleep(10 * time.Second)
		same(t, "the new agent", told, "on_start primary")
	})
}

func (b *lab) switchover(from, to string) {
	b.t.Helper()
	if code, text := b.leader().post("/switchover", `{"leader":"`+from+`","candidate":"`+to+`"}`); code != 200 {
		b.t.Fatalf("switchover: %d %s", code, text)
	}
}

// TestReload changes tags while the agent runs, and then offers a file that cannot be used.
func TestReload(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		var told *heard
		var file agent.Config
		var broken error
		b.adjust = func(l *life, cfg *agent.Config) {
			told = &heard{host: l.host}
			cfg.Manager = told
			cfg.Reread = func(context.Context) (agent.Config, error) { return file, broken }
			file = *cfg
		}
		leader := b.start("n1")
		same(t, "the start", told, "ready")
		file.Tags, file.Name = cluster.Tags{"clonefrom": true}, "another"
		leader.life.agent.Reload()
		time.Sleep(moment)
		same(t, "the reload", told, "reloading", "ready")
		if m, known := b.picture().Member("n1"); !known || m.Tags["clonefrom"] != true {
			t.Errorf("the member document has the tags %v", m.Tags)
		}

		broken = errors.New("line 7: there is no such thing")
		leader.life.agent.Reload()
		time.Sleep(moment)
		same(t, "the refused reload", told, "reloading", "ready")
		if m, _ := b.picture().Member("n1"); m.Tags["clonefrom"] != true {
			t.Errorf("after a file that cannot be used the tags are %v", m.Tags)
		}
		if err := leader.leave(); err != nil {
			t.Fatal(err)
		}
		same(t, "the end", told, "stopping")
	})
}

// A reload hands the settings to the server although the dynamic configuration did not change.
func TestReloadReachesTheServer(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		wanted := "old"
		var used []string
		b.adjust = func(_ *life, cfg *agent.Config) {
			settings := func(map[string]any) postgres.Settings {
				b.mu.Lock()
				defer b.mu.Unlock()
				used = append(used, wanted)
				return postgres.Settings{}
			}
			cfg.Postgres = settings
			cfg.Reread = func(context.Context) (agent.Config, error) {
				return agent.Config{Postgres: settings, Options: everything}, nil
			}
		}
		leader := b.start("n1")
		b.mu.Lock()
		wanted = "new"
		b.mu.Unlock()
		leader.life.agent.Reload()
		time.Sleep(moment)
		b.mu.Lock()
		defer b.mu.Unlock()
		if !slices.Contains(used, "new") {
			t.Errorf("the server was handed %q", used)
		}
	})
}

// device is a watchdog that resets its host: the server and the agent are gone, and the test is told.
type device struct {
	life  *life
	host  *host
	state watchdog.State
	timer *time.Timer
	log   []string
	// refuses: it cannot be activated.
	refuses bool
	reset   bool

	margin, timeout time.Duration
	fed             time.Time
}

// State implements agent.Watchdog.
func (d *device) State(watchdog.Terms) watchdog.State {
	d.host.lab.mu.Lock()
	defer d.host.lab.mu.Unlock()
	return d.state
}

// Timer implements agent.Watchdog.
func (d *device) Timer() (ends time.Time, timeout time.Duration) {
	d.host.lab.mu.Lock()
	defer d.host.lab.mu.Unlock()
	if !d.state.Active {
		return time.Time{}, 0
	}
	return d.fed.Add(d.timeout), d.timeout
}

// Activate implements agent.Watchdog.
func (d *device) Activate(t watchdog.Terms) error {
	d.host.lab.mu.Lock()
	defer d.host.lab.mu.Unlock()
	if d.life.dead() {
		return errKilled
	}
	d.log = append(d.log, "activate")
	if d.refuses {
		d.state.Usable = false
		return errors.New("the device refuses")
	}
	d.state.Active = true
	d.fed, d.timeout = time.Now(), t.TTL-d.margin
	d.timer = time.AfterFunc(d.timeout, func() {
		d.host.lab.mu.Lock()
		d.reset = true
		d.host.lab.mu.Unlock()
	})
	return nil
}

// Keepalive implements agent.Watchdog.
func (d *device) Keepalive(t watchdog.Terms, renewed time.Time) error {
	d.host.lab.mu.Lock()
	defer d.host.lab.mu.Unlock()
	if d.life.dead() {
		return errKilled
	}
	if age := time.Since(renewed); age > time.Second {
		d.log = append(d.log, "fed by old news")
	}
	d.fed, d.timeout = time.Now(), t.TTL-d.margin
	d.timer.Reset(d.timeout)
	return nil
}

// Disable implements agent.Watchdog.
func (d *device) Disable() error {
	d.host.lab.mu.Lock()
	defer d.host.lab.mu.Unlock()
	if d.life.dead() {
		return errKilled
	}
	if !d.state.Active {
		return nil
	}
	d.log = append(d.log, "disable")
	if d.host.server.writes() && d.host.lab.dynamic["pause"] == nil {
		d.log = append(d.log, "the server accepted writes")
	}
	d.timer.Stop()
	d.state.Active = false
	return nil
}

// told returns what happened to the device, and whether it reset the host.
func (d *device) told() ([]string, bool) {
	d.host.lab.mu.Lock()
	defer d.host.lab.mu.Unlock()
	log := d.log
	d.log = nil
	return log, d.reset
}

// guarded gives every host a device.
func guarded(b *lab, state watchdog.State) map[string]*device {
	devices := map[string]*device{}
	b.adjust = func(l *life, cfg *agent.Config) {
		d := &device{life: l, host: l.host, state: state, margin: 5 * time.Second}
		devices[l.host.name], cfg.Watchdog = d, d
	}
	return devices
}

func usable(required bool) watchdog.State {
	return watchdog.State{Wanted: true, Required: required, Usable: true}
}

func checkDevice(t *testing.T, d *device, want ...string) {
	t.Helper()
	got, reset := d.told()
	if diff := cmp.Diff(want, got); diff != "" || reset {
		t.Errorf("%s: %s reset: %v", d.host.name, diff, reset)
	}
}

// The device follows the lead: active from before a server accepts writes until after it does not, and fed all the time.
func TestWatchdogFollowsTheLead(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		devices := guarded(b, usable(true))
		leader := b.start("n1", "n2")
		follower := b.followers()[0]
		time.Sleep(2 * time.Minute)
		checkDevice(t, devices[leader.name], "activate")
		checkDevice(t, devices[follower.name])

		b.switchover(leader.member, follower.member)
		b.await(30*time.Second, "the switchover", func() bool { return b.leader() == follower && b.healthy() })
		time.Sleep(time.Minute)
		checkDevice(t, devices[leader.name], "disable")
		checkDevice(t, devices[follower.name], "activate")
		if err := follower.leave(); err != nil {
			t.Fatal(err)
		}
		checkDevice(t, devices[follower.name], "disable")
	})
}

// An agent that goes on as a server's only witness, without the DCS, does not feed the device beyond the lease.
func TestWatchdogAgesWithTheLease(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		devices := guarded(b, usable(false))
		leader := b.start("n1")
		leader.kill()
		time.Sleep(30 * time.Second)
		if _, reset := devices[leader.name].told(); !reset {
			t.Error("the host of an agent that died was not reset")
		}
	})
}

// A DCS that is out of order ends the lead and resets no host: the server is down, and the timer ended, before that.
func TestWatchdogWithoutDCS(t *testing.T) {
	for _, c := range []struct {
		name                  string
		ttl, loopWait, margin int
	}{
		{"defaults", 30, 10, 5},
		{"half of the ttl", 30, 10, 15},
		{"shortest lease", 20, 1, 5},
		{"shortest lease, half of the ttl", 20, 1, 10},
		{"no margin", 30, 10, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				b.dynamic["ttl"], b.dynamic["loop_wait"], b.dynamic["retry_timeout"] = c.ttl, c.loopWait, min(10, (c.ttl-c.loopWait)/2)
				devices := guarded(b, usable(true))
				leader := b.start("n1")
				d := devices[leader.name]
				b.mu.Lock()
				d.margin = time.Duration(c.margin) * time.Second
				b.mu.Unlock()
				time.Sleep(5 * time.Minute)
				checkDevice(t, d, "activate")
				leader.cutDCS()
				time.Sleep(time.Minute)
				checkDevice(t, d, "disable")
				leader.heal()
				b.await(time.Minute, "the lead again", b.led)
			})
		})
	}
}

// A member that must have a watchdog and has none does not lead, and says so; where one would be nice it leads.
func TestWatchdogRequiredAndMissing(t *testing.T) {
	bubble(t, func(t *testing.T, b *lab) {
		devices := guarded(b, usable(true))
		leader := b.start("n1", "n2")
		follower := b.followers()[0]
		b.mu.Lock()
		devices[follower.name].state = watchdog.State{Wanted: true, Required: true, Trouble: "there is none"}
		b.mu.Unlock()
		b.await(30*time.Second, "the member says so", func() bool { return follower.snapshot().WatchdogFailed })
		leader.lose()
		time.Sleep(2 * time.Minute)
		if b.led() {
			t.Error("a member without its watchdog leads")
		}
	})
	bubble(t, func(_ *testing.T, b *lab) {
		guarded(b, watchdog.State{Wanted: true, Trouble: "there is none"})
		b.start("n1", "n2")
	})
}
