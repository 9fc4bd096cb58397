package docker

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// apply does what an option of docker run would. Options that are the platform's own, or that nobody knows here, are
// refused with a sentence: one that did nothing would be found out too late.
func apply(s *settings, p app.Parameter) error {
	key := strings.TrimLeft(p.Key, "-")
	if why, ours := platforms()[key]; ours {
		return fmt.Errorf("docker parameter %q is not for an app to set: %s", p.Key, why)
	}
	for _, known := range []map[string]option{listOptions(), textOptions(), flagOptions(), numberOptions()} {
		if set, ok := known[key]; ok {
			if err := set(s, p.Value); err != nil {
				return fmt.Errorf("docker parameter %q: %w", p.Key, err)
			}
			return nil
		}
	}
	return fmt.Errorf("docker parameter %q is not known to the docker driver", p.Key)
}

// option sets something from the text of a value.
type option func(s *settings, value string) error

// platforms are options whose place in a definition is elsewhere, with that place.
func platforms() map[string]string {
	return map[string]string{
		"name":    "the driver finds its containers again by their names",
		"restart": "what has ended is started again by the scheduler",
		"rm":      "a container stays until the scheduler knows how it ended",
		"detach":  "every container runs detached", "d": "every container runs detached",
		"publish": "use portMappings", "p": "use portMappings", "publish-all": "use portMappings", "P": "use portMappings",
		"network": "use networks", "net": "use networks",
		"memory": "use mem", "m": "use mem", "cpu-shares": "use cpus", "c": "use cpus", "gpus": "use gpus",
		"health-cmd": "use healthChecks", "health-interval": "use healthChecks", "health-retries": "use healthChecks",
		"health-timeout": "use healthChecks", "health-start-period": "use healthChecks", "health-start-interval": "use healthChecks",
		"attach": "nobody sits at a terminal", "a": "nobody sits at a terminal", "detach-keys": "nobody sits at a terminal",
		"sig-proxy": "nobody sits at a terminal", "quiet": "nobody sits at a terminal", "q": "nobody sits at a terminal",
		"env-file": "use env", "label-file": "use labels", "cidfile": "the driver keeps the id", "pull": "use forcePullImage",
	}
}

