package docker

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

func addAddress(s *settings, value string) error {
	address, err := netip.ParseAddr(value)
	s.host.DNS = append(s.host.DNS, address)
	return err
}

func addLimit(s *settings, value string) error {
	limit, err := units.ParseUlimit(value)
	s.host.Ulimits = append(s.host.Ulimits, limit)
	return err
}

// addDevice reads HOST[:CONTAINER[:PERMISSIONS]].
func addDevice(s *settings, value string) error {
	parts := strings.SplitN(value, ":", 3)
	m := container.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	if len(parts) > 1 {
		m.PathInContainer = parts[1]
	}
	if len(parts) > 2 {
		m.CgroupPermissions = parts[2]
	}
	s.host.Devices = append(s.host.Devices, m)
	return nil
}

// addMemory reads PATH[:OPTIONS].
func addMemory(s *settings, value string) error {
	path, options, _ := strings.Cut(value, ":")
	if s.host.Tmpfs == nil {
		s.host.Tmpfs = map[string]string{}
	}
	s.host.Tmpfs[path] = options
	return nil
}

func addPort(s *settings, value string) error {
	port, err := network.ParsePort(value)
	if err != nil {
		return err
	}
	if s.config.ExposedPorts == nil {
		s.config.ExposedPorts = network.PortSet{}
	}
	s.config.ExposedPorts[port] = struct{}{}
	return nil
}

// throttle bounds how fast a device is read or written, as DEVICE:RATE.
func throttle(parse func(string) (*blkiodev.ThrottleDevice, error), list func(*settings) *[]*blkiodev.ThrottleDevice) option {
	return func(s *settings, value string) error {
		bound, err := parse(value)
		*list(s) = append(*list(s), bound)
		return err
	}
}

// addSecurity takes profiles of system calls as they are: docker's own program reads a file, but where it runs.
func addSecurity(s *settings, value string) error {
	kind, profile, _ := strings.Cut(value, "=")
	if kind == "seccomp" && profile != "unconfined" && profile != "builtin" && !strings.HasPrefix(profile, "{") {
		return fmt.Errorf("%q is neither unconfined nor builtin nor the profile itself, and the daemon reads no file", profile)
	}
	s.host.SecurityOpt = append(s.host.SecurityOpt, value)
	return nil
}

// addMount reads type=…,source=…,target=….
func addMount(s *settings, value string) error {
	var mounts opts.MountOpt
	if err := mounts.Set(value); err != nil {
		return err
	}
	s.host.Mounts = append(s.host.Mounts, mounts.Value()...)
	return nil
}
