package watchdog

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Mode says whether a member may lead without a watchdog.
type Mode int

// The modes.
const (
	// Off uses none.
	Off Mode = iota
	// Automatic uses one where there is one.
	Automatic
	// Required keeps a member without one from leading.
	Required
)

// Config says which device guards the host, and how.
type Config struct {
	Mode Mode
	// Device is the path of the device.
	Device string
	// Testing: Device is a file or a named pipe, to which is written what a device would be told.
	Testing bool
	// Margin is how long before the end of the lease the host is reset; a negative one stands for half of the ttl.
	Margin time.Duration
}

// Terms are what the timeout is made of.
type Terms struct{ TTL, LoopWait time.Duration }

// timeout is what the device is to be set to, in full seconds.
func (c Config) timeout(t Terms) time.Duration {
	if c.Margin < 0 {
		return (t.TTL / 2).Truncate(time.Second)
	}
	return (t.TTL - c.Margin).Truncate(time.Second)
}

// check says why no timeout can be both safe and long enough to be fed in time.
func (c Config) check(t Terms) error {
	if timeout := c.timeout(t); timeout < max(t.LoopWait, time.Second) {
		return fmt.Errorf("the timeout would be %s (ttl %s less the safety margin), which is less than loop_wait, %s: "+
			"raise ttl, or lower loop_wait or watchdog.safety_margin", timeout, t.TTL, t.LoopWait)
	}
	return nil
}

// stale is how old a renewal may be that the device is fed for. It is never less than the slowest renewal takes.
func (c Config) stale() time.Duration { return max(c.Margin, leastStale) }

const (
	// leastStale is above what the agent waits for an answer of the DCS.
	leastStale = 5 * time.Second
	// patience is how long the agent waits for the device.
	patience = 200 * time.Millisecond
	// again is how long an activation that failed keeps the device from being called usable: a member that is elected
	// and then cannot be guarded must not be elected at once again.
	again = time.Minute
)

// State is what is known of the watchdog.
type State struct {
	// Wanted is false when it is turned off; Required keeps a member without one from leading.
	Wanted, Required bool
	// Usable is false when there is no such device, or it cannot be set as needed, or it hangs.
	Usable bool
	// Active is true from the activation on, until the timer was ended.
	Active bool
	// Trouble says why it is not usable.
	Trouble string
}

// ErrBusy says that the device has not answered the last call yet.
var ErrBusy = errors.New("the watchdog device does not answer")

// Watchdog is the device of this host. Its methods may be called by several goroutines and never wait for long.
type Watchdog struct {
	log  *slog.Logger
	open func(Config) (device, error)

	// calling has a token while the device is called.
	calling chan struct{}

	mu  sync.Mutex // guards what follows; never held during a call
	cfg Config
	// active is the open device; nil when the timer does not run.
	active device
	// wanted is the timeout that the device was asked for, set the one that it has, fed the instant before it was last fed.
	wanted, set time.Duration
	fed         time.Time
	// trouble is why the last activation failed, at an instant, for these terms.
	trouble error
	failed  time.Time
	terms   Terms
}

// New makes the adapter. The device is not touched before Activate.
func New(cfg Config, log *slog.Logger) *Watchdog {
	return &Watchdog{cfg: cfg, log: log, open: openDevice, calling: make(chan struct{}, 1)}
}

// State says what is known without opening the device, because that alone starts its timer.
func (w *Watchdog) State(t Terms) State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := State{Wanted: w.cfg.Mode != Off, Required: w.cfg.Mode == Required, Active: w.active != nil}
	if !s.Wanted {
		return s
	}
	err := w.cfg.check(t)
	switch {
	case err != nil:
	case len(w.calling) > 0:
		err = ErrBusy
	case w.trouble != nil && w.terms == t && time.Since(w.failed) < again:
		err = w.trouble
	case !s.Active:
		err = available(w.cfg)
	}
	if err != nil {
		s.Trouble = err.Error()
	}
	// A call under way is no trouble for a device that is active and fed in time.
	s.Usable = err == nil || s.Active && errors.Is(err, ErrBusy)
	return s
}

// Timer is when an active device resets the host unless it is fed, and how long it counts; zero when none is active. It
// asks nobody.
func (w *Watchdog) Timer() (ends time.Time, timeout time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.timer()
}

// timer is the same with w.mu held.
func (w *Watchdog) timer() (ends time.Time, timeout time.Duration) {
	if w.active == nil {
		return time.Time{}, 0
	}
	return w.fed.Add(w.set), w.set
}

// call runs one call of the device and waits for it, for a moment. What comes later counts all the same.
func (w *Watchdog) call(do func() error) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case w.calling <- struct{}{}:
	case <-timer.C:
		return ErrBusy
	}
	done := make(chan error, 1)
	go func() {
		err := do()
		<-w.calling
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return ErrBusy
	}
}