// listOptions may be given more than once.
func listOptions() map[string]option {
	add := func(list func(*settings) *[]string) option {
		return func(s *settings, value string) error {
			*list(s) = append(*list(s), value)
			return nil
		}
	}
	put := func(table func(*settings) *map[string]string) option {
		return func(s *settings, value string) error {
			k, v, _ := strings.Cut(value, "=")
			if *table(s) == nil {
				*table(s) = map[string]string{}
			}
			(*table(s))[k] = v
			return nil
		}
	}
	env := add(func(s *settings) *[]string { return &s.config.Env })
	volume := add(func(s *settings) *[]string { return &s.host.Binds })
	label := put(func(s *settings) *map[string]string { return &s.config.Labels })
	return map[string]option{
		"env": env, "e": env, "volume": volume, "v": volume, "label": label, "l": label,
		"add-host":      add(func(s *settings) *[]string { return &s.host.ExtraHosts }),
		"cap-add":       add(func(s *settings) *[]string { return &s.host.CapAdd }),
		"cap-drop":      add(func(s *settings) *[]string { return &s.host.CapDrop }),
		"link":          add(func(s *settings) *[]string { return &s.host.Links }),
		"group-add":     add(func(s *settings) *[]string { return &s.host.GroupAdd }),
		"dns-search":    add(func(s *settings) *[]string { return &s.host.DNSSearch }),
		"dns-option":    add(func(s *settings) *[]string { return &s.host.DNSOptions }),
		"dns-opt":       add(func(s *settings) *[]string { return &s.host.DNSOptions }),
		"volumes-from":  add(func(s *settings) *[]string { return &s.host.VolumesFrom }),
		"network-alias": add(func(s *settings) *[]string { return &s.endpoint.Aliases }),
		"net-alias":     add(func(s *settings) *[]string { return &s.endpoint.Aliases }),
		"log-opt":       put(func(s *settings) *map[string]string { return &s.host.LogConfig.Config }),
		"sysctl":        put(func(s *settings) *map[string]string { return &s.host.Sysctls }),
		"storage-opt":   put(func(s *settings) *map[string]string { return &s.host.StorageOpt }),
		"dns":           addAddress, "ulimit": addLimit, "device": addDevice, "tmpfs": addMemory, "expose": addPort,
		"security-opt": addSecurity, "mount": addMount,
		"device-cgroup-rule": add(func(s *settings) *[]string { return &s.host.DeviceCgroupRules }),
		"device-read-bps":    throttle(opts.ValidateThrottleBpsDevice, func(s *settings) *[]*blkiodev.ThrottleDevice { return &s.host.BlkioDeviceReadBps }),
		"device-write-bps":   throttle(opts.ValidateThrottleBpsDevice, func(s *settings) *[]*blkiodev.ThrottleDevice { return &s.host.BlkioDeviceWriteBps }),
		"device-read-iops":   throttle(opts.ValidateThrottleIOpsDevice, func(s *settings) *[]*blkiodev.ThrottleDevice { return &s.host.BlkioDeviceReadIOps }),
		"device-write-iops":  throttle(opts.ValidateThrottleIOpsDevice, func(s *settings) *[]*blkiodev.ThrottleDevice { return &s.host.BlkioDeviceWriteIOps }),
		"blkio-weight-device": func(s *settings, value string) error {
			weight, err := opts.ValidateWeightDevice(value)
			s.host.BlkioWeightDevice = append(s.host.BlkioWeightDevice, weight)
			return err
		},
	}
}

// textOptions are taken as they are; the daemon says what is wrong with them.
func textOptions() map[string]option {
	text := func(field func(*settings) *string) option {
		return func(s *settings, value string) error {
			*field(s) = value
			return nil
		}
	}
	hostname, user, workdir := text(func(s *settings) *string { return &s.config.Hostname }), text(func(s *settings) *string { return &s.config.User }),
		text(func(s *settings) *string { return &s.config.WorkingDir })
	return map[string]option{
		"hostname": hostname, "h": hostname, "user": user, "u": user, "workdir": workdir, "w": workdir,
		"domainname":    text(func(s *settings) *string { return &s.config.Domainname }),
		"stop-signal":   text(func(s *settings) *string { return &s.config.StopSignal }),
		"runtime":       text(func(s *settings) *string { return &s.host.Runtime }),
		"cgroup-parent": text(func(s *settings) *string { return &s.host.CgroupParent }),
		"cpuset-cpus":   text(func(s *settings) *string { return &s.host.CpusetCpus }),
		"cpuset-mems":   text(func(s *settings) *string { return &s.host.CpusetMems }),
		"log-driver":    text(func(s *settings) *string { return &s.host.LogConfig.Type }),
		"volume-driver": text(func(s *settings) *string { return &s.host.VolumeDriver }),
		"ipc":           text(func(s *settings) *string { return (*string)(&s.host.IpcMode) }),
		"pid":           text(func(s *settings) *string { return (*string)(&s.host.PidMode) }),
		"uts":           text(func(s *settings) *string { return (*string)(&s.host.UTSMode) }),
		"userns":        text(func(s *settings) *string { return (*string)(&s.host.UsernsMode) }),
		"cgroupns":      text(func(s *settings) *string { return (*string)(&s.host.CgroupnsMode) }),
		"entrypoint": func(s *settings, value string) error {
			s.config.Entrypoint = []string{value}
			return nil
		},
		"ip":  setAddress(func(c *network.EndpointIPAMConfig, a netip.Addr) { c.IPv4Address = a }),
		"ip6": setAddress(func(c *network.EndpointIPAMConfig, a netip.Addr) { c.IPv6Address = a }),
	}
}

