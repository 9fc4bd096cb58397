package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
)

// dockerDocument is the file of --hosts with the docker driver.
type dockerDocument struct {
	Hosts []dockerHost `yaml:"hosts"`
}

type dockerHost struct {
	Name       string            `yaml:"name"`
	Address    string            `yaml:"address"`
	Docker     string            `yaml:"docker"` // endpoint of its daemon
	TLS        string            `yaml:"tls"`    // folder with ca.pem, cert.pem and key.pem
	Bind       string            `yaml:"bind"`
	Bridge     string            `yaml:"bridge"`
	CPUs       float64           `yaml:"cpus"`
	Mem        float64           `yaml:"mem"`
	Disk       float64           `yaml:"disk"`
	GPUs       []dockerGPU       `yaml:"gpus"`
	Ports      []string          `yaml:"ports"`
	Attributes map[string]string `yaml:"attributes"`
	Region     string            `yaml:"region"`
	Zone       string            `yaml:"zone"`
	Roles      []string          `yaml:"roles"`
}

type dockerGPU struct {
	ID      string   `yaml:"id"`
	Devices []string `yaml:"devices"`
}

// usualDaemon is where a daemon listens that nobody configured.
const usualDaemon = "unix:///run/docker.sock"

// readDaemons reads the hosts of the docker driver; without a file it is one, which is the daemon of DOCKER_HOST.
func readDaemons(file string, env map[string]string) ([]docker.Daemon, error) {
	if file == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("ask for the name of this machine: %w", err)
		}
		doc := dockerDocument{Hosts: []dockerHost{{Name: name, Address: ownAddress()}}}
		return doc.daemons(env)
	}
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, fmt.Errorf("--hosts: %w", err)
	}
	var doc dockerDocument
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("--hosts %s: %s", file, oneLine(err))
	}
	if len(doc.Hosts) == 0 {
		return nil, fmt.Errorf(`--hosts %s: it has no hosts: write "hosts:" and a list below it, each with name, address and docker`, file)
	}
	daemons, err := doc.daemons(env)
	if err != nil {
		return nil, fmt.Errorf("--hosts %s: %w", file, err)
	}
	return daemons, nil
}

// daemons brings together the hosts that one daemon stands for.
func (doc dockerDocument) daemons(env map[string]string) ([]docker.Daemon, error) {
	var all []docker.Daemon
	for i, h := range doc.Hosts {
		host, err := h.host()
		if err != nil {
			return nil, fmt.Errorf("host %s: %w", cmp.Or(h.Name, strconv.Itoa(i+1)), err)
		}
		d := h.daemon(env)
		at := slices.IndexFunc(all, func(o docker.Daemon) bool { return o.Endpoint == d.Endpoint })
		if at < 0 {
			all, at = append(all, d), len(all)
		}
		if d.TLS != all[at].TLS || d.Bridge != all[at].Bridge {
			return nil, fmt.Errorf("host %s: its daemon has another tls or bridge with another host", h.Name)
		}
		all[at].Hosts = append(all[at].Hosts, host)
	}
	return all, nil
}

func (h dockerHost) daemon(env map[string]string) docker.Daemon {
	d := docker.Daemon{Endpoint: cmp.Or(h.Docker, env["DOCKER_HOST"], usualDaemon), Bridge: h.Bridge}
	folder := h.TLS
	if h.Docker == "" && folder == "" && env["DOCKER_TLS_VERIFY"] != "" {
		folder = env["DOCKER_CERT_PATH"]
	}
	if folder != "" {
		d.TLS = docker.TLS{CA: filepath.Join(folder, "ca.pem"), Cert: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
	}
	return d
}

func (h dockerHost) host() (docker.Host, error) {
	if h.Name == "" || h.Address == "" {
		return docker.Host{}, errors.New("it needs a name and an address")
	}
	for name, amount := range map[string]float64{"cpus": h.CPUs, "mem": h.Mem, "disk": h.Disk} {
		if amount < 0 {
			return docker.Host{}, fmt.Errorf("%s is negative", name)
		}
	}
	if len(h.Ports) == 0 {
		h.Ports = []string{usualPorts}
	}
	ranges, err := parsePorts(h.Ports)
	host := docker.Host{
		Name: h.Name, Address: h.Address, Bind: h.Bind, Ports: ranges, Attributes: h.Attributes, Region: h.Region, Zone: h.Zone, Roles: h.Roles,
		Resources: place.Resources{CPUs: h.CPUs, Mem: h.Mem, Disk: h.Disk},
	}
	for _, g := range h.GPUs {
		host.GPUs = append(host.GPUs, docker.GPU{ID: g.ID, Devices: g.Devices})
	}
	return host, err
}

// loginsFile is where logins to registries are kept: in the file that was named, else where docker's own programs have it.
func loginsFile(named string, env map[string]string) (string, error) {
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", fmt.Errorf("--docker-config: %w", err)
		}
		return named, nil
	}
	if folder := env["DOCKER_CONFIG"]; folder != "" {
		return filepath.Join(folder, "config.json"), nil
	}
	if home := env["HOME"]; home != "" {
		return filepath.Join(home, ".docker", "config.json"), nil
	}
	return "", nil
}