// Activate opens the device, sets the timeout and feeds it. It may be called again while the timer runs. An error says
// that nothing guards the host, unless it is ErrBusy: then State tells later.
func (w *Watchdog) Activate(t Terms) error {
	err := w.call(func() error {
		w.mu.Lock()
		cfg, d := w.cfg, w.active
		w.mu.Unlock()
		if d != nil {
			return nil
		}
		fed := time.Now()
		d, set, err := w.begin(cfg, t)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.active, w.wanted, w.set, w.fed = d, cfg.timeout(t), set, fed
		w.trouble, w.failed, w.terms = err, time.Now(), t
		return err
	})
	if err != nil {
		return fmt.Errorf("activate the watchdog: %w", err)
	}
	return nil
}

// begin returns the device with its timer running, or nil.
func (w *Watchdog) begin(cfg Config, t Terms) (device, time.Duration, error) {
	if cfg.Mode == Off {
		return nil, 0, errors.New("it is turned off")
	}
	if err := cfg.check(t); err != nil {
		return nil, 0, err
	}
	d, err := w.open(cfg)
	if err != nil {
		return nil, 0, err
	}
	set, err := w.adjust(d, cfg, t)
	if err == nil {
		err = d.feed()
	}
	if err != nil {
		return nil, 0, errors.Join(err, d.end())
	}
	w.log.Info("the watchdog is active", slog.String("device", cfg.Device), slog.Duration("timeout", set))
	if !d.holds() {
		w.log.Warn("the watchdog device ends its timer when the agent dies: it guards against a host that hangs, and not against the end of the agent",
			slog.String("device", cfg.Device))
	}
	return d, set, nil
}

// adjust sets the timeout and judges what the device made of it.
func (w *Watchdog) adjust(d device, cfg Config, t Terms) (time.Duration, error) {
	wanted := cfg.timeout(t)
	set, err := d.setTimeout(wanted)
	switch {
	case err != nil:
		return 0, err
	case set < t.LoopWait:
		return 0, fmt.Errorf("the device %s has a timeout of %s, which is less than loop_wait, %s: the host would be reset although all is well",
			cfg.Device, set, t.LoopWait)
	case set <= wanted:
	case cfg.Mode == Required:
		return 0, fmt.Errorf("the device %s has a timeout of %s and %s is needed: another member could lead before this host is reset", cfg.Device, set, wanted)
	default:
		w.log.Warn("the watchdog device takes longer than the lease allows: another member may lead before this host is reset",
			slog.String("device", cfg.Device), slog.Duration("timeout", set), slog.Duration("wanted", wanted))
	}
	return set, nil
}

// Keepalive tells the device of a renewal that was sent at an instant. Where the terms changed it gets another timeout
// first. When that fails the timer goes on as it was set. Without an active device nothing happens.
func (w *Watchdog) Keepalive(t Terms, renewed time.Time) error {
	w.mu.Lock()
	cfg, idle := w.cfg, w.active == nil
	w.mu.Unlock()
	if idle {
		return nil
	}
	if age := time.Since(renewed); age > cfg.stale() {
		return fmt.Errorf("feed the watchdog: the renewal is %s old, which is too late to tell of", age.Round(time.Millisecond))
	}
	err := w.call(func() error { return w.feed(cfg, t) })
	if err != nil {
		return fmt.Errorf("feed the watchdog: %w", err)
	}
	return nil
}

func (w *Watchdog) feed(cfg Config, t Terms) error {
	w.mu.Lock()
	d, changed := w.active, w.wanted != cfg.timeout(t)
	w.mu.Unlock()
	if d == nil {
		return nil
	}
	var trouble error
	if changed {
		trouble = w.change(d, cfg, t)
	}
	now := time.Now()
	if err := d.feed(); err != nil {
		return errors.Join(trouble, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fed = now
	return trouble
}

// change gives a running timer another timeout.
func (w *Watchdog) change(d device, cfg Config, t Terms) error {
	if err := cfg.check(t); err != nil {
		return err
	}
	set, err := w.adjust(d, cfg, t)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted, w.set = cfg.timeout(t), set
	return nil
}

// Disable ends the timer and closes the device. Where that fails, the timer goes on and the device stays active.
func (w *Watchdog) Disable() error {
	if err := w.call(w.finish); err != nil {
		return fmt.Errorf("disable the watchdog: %w", err)
	}
	return nil
}

func (w *Watchdog) finish() error {
	w.mu.Lock()
	d := w.active
	w.mu.Unlock()
	if d == nil {
		return nil
	}
	if err := d.end(); err != nil {
		return err
	}
	w.log.Info("the watchdog is disabled")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active, w.wanted, w.set = nil, 0, 0
	return nil
}

// Configure replaces the configuration. An active device that is no longer the configured one is disabled; the next
// decision activates the other.
func (w *Watchdog) Configure(cfg Config) error {
	w.mu.Lock()
	old := w.cfg
	w.cfg, w.trouble = cfg, nil
	w.mu.Unlock()
	if cfg.Mode != Off && cfg.Device == old.Device && cfg.Testing == old.Testing {
		return nil
	}
	return w.Disable()
}
