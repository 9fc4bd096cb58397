package survey

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
	"github.com/pgbaton/pgbaton/internal/secret"
)

const (
	path = "/api/v1"
	// within is how long one answer may take.
	within = 10 * time.Second
	// longest is how much of an answer is read; that of thousands of agents is some megabytes.
	longest = 256 << 20
	// redirects is how often a master may name another one.
	redirects = 5
	// abreast is how many agents are asked at once.
	abreast = 8
	// altogether is how long all agents may take: on a cluster of which half is cut off each of those would take all it may.
	altogether = time.Minute
)

// errAltogether is why agents were not asked.
var errAltogether = fmt.Errorf("all agents together took longer than %s", altogether)

// Config says which Mesos and as whom. Masters or Find is required.
type Config struct {
	Masters   []string                                  // host:port of each
	Find      func(ctx context.Context) (string, error) // where the leading master is, instead of Masters
	TLS       *tls.Config                               // nil: plain HTTP
	Principal string
	Secret    secret.Text
	// Tell hears of progress: what is being asked. It is called by one goroutine at a time, and must not wait; nil: nobody does.
	Tell func(what string)
}

// Cluster is what was seen.
type Cluster struct {
	Master  string // host:port of the one that leads
	Version string
	Skew    time.Duration // its clock less ours, to a second or two
	Flags   map[string]string
	Limits  map[string]Limit // of roles with a quota
	Agents  []Agent
	// Recovered are agents the master knows of from the one before it, and has not heard of yet.
	Recovered []Registered
	// Hidden is what could not be asked and why: "flags: 403 Forbidden".
	Hidden []string
}

// Limit is the most a role may use, by the name of the resource.
type Limit map[string]wire.Scalar

// Registered is what an agent has said of itself.
type Registered struct {
	Hostname   string           `json:"hostname"`
	Attributes []wire.Attribute `json:"attributes"`
	Domain     *wire.Domain     `json:"domain"`
	Checkpoint bool             `json:"checkpoint"`
}

// Agent is one machine.
type Agent struct {
	Info         Registered        `json:"agent_info"`
	Active       bool              `json:"active"`
	Deactivated  bool              `json:"deactivated"`
	Version      string            `json:"version"`
	PID          string            `json:"pid"`
	Total        []wire.Resource   `json:"total_resources"`
	Capabilities []wire.Capability `json:"capabilities"`

	Flags  map[string]string `json:"-"` // nil: the agent did not tell
	Silent string            `json:"-"` // why not
}

// look is one survey.
type look struct {
	cfg    Config
	client *http.Client
	master string
}

// answer is what the calls used here are answered with.
type answer struct {
	Version struct {
		Info struct {
			Version string `json:"version"`
		} `json:"version_info"`
	} `json:"get_version"`
	Flags struct {
		Flags []struct{ Name, Value string } `json:"flags"`
	} `json:"get_flags"`
	Agents struct {
		Agents    []Agent      `json:"agents"`
		Recovered []Registered `json:"recovered_agents"`
	} `json:"get_agents"`
	Quota struct {
		Status struct {
			Configs []struct {
				Role   string `json:"role"`
				Limits Limit  `json:"limits"`
			} `json:"configs"`
		} `json:"status"`
	} `json:"get_quota"`

	skew time.Duration // of the clock of who answered
}

