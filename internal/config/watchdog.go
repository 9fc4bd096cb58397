package config

import (
	"cmp"
	"time"
)

// WatchdogMode says whether a member may lead without a watchdog.
type WatchdogMode string

// The modes.
const (
	// WatchdogOff uses none.
	WatchdogOff WatchdogMode = "off"
	// WatchdogAutomatic uses one where there is one.
	WatchdogAutomatic WatchdogMode = "automatic"
	// WatchdogRequired keeps a member without one from leading.
	WatchdogRequired WatchdogMode = "required"
)

// watchdogWords are the modes and their other names.
func watchdogWords() []string {
	return []string{"off", "automatic", "required", "disable", "disabled", "auto", "require"}
}

// Watchdog configures the device that resets the host when its agent is gone.
type Watchdog struct {
	Mode   WatchdogMode
	Device string
	// Driver is empty, or "testing" for a file in place of a device.
	Driver string
	// SafetyMargin is how long before the end of the lease the device resets the host. A negative one stands for
	// half of the ttl.
	SafetyMargin time.Duration
}

const (
	defaultDevice = "/dev/watchdog"
	defaultMargin = 5
)

func (f watchdogFile) config() Watchdog {
	w := Watchdog{
		Mode: WatchdogAutomatic, Device: cmp.Or(f.Device, defaultDevice), Driver: f.Driver,
		SafetyMargin: seconds(f.SafetyMargin, defaultMargin),
	}
	if w.Driver == "default" {
		w.Driver = ""
	}
	if f.Mode == nil {
		return w
	}
	switch *f.Mode {
	case "false", "no", "off", "0", "disable", "disabled":
		w.Mode = WatchdogOff
	case "required", "require":
		w.Mode = WatchdogRequired
	}
	return w
}

func seconds(n *int, otherwise int) time.Duration {
	if n == nil {
		return time.Duration(otherwise) * time.Second
	}
	return time.Duration(*n) * time.Second
}
