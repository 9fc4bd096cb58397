package local

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Config is what the driver is opened with.
type Config struct {
	// Dir holds everything the driver keeps. Only one driver at a time can have it open.
	Dir   string
	Hosts []Host
	// Credential is the user tasks run as; nil means the user of this process. Needs root.
	Credential *syscall.Credential
	// Images says what runs in place of a container image; the first pattern that matches is taken.
	Images []Image
	// Env is given to every task below its own variables. Secrets belong here: it is never stored, printed, or used for
	// placeholders of a command.
	Env map[string]string
	// HostPaths are folders of the machine that the volumes of an app may show; others are refused.
	HostPaths []string
	// Aliases are names tasks may use for addresses that no resolver knows, beside those of the hosts.
	Aliases map[string]string
}

// Host is one virtual host.
type Host struct {
	Name       string
	Address    string // an IP address of this machine, of which the host has all ports
	Resources  place.Resources
	Ports      place.Ranges // the widest range is for any task, the others for who asks for the number
	Attributes map[string]string
	// Region and Zone are where it stands, as constraints see it (@region, @zone).
	Region, Zone string
	// Roles is the one role that its resources are kept for, or none: then they are everybody's.
	Roles []string
}

// Image maps container images to a command of this machine.
type Image struct {
	// Pattern is a path.Match pattern such as "patroni:*". Without a slash it is compared with the last part of the
	// image's name. An image without a tag is taken as ":latest".
	Pattern string
	// Command is the program and its arguments; {NAME} is replaced by the variable NAME of the task's environment
	// (MESOS_SANDBOX, HOST_IP, PORT_5432, …), except those of Config.Env. The args of the app follow.
	Command []string
}

// Validate finds what would otherwise go wrong at the first launch. Open does so too.
func (c Config) Validate() error {
	if !filepath.IsAbs(c.Dir) {
		return fmt.Errorf("the state directory must be an absolute path, got %q", c.Dir)
	}
	if len(c.Hosts) == 0 {
		return errors.New("the local driver needs at least one host")
	}
	names, addresses := map[string]bool{}, map[string]bool{}
	for _, h := range c.Hosts {
		if h.Name == "" || names[h.Name] {
			return fmt.Errorf("host name %q is empty or used twice", h.Name)
		}
		if addresses[h.Address] {
			return fmt.Errorf("address %s is given to two hosts", h.Address)
		}
		names[h.Name], addresses[h.Address] = true, true
		if err := h.validate(); err != nil {
			return err
		}
	}
	for _, i := range c.Images {
		if _, err := path.Match(i.Pattern, ""); err != nil || len(i.Command) == 0 {
			return fmt.Errorf("image %q needs a valid pattern and a command", i.Pattern)
		}
	}
	return nil
}

func (h Host) validate() error {
	if net.ParseIP(h.Address) == nil {
		return fmt.Errorf("address %q of host %s is not an IP address", h.Address, h.Name)
	}
	if !canListen(h.Address, 0) {
		return fmt.Errorf("address %s of host %s does not belong to this machine", h.Address, h.Name)
	}
	if len(h.Roles) > 1 {
		return fmt.Errorf("host %s names %d roles: its resources are kept for one role or for everybody", h.Name, len(h.Roles))
	}
	for _, r := range h.Ports {
		if r.Begin < 1 || r.End > 65535 || r.Begin > r.End {
			return fmt.Errorf("ports %d-%d of host %s are not a range within 1-65535", r.Begin, r.End, h.Name)
		}
	}
	return nil
}

// uid is the user tasks run as.
func (c Config) uid() int {
	if c.Credential == nil {
		return os.Geteuid()
	}
	return int(c.Credential.Uid)
}

// mkdirOwned makes a folder that belongs to the user tasks run as.
func (c Config) mkdirOwned(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if c.Credential == nil {
		return nil
	}
	return os.Chown(dir, int(c.Credential.Uid), int(c.Credential.Gid))
}