// Look asks the cluster: the master, then the agents, some of them at once and a minute at most. The error says that no master
// answers, or none that would tell of its agents.
func Look(ctx context.Context, cfg Config) (Cluster, error) {
	transport := &http.Transport{TLSClientConfig: cfg.TLS}
	defer transport.CloseIdleConnections()
	l := look{cfg: cfg, client: &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if l.cfg.Tell == nil {
		l.cfg.Tell = func(string) {}
	}
	l.cfg.Tell("the masters")
	var c Cluster
	agents, err := l.leading(ctx)
	if err != nil {
		return c, err
	}
	slices.SortFunc(agents.Agents.Agents, func(a, b Agent) int { return strings.Compare(a.Info.Hostname, b.Info.Hostname) })
	c.Master, c.Agents, c.Recovered, c.Skew = l.master, agents.Agents.Agents, agents.Agents.Recovered, agents.skew
	if a, err := l.ask(ctx, "GET_VERSION"); err == nil {
		c.Version = a.Version.Info.Version
	} else {
		c.Hidden = append(c.Hidden, "its version: "+err.Error())
	}
	if a, err := l.ask(ctx, "GET_FLAGS"); err == nil {
		c.Flags = a.flags()
	} else {
		c.Hidden = append(c.Hidden, "its flags: "+err.Error())
	}
	if a, err := l.ask(ctx, "GET_QUOTA"); err == nil {
		c.Limits = map[string]Limit{}
		for _, q := range a.Quota.Status.Configs {
			c.Limits[q.Role] = q.Limits
		}
	} else {
		c.Hidden = append(c.Hidden, "its quotas: "+err.Error())
	}
	l.agents(ctx, c.Agents)
	return c, context.Cause(ctx)
}

// agents asks them for what only they know, some at once.
func (l *look) agents(ctx context.Context, all []Agent) {
	ctx, cancel := context.WithTimeoutCause(ctx, altogether, errAltogether)
	defer cancel()
	next := make(chan *Agent)
	var mu sync.Mutex
	asked := 0
	tell := func() {
		mu.Lock()
		defer mu.Unlock()
		l.cfg.Tell(fmt.Sprintf("the agents: %d of %d have answered", asked, len(all)))
		asked++
	}
	tell()
	var work sync.WaitGroup
	for range min(abreast, len(all)) {
		work.Go(func() {
			for a := range next {
				l.agent(ctx, a)
				tell()
			}
		})
	}
	for i := range all {
		next <- &all[i]
	}
	close(next)
	work.Wait()
}

func (a answer) flags() map[string]string {
	flags := map[string]string{}
	for _, f := range a.Flags.Flags {
		flags[f.Name] = f.Value
	}
	return flags
}

// leading finds the master that leads, by asking for its agents.
func (l *look) leading(ctx context.Context) (answer, error) {
	masters := l.cfg.Masters
	if l.cfg.Find != nil {
		limited, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		master, err := l.cfg.Find(limited)
		if err != nil {
			return answer{}, fmt.Errorf("look for the leading master: %w", err)
		}
		masters = []string{master}
	}
	var all error
	for _, l.master = range masters {
		a, err := l.ask(ctx, "GET_AGENTS")
		if err == nil {
			return a, nil
		}
		all = errors.Join(all, fmt.Errorf("ask %s for its agents: %w", l.master, err))
	}
	return answer{}, all
}

// ask makes a call of the leading master, and follows those that do not lead.
func (l *look) ask(ctx context.Context, call string) (answer, error) {
	for range redirects {
		a, elsewhere, err := l.post(ctx, l.master, call)
		if elsewhere == "" {
			return a, err
		}
		l.master = elsewhere
	}
	return answer{}, errors.New("masters send us to each other: an election may be under way")
}

// agent asks a machine for what only it knows.
func (l *look) agent(ctx context.Context, a *Agent) {
	_, address, _ := strings.Cut(a.PID, "@")
	if _, _, err := net.SplitHostPort(address); err != nil {
		a.Silent = "its address is not known"
		return
	}
	got, elsewhere, err := l.post(ctx, address, "GET_FLAGS")
	switch {
	case errors.Is(context.Cause(ctx), errAltogether) && err != nil:
		a.Silent = errAltogether.Error()
	case err != nil:
		a.Silent = reason(err)
	case elsewhere != "":
		a.Silent = "it sends us to " + elsewhere
	default:
		a.Flags = got.flags()
	}
}

// reason is an error without the address, which whoever hears of it knows.
func reason(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + within.String()
	}
	return err.Error()
}

func (l *look) post(ctx context.Context, address, call string) (a answer, elsewhere string, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	scheme := "http"
	if l.cfg.TLS != nil {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+address+path, bytes.NewReader([]byte(`{"type":"`+call+`"}`)))
	if err != nil {
		return a, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if l.cfg.Principal != "" {
		req.SetBasicAuth(l.cfg.Principal, l.cfg.Secret.Reveal())
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return a, "", err
	}
	defer func() { _ = resp.Body.Close() }() // what is left of the body does not matter
	if resp.StatusCode == http.StatusTemporaryRedirect {
		location, err := url.Parse(resp.Header.Get("Location"))
		if err != nil || location.Host == "" {
			return a, "", errors.New("it does not lead and names nobody who does")
		}
		return a, location.Host, nil
	}
	if resp.StatusCode != http.StatusOK {
		return a, "", errors.New(resp.Status)
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.skew = time.Until(date)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, longest)).Decode(&a); err != nil {
		return a, "", fmt.Errorf("read its answer: %w", err)
	}
	return a, "", nil
}
