package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/docker"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/local"
	"github.com/pgbaton/pgbaton/internal/up"
)

// openDriver opens the machines for one term.
func (p *schedulerPlan) openDriver(ctx context.Context) (driver.Driver, error) {
	switch p.driver {
	case driverDocker:
		return p.openDocker() //nolint:contextcheck // it follows the daemons for as long as the driver lives
	case driverMesos:
		return p.openMesos()
	}
	state, err := p.holdState(ctx)
	if err != nil {
		return nil, err
	}
	d, err := p.openLocal(state) //nolint:contextcheck // what it starts lives as long as the driver
	if err != nil {
		return nil, errors.Join(err, state.Close())
	}
	return heldDriver{d, state}, nil
}

// heldAgain is how often it is tried to get the state directory that another process holds.
const heldAgain = 250 * time.Millisecond

// holdState takes the state directory. The scheduler that led before may not have let go of it yet.
func (p *schedulerPlan) holdState(ctx context.Context) (*up.State, error) {
	told := false
	for {
		state, err := up.OpenState(p.stateDir, p.local.Credential)
		if !errors.Is(err, up.ErrRunning) {
			return state, err
		}
		if !told {
			told = true
			p.screen.Say("driver", "waiting for the state directory: "+p.stateDir+" is in use by another process")
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(heldAgain):
		}
	}
}

// openLocal writes what tasks need into the state directory and opens the driver below it.
func (p *schedulerPlan) openLocal(state *up.State) (*local.Driver, error) {
	program, err := state.InstallProgram()
	if err != nil {
		return nil, err
	}
	agents, err := state.InstallConfig(p.agentText)
	if err != nil {
		return nil, err
	}
	sockets, err := state.OwnFolder("run")
	if err != nil {
		return nil, err
	}
	cfg := p.local
	if cfg.Dir, err = state.Folder("tasks"); err != nil {
		return nil, err
	}
	cfg.Env = map[string]string{"PGBATON_RUN_DIR": sockets}
	maps.Copy(cfg.Env, p.local.Env)
	for _, pattern := range []string{"patroni:*", "pgbaton:*"} {
		cfg.Images = append(slices.Clip(cfg.Images), local.Image{Pattern: pattern, Command: []string{program, "agent", agents}})
	}
	d, err := local.Open(cfg, p.log)
	if err != nil {
		return nil, err
	}
	p.screen.Say("driver", hostsLine(cfg.Hosts)+", state in "+filepath.Clean(p.stateDir))
	return d, nil
}

// hostsLine says what the local driver has.
func hostsLine(hosts []local.Host) string {
	if len(hosts) == 1 {
		h := hosts[0]
		return fmt.Sprintf("host %s at %s with %g cpus, %g MiB of memory, %g MiB of disk",
			h.Name, h.Address, h.Resources.CPUs, h.Resources.Mem, h.Resources.Disk)
	}
	return strconv.Itoa(len(hosts)) + " hosts"
}

// heldDriver holds the state directory for as long as the driver is open.
type heldDriver struct {
	*local.Driver

	state *up.State
}

// Close implements driver.Driver.
func (d heldDriver) Close() error { return errors.Join(d.Driver.Close(), d.state.Close()) }

// openDocker begins to follow the Docker daemons.
func (p *schedulerPlan) openDocker() (driver.Driver, error) {
	d, err := docker.Open(p.docker, p.log)
	if err != nil {
		return nil, err
	}
	for _, daemon := range p.docker.Daemons {
		p.screen.Say("driver", "Docker at "+daemon.Endpoint+" with "+strconv.Itoa(len(daemon.Hosts))+" hosts")
	}
	return d, nil
}

// hostCount is how many hosts the driver has, by its configuration. Nobody knows how many agents a Mesos cluster is to have.
func (p *schedulerPlan) hostCount() int {
	if p.driver == driverLocal {
		return len(p.local.Hosts)
	}
	n := 0
	for _, daemon := range p.docker.Daemons {
		n += len(daemon.Hosts)
	}
	return n
}
