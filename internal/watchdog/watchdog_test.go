package watchdog

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// usual are the terms of Patroni's defaults.
func usual() Terms { return Terms{TTL: 30 * time.Second, LoopWait: 10 * time.Second} }

// record opens a watchdog on a file and returns a function that reads what the device was told.
func record(t *testing.T, mode Mode, margin time.Duration) (*Watchdog, func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "watchdog")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := New(Config{Mode: mode, Device: path, Testing: true, Margin: margin}, slog.New(slog.DiscardHandler))
	return w, func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestTestingDriver(t *testing.T) {
	w, told := record(t, Automatic, 5*time.Second)
	if s := w.State(usual()); s != (State{Wanted: true, Usable: true}) {
		t.Errorf("before the activation: %+v", s)
	}
	if got := told(); got != "" {
		t.Errorf("a look told the device %q", got)
	}
	do(t, w.Activate(usual()))
	do(t, w.Activate(usual()))
	do(t, w.Keepalive(usual(), time.Now()))
	ends, timeout := w.Timer()
	if left := time.Until(ends); left <= 20*time.Second || left > 25*time.Second || timeout != 25*time.Second {
		t.Errorf("fed just now, and the host is reset in %s of %s", left, timeout)
	}
	if s := w.State(usual()); s != (State{Wanted: true, Usable: true, Active: true}) {
		t.Errorf("active: %+v", s)
	}
	do(t, w.Disable())
	do(t, w.Disable())
	do(t, w.Keepalive(usual(), time.Now()))
	if got, want := told(), "Ctimeout=25\n11V"; got != want {
		t.Errorf("the device was told %q, want %q", got, want)
	}
	if s := w.State(usual()); s.Active {
		t.Errorf("disabled: %+v", s)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestTimeoutFromTheLease(t *testing.T) {
	cases := []struct {
		name          string
		margin        time.Duration
		ttl, loopWait time.Duration
		want          time.Duration
		fits          bool
	}{
		{"default margin", 5 * time.Second, 30 * time.Second, 10 * time.Second, 25 * time.Second, true},
		{"half of the ttl", -1 * time.Second, 30 * time.Second, 10 * time.Second, 15 * time.Second, true},
		{"half of an odd ttl", -1 * time.Second, 21 * time.Second, 10 * time.Second, 10 * time.Second, true},
		{"no slack left", -1 * time.Second, 20 * time.Second, 10 * time.Second, 10 * time.Second, true},
		{"less than loop_wait", 15 * time.Second, 24 * time.Second, 10 * time.Second, 9 * time.Second, false},
		{"margin above ttl", 40 * time.Second, 30 * time.Second, 10 * time.Second, -10 * time.Second, false},
		{"no margin", 0, 30 * time.Second, 10 * time.Second, 30 * time.Second, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg, terms := Config{Margin: c.margin}, Terms{c.ttl, c.loopWait}
			if got := cfg.timeout(terms); got != c.want {
				t.Errorf("timeout %s, want %s", got, c.want)
			}
			if err := cfg.check(terms); err == nil != c.fits {
				t.Errorf("fits: %v, want %v", err, c.fits)
			}
		})
	}
}

func TestTermsWithoutSlackAreRefused(t *testing.T) {
	w, told := record(t, Required, 5*time.Second)
	tight := Terms{TTL: 14 * time.Second, LoopWait: 10 * time.Second}
	if s := w.State(tight); s.Usable || !strings.Contains(s.Trouble, "raise ttl") {
		t.Errorf("state %+v", s)
	}
	if err := w.Activate(tight); err == nil || told() != "" {
		t.Errorf("activated: %v, %q", err, told())
	}
	// With other terms it is another question.
	do(t, w.Activate(usual()))
}

func TestNoDevice(t *testing.T) {
	w := New(Config{Mode: Required, Device: filepath.Join(t.TempDir(), "none"), Margin: 5 * time.Second}, slog.New(slog.DiscardHandler))
	if s := w.State(usual()); s.Usable || !s.Required || !strings.Contains(s.Trouble, "there is no watchdog device") {
		t.Errorf("state %+v", s)
	}
	if err := w.Activate(usual()); err == nil {
		t.Error("activated without a device")
	}
	off := New(Config{Mode: Off, Device: "/nowhere"}, slog.New(slog.DiscardHandler))
	if s := off.State(usual()); s != (State{}) {
		t.Errorf("turned off: %+v", s)
	}
}

// What is no device must not be taken for one: nothing would ever reset the host.
func TestOrdinaryFileIsNoDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := New(Config{Mode: Automatic, Device: path, Margin: 5 * time.Second}, slog.New(slog.DiscardHandler))
	if err := w.Activate(usual()); err == nil || !strings.Contains(err.Error(), "is no watchdog device") {
		t.Errorf("got %v", err)
	}
	if s := w.State(usual()); s.Active || s.Usable {
		t.Errorf("state %+v", s)
	}
}

