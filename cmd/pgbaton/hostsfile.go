package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/local"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// hostsDocument is the file of --hosts.
type hostsDocument struct {
	Hosts []hostDocument `yaml:"hosts"`
}

type hostDocument struct {
	Name       string            `yaml:"name"`
	Address    string            `yaml:"address"`
	CPUs       float64           `yaml:"cpus"`
	Mem        float64           `yaml:"mem"`
	Disk       float64           `yaml:"disk"`
	GPUs       int               `yaml:"gpus"`
	Ports      []string          `yaml:"ports"`
	Attributes map[string]string `yaml:"attributes"`
	Region     string            `yaml:"region"`
	Zone       string            `yaml:"zone"`
	Roles      []string          `yaml:"roles"`
}

// usualPorts are those of a host that names none: the range that Mesos agents offer.
const usualPorts = "31000-32000"

// readHosts reads the hosts of the local driver; without a file it is one, which is this machine.
func readHosts(file, stateDir string) ([]local.Host, error) {
	machine, err := thisMachine(stateDir)
	if err != nil {
		return nil, err
	}
	if file == "" {
		return []local.Host{machine}, nil
	}
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, fmt.Errorf("--hosts: %w", err)
	}
	var doc hostsDocument
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("--hosts %s: %s", file, oneLine(err))
	}
	if len(doc.Hosts) == 0 {
		return nil, fmt.Errorf(`--hosts %s: it has no hosts: write "hosts:" and a list below it, each with name and address`, file)
	}
	var hosts []local.Host
	for i, h := range doc.Hosts {
		host, err := h.host(machine)
		if err != nil {
			return nil, fmt.Errorf("--hosts %s: host %s: %w", file, cmp.Or(h.Name, strconv.Itoa(i+1)), err)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// host is what the document says, with what the machine has where it says nothing.
func (h hostDocument) host(machine local.Host) (local.Host, error) {
	if h.Name == "" || h.Address == "" {
		return local.Host{}, errors.New("it needs a name and an address")
	}
	for name, amount := range map[string]float64{"cpus": h.CPUs, "mem": h.Mem, "disk": h.Disk, "gpus": float64(h.GPUs)} {
		if amount < 0 {
			return local.Host{}, fmt.Errorf("%s is negative", name)
		}
	}
	ports := h.Ports
	if len(ports) == 0 {
		ports = []string{usualPorts}
	}
	ranges, err := parsePorts(ports)
	if err != nil {
		return local.Host{}, err
	}
	return local.Host{
		Name: h.Name, Address: h.Address, Ports: ranges, Attributes: h.Attributes, Region: h.Region, Zone: h.Zone, Roles: h.Roles,
		Resources: place.Resources{
			CPUs: cmp.Or(h.CPUs, machine.Resources.CPUs), Mem: cmp.Or(h.Mem, machine.Resources.Mem),
			Disk: cmp.Or(h.Disk, machine.Resources.Disk), GPUs: float64(h.GPUs),
		},
	}, nil
}

// parsePorts reads "31000-32000" and "5432".
func parsePorts(texts []string) (place.Ranges, error) {
	var ranges place.Ranges
	for _, text := range texts {
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		begin, err := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
		end, lastErr := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
		if err != nil || lastErr != nil || begin < 1 || begin > end {
			return nil, fmt.Errorf("ports: %q is no port and no range such as %s", text, usualPorts)
		}
		ranges = append(ranges, place.Range{Begin: int(begin), End: int(end)})
	}
	return ranges, nil
}

// What is left to the machine itself, as Mesos' agents leave it.
const (
	memoryKept = 1024 // MiB
	diskKept   = 5120 // MiB
)

// thisMachine is the whole machine as one host.
func thisMachine(stateDir string) (local.Host, error) {
	name, err := os.Hostname()
	if err != nil {
		return local.Host{}, fmt.Errorf("ask for the name of this machine: %w", err)
	}
	var memory unix.Sysinfo_t
	if err := unix.Sysinfo(&memory); err != nil {
		return local.Host{}, fmt.Errorf("ask how much memory there is: %w", err)
	}
	disk, err := freeDisk(stateDir)
	if err != nil {
		return local.Host{}, err
	}
	mem := float64(memory.Totalram) * float64(memory.Unit) / (1 << 20)
	ranges, err := parsePorts([]string{usualPorts, "5432", "8008"})
	return local.Host{
		Name: name, Address: ownAddress(), Ports: ranges,
		Resources: place.Resources{CPUs: float64(runtime.NumCPU()), Mem: spare(mem, memoryKept), Disk: spare(disk, diskKept)},
	}, err
}

// spare is what is left after some was kept, at least the half; in whole MiB.
func spare(all, kept float64) float64 { return float64(int(max(all-kept, all/2))) }

// freeDisk is how much disk is free where the folder is or will be, in MiB.
func freeDisk(dir string) (float64, error) {
	for {
		var disk unix.Statfs_t
		err := unix.Statfs(dir, &disk)
		if err == nil {
			return float64(disk.Bavail) * float64(disk.Bsize) / (1 << 20), nil
		}
		if !errors.Is(err, unix.ENOENT) || filepath.Dir(dir) == dir {
			return 0, fmt.Errorf("ask how much disk is free in %s: %w", dir, err)
		}
		dir = filepath.Dir(dir)
	}
}

// ownAddress is the first address of this machine that others can reach, else the loopback one.
func ownAddress() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	for _, a := range addresses {
		if at, ok := a.(*net.IPNet); ok && at.IP.To4() != nil && at.IP.IsGlobalUnicast() {
			return at.IP.String()
		}
	}
	return "127.0.0.1"
}
