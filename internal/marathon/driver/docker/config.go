package docker

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// Config is what the driver is opened with.
type Config struct {
	Daemons []Daemon
	// Env is given to every task below its own variables. Who may ask the daemon about a container reads it there.
	Env map[string]string
	// Aliases are names tasks may use for addresses that no resolver knows, beside those of the hosts.
	Aliases map[string]string
	// Dir is the folder of this machine where files are kept that definitions have fetched: on their way to a task, and for the
	// next time. It is made when it is needed.
	Dir string
	// DockerConfig is a file of logins to registries as docker login writes it, read at each pull; empty: no logins.
	DockerConfig string
	// AnswerWithin is how long a daemon may take for an answer that it gives at once, 20 s if zero. One that takes longer is
	// out of reach, and it is asked that often.
	AnswerWithin time.Duration
	// CPUQuota lets no task have more CPU than it was promised, also where others leave some. Without it CPUs are shares.
	CPUQuota bool
}

// Daemon is one Docker daemon and the hosts it stands for.
type Daemon struct {
	Endpoint string // unix:///run/docker.sock or tcp://10.0.0.7:2376
	TLS      TLS    // for tcp
	Bridge   string // the network of tasks in bridge mode; empty: the daemon's own bridge
	Hosts    []Host
}

// TLS are the files by which a daemon behind TLS and its client know each other; all three or none.
type TLS struct{ CA, Cert, Key string }

// Host is one host of a daemon.
type Host struct {
	Name    string
	Address string // an IP address: where clients and other tasks reach its published ports
	// Bind is the address of the machine on which ports are published; empty: all of them. Hosts of the same daemon need
	// addresses of their own, or ranges of ports that do not meet.
	Bind string
	// Resources without CPUs and Mem are those of the daemon's machine, 1 GiB of memory and its disk left out.
	Resources  place.Resources
	Ports      place.Ranges // the widest range is for any task, the others for who asks for the number
	Attributes map[string]string
	// Region and Zone are where it stands, as constraints see it (@region, @zone); Roles is the one its resources are kept
	// for, none for everybody.
	Region, Zone string
	Roles        []string
	// GPUs are handed out whole and counted; Resources.GPUs is not looked at.
	GPUs []GPU
}

// GPU is one GPU of a host.
type GPU struct {
	ID string // as the daemon's GPU runtime knows it
	// Devices are given to the task as they are, such as /dev/dri/renderD128; empty: the runtime is asked for ID.
	Devices []string
}

// patience is AnswerWithin or the usual.
func (c Config) patience() time.Duration { return cmp.Or(c.AnswerWithin, usualPatience) }

// validate finds what would otherwise go wrong at the first launch.
func (c Config) validate() error {
	if len(c.Daemons) == 0 {
		return errors.New("the docker driver needs at least one daemon")
	}
	names, endpoints := map[string]bool{}, map[string]bool{}
	for _, d := range c.Daemons {
		if !strings.HasPrefix(d.Endpoint, "unix:///") && !strings.HasPrefix(d.Endpoint, "tcp://") || endpoints[d.Endpoint] {
			return fmt.Errorf("endpoint %q of a daemon is used twice or is neither unix:///PATH nor tcp://HOST:PORT", d.Endpoint)
		}
		endpoints[d.Endpoint] = true
		if len(d.Hosts) == 0 {
			return fmt.Errorf("daemon %s stands for no host", d.Endpoint)
		}
		for _, h := range d.Hosts {
			if h.Name == "" || names[h.Name] {
				return fmt.Errorf("host name %q is empty or used twice", h.Name)
			}
			names[h.Name] = true
			if err := h.validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h Host) validate() error {
	if _, err := netip.ParseAddr(h.Address); err != nil {
		return fmt.Errorf("address %q of host %s is not an IP address", h.Address, h.Name)
	}
	if _, err := netip.ParseAddr(h.Bind); h.Bind != "" && err != nil {
		return fmt.Errorf("address %q that host %s publishes on is not an IP address", h.Bind, h.Name)
	}
	if len(h.Roles) > 1 {
		return fmt.Errorf("host %s names %d roles: its resources can be kept for one", h.Name, len(h.Roles))
	}
	for _, r := range h.Ports {
		if r.Begin < 1 || r.End > 65535 || r.Begin > r.End {
			return fmt.Errorf("ports %d-%d of host %s are not a range within 1-65535", r.Begin, r.End, h.Name)
		}
	}
	return nil
}