func TestNewTermsResetTheTimeout(t *testing.T) {
	w, told := record(t, Automatic, 5*time.Second)
	do(t, w.Activate(usual()))
	short := Terms{TTL: 20 * time.Second, LoopWait: time.Second}
	do(t, w.Keepalive(short, time.Now()))
	do(t, w.Keepalive(short, time.Now()))
	// Terms that no timeout fits leave the timer as it is set, and fed.
	if err := w.Keepalive(Terms{TTL: 14 * time.Second, LoopWait: 10 * time.Second}, time.Now()); err == nil {
		t.Error("terms without slack were taken")
	}
	if got, want := told(), "Ctimeout=25\n1Ctimeout=15\n111"; got != want {
		t.Errorf("the device was told %q, want %q", got, want)
	}
}

func TestOldNewsDoesNotFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fake{}
		w := on(d, Automatic)
		do(t, w.Activate(usual()))
		renewed := time.Now()
		time.Sleep(6 * time.Second)
		if err := w.Keepalive(usual(), renewed); err == nil || d.fed != 1 {
			t.Errorf("fed %d times: %v", d.fed, err)
		}
		do(t, w.Keepalive(usual(), time.Now()))
	})
}

// fake is a device that can misbehave.
type fake struct {
	// least is the shortest timeout it can be set to.
	least time.Duration
	// hang blocks every call until it is closed.
	hang chan struct{}
	// stuck: it does not end its timer.
	stuck bool
	loose bool

	set   time.Duration
	fed   int
	ended int
}

var errDevice = errors.New("input/output error")

func (f *fake) setTimeout(wanted time.Duration) (time.Duration, error) {
	f.wait()
	f.set = max(wanted, f.least)
	return f.set, nil
}

func (f *fake) feed() error {
	f.wait()
	f.fed++
	return nil
}

func (f *fake) holds() bool { return !f.loose }

func (f *fake) end() error {
	f.wait()
	if f.stuck {
		return errDevice
	}
	f.ended++
	return nil
}

func (f *fake) wait() {
	if f.hang != nil {
		<-f.hang
	}
}

// on is a watchdog with that device.
func on(d *fake, mode Mode) *Watchdog {
	w := New(Config{Mode: mode, Device: "/dev/null", Margin: 5 * time.Second}, slog.New(slog.DiscardHandler))
	w.open = func(Config) (device, error) { return d, nil }
	return w
}

func TestDeviceWithALongTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fake{least: time.Minute}
		w := on(d, Required)
		if err := w.Activate(usual()); err == nil || d.ended != 1 {
			t.Errorf("required: %v, ended %d times", err, d.ended)
		}
		if s := w.State(usual()); s.Usable || s.Active {
			t.Errorf("a device that cannot be set as needed: %+v", s)
		}
		time.Sleep(again)
		if s := w.State(usual()); !s.Usable {
			t.Errorf("it is never tried again: %+v", s)
		}
		automatic := on(&fake{least: time.Minute}, Automatic)
		do(t, automatic.Activate(usual()))
	})
}

func TestDeviceWithAShortTimeout(t *testing.T) {
	short := &limited{fake{}, 5 * time.Second}
	w := on(&short.fake, Automatic)
	w.open = func(Config) (device, error) { return short, nil }
	if err := w.Activate(usual()); err == nil || short.ended != 1 {
		t.Errorf("a timeout below loop_wait: %v", err)
	}
}

// limited is a device with a fixed timeout.
type limited struct {
	fake

	fixed time.Duration
}

func (l *limited) setTimeout(time.Duration) (time.Duration, error) { return l.fixed, nil }

func TestHangingDeviceHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fake{hang: make(chan struct{})}
		w := on(d, Required)
		began := time.Now()
		if err := w.Activate(usual()); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
		if err := w.Disable(); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 2*patience {
			t.Errorf("two calls took %s", took)
		}
		if s := w.State(usual()); s.Usable || s.Active {
			t.Errorf("while it hangs: %+v", s)
		}
		close(d.hang)
		synctest.Wait()
		// What came late is true all the same.
		if s := w.State(usual()); !s.Usable || !s.Active {
			t.Errorf("after it answered: %+v", s)
		}
	})
}

func TestTimerThatDoesNotEndStaysActive(t *testing.T) {
	d := &fake{stuck: true}
	w := on(d, Automatic)
	do(t, w.Activate(usual()))
	if err := w.Disable(); !errors.Is(err, errDevice) {
		t.Errorf("got %v", err)
	}
	if s := w.State(usual()); !s.Active {
		t.Errorf("state %+v", s)
	}
}

func TestOtherConfiguration(t *testing.T) {
	w, told := record(t, Automatic, 5*time.Second)
	do(t, w.Activate(usual()))
	cfg := w.cfg
	cfg.Margin, cfg.Mode = 10*time.Second, Required
	do(t, w.Configure(cfg))
	do(t, w.Keepalive(usual(), time.Now()))
	if s := w.State(usual()); !s.Active || !s.Required {
		t.Errorf("the same device: %+v", s)
	}
	cfg.Mode = Off
	do(t, w.Configure(cfg))
	if got, want := told(), "Ctimeout=25\n1Ctimeout=20\n1V"; got != want {
		t.Errorf("the device was told %q, want %q", got, want)
	}
	if s := w.State(usual()); s != (State{}) {
		t.Errorf("turned off: %+v", s)
	}
}