// setAddress gives a task an address of its own at its first network.
func setAddress(field func(*network.EndpointIPAMConfig, netip.Addr)) option {
	return func(s *settings, value string) error {
		address, err := netip.ParseAddr(value)
		if s.endpoint.IPAMConfig == nil {
			s.endpoint.IPAMConfig = &network.EndpointIPAMConfig{}
		}
		field(s.endpoint.IPAMConfig, address)
		return err
	}
}

// flagOptions are true where their value is empty, as on a command line.
func flagOptions() map[string]option {
	flag := func(set func(*settings, bool)) option {
		return func(s *settings, value string) error {
			on := value == ""
			if !on {
				var err error
				if on, err = strconv.ParseBool(value); err != nil {
					return fmt.Errorf("%q is neither true nor false", value)
				}
			}
			set(s, on)
			return nil
		}
	}
	tty, input := flag(func(s *settings, on bool) { s.config.Tty = on }), flag(func(s *settings, on bool) { s.config.OpenStdin = on })
	return map[string]option{
		"tty": tty, "t": tty, "interactive": input, "i": input,
		"privileged":       flag(func(s *settings, on bool) { s.host.Privileged = on }),
		"read-only":        flag(func(s *settings, on bool) { s.host.ReadonlyRootfs = on }),
		"init":             flag(func(s *settings, on bool) { s.host.Init = &on }),
		"oom-kill-disable": flag(func(s *settings, on bool) { s.host.OomKillDisable = &on }),
		"no-healthcheck": flag(func(s *settings, on bool) {
			if s.config.Healthcheck = nil; on {
				s.config.Healthcheck = &container.HealthConfig{Test: []string{"NONE"}}
			}
		}),
	}
}

// numberOptions are amounts: bytes with a unit such as 256m, or plain numbers.
func numberOptions() map[string]option {
	bytes := func(set func(*settings, int64)) option {
		return func(s *settings, value string) error {
			n, err := units.RAMInBytes(value)
			if value == "-1" {
				n, err = -1, nil
			}
			if err != nil {
				return err
			}
			set(s, n)
			return nil
		}
	}
	number := func(set func(*settings, int64)) option {
		return func(s *settings, value string) error {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return fmt.Errorf("%q is not a number", value)
			}
			set(s, n)
			return nil
		}
	}
	return map[string]option{
		"shm-size":           bytes(func(s *settings, n int64) { s.host.ShmSize = n }),
		"memory-swap":        bytes(func(s *settings, n int64) { s.host.MemorySwap = n }),
		"memory-reservation": bytes(func(s *settings, n int64) { s.host.MemoryReservation = n }),
		"memory-swappiness":  number(func(s *settings, n int64) { s.host.MemorySwappiness = &n }),
		"pids-limit":         number(func(s *settings, n int64) { s.host.PidsLimit = &n }),
		"cpu-period":         number(func(s *settings, n int64) { s.host.CPUPeriod = n }),
		"cpu-quota":          number(func(s *settings, n int64) { s.host.CPUQuota = n }),
		"cpu-rt-period":      number(func(s *settings, n int64) { s.host.CPURealtimePeriod = n }),
		"cpu-rt-runtime":     number(func(s *settings, n int64) { s.host.CPURealtimeRuntime = n }),
		"oom-score-adj":      number(func(s *settings, n int64) { s.host.OomScoreAdj = int(n) }),
		"blkio-weight":       number(func(s *settings, n int64) { s.host.BlkioWeight = uint16(min(max(n, 0), 1000)) }), //nolint:gosec // bounded
		"stop-timeout": number(func(s *settings, n int64) {
			seconds := int(n)
			s.config.StopTimeout = &seconds
		}),
		"cpus": func(s *settings, value string) error {
			n, err := strconv.ParseFloat(value, 64)
			s.host.NanoCPUs = int64(n * nano)
			return err
		},
	}
}
