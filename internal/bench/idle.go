package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// idleFor is how long nothing happens while it is measured what that costs.
const idleFor = 30 * time.Second

// idle measures what agents cost while nothing happens: the mean of all members.
func idle(ctx context.Context, l *lab, f figures) error {
	if err := l.settle(ctx); err != nil {
		return err
	}
	before, err := l.spent(ctx)
	if err != nil {
		return err
	}
	wait := time.NewTimer(idleFor)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	after, err := l.spent(ctx)
	if err != nil {
		return err
	}
	members := float64(len(l.Names()))
	minutes := after.at.Sub(before.at).Minutes()
	f["cpu"] = (after.cpu - before.cpu).Seconds() / members / minutes
	f["requests"] = (after.requests - before.requests) / members / minutes
	f["memory"] = mib(after.agents) / members
	if after.helpers > 0 {
		f["helpers"] = mib(after.helpers) / members
	}
	return nil
}

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }

// spent is what agents and etcd have used up to a moment.
type spent struct {
	at time.Time
	// cpu is of all agents and their helpers.
	cpu time.Duration
	// agents and helpers are resident memory in bytes.
	agents, helpers int
	requests        float64
}

func (l *lab) spent(ctx context.Context) (spent, error) {
	var s spent
	for _, name := range l.Names() {
		if err := l.addMember(&s, name); err != nil {
			return s, err
		}
	}
	var err error
	s.requests, err = etcdRequests(ctx, "http://"+l.etcd+"/metrics")
	s.at = time.Now()
	return s, err
}

// addMember adds the processes of a member that are not its server's. The agent is the one that was given its file.
func (l *lab) addMember(s *spent, name string) error {
	all, err := below(l.folder(name))
	if err != nil {
		return err
	}
	agents := 0
	for _, r := range all {
		if r.server() {
			continue
		}
		cpu, err := cpuTime(r.pid)
		if err != nil {
			return err
		}
		memory, err := resident(r.pid)
		if err != nil {
			return err
		}
		s.cpu += cpu
		if slices.Contains(r.args, l.File(name)) {
			s.agents += memory
			agents++
			continue
		}
		s.helpers += memory
	}
	if agents != 1 {
		return fmt.Errorf("%s has %d agents", name, agents)
	}
	return nil
}

// etcdRequests asks etcd how many calls it got from clients. Both subjects make one call for each renewal of a lease, and
// one for each beginning of a watch. What comes through etcd's JSON gateway is counted as well, as the gateway is a client.
func etcdRequests(ctx context.Context, url string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask etcd for its metrics: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	return sumOf(answer.Body, "grpc_server_started_total{")
}

// sumOf adds up all samples whose lines begin like that (the text format of Prometheus).
func sumOf(metrics io.Reader, prefix string) (float64, error) {
	sum, found := 0.0, false
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), prefix) {
			continue
		}
		fields := strings.Fields(lines.Text())
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return 0, fmt.Errorf("read a metric of etcd: %w", err)
		}
		sum, found = sum+value, true
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read the metrics of etcd: %w", err)
	}
	if !found {
		return 0, fmt.Errorf("read the metrics of etcd: there is no %s}", prefix)
	}
	return sum, nil
}
