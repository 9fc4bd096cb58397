package client

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
	"strings"
	"sync/atomic"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/secret"
	"github.com/pgbaton/pgbaton/internal/wal"
)

// maxAnswer bounds the body of an answer, so that a confused peer cannot fill the memory.
const maxAnswer = 1 << 20

// Client asks agents. It is safe for concurrent use. Every call is bounded by its context alone.
type Client struct {
	aliases map[string]string
	way     atomic.Pointer[way]
}

// Options say how a client shows who it is, and whom it believes.
type Options struct {
	// TLS is for https addresses; nil believes those that the system's authorities vouch for, and shows nothing.
	TLS *tls.Config
	// Username and Password are sent with every request, unless the name is empty. They go over http as well, in clear text:
	// members ask for them there, too.
	Username string
	Password secret.Text
}

// way is how requests are sent at a time.
type way struct {
	http *http.Client
	Options
}

// New makes a client. Connections to a host are dialled at the address the aliases give for it, where
// they give one.
func New(aliases map[string]string, options Options) *Client {
	c := &Client{aliases: aliases}
	c.Configure(options)
	return c
}

// Configure changes the options; requests under way end as they began.
func (c *Client) Configure(options Options) {
	dialer := &net.Dialer{}
	next := &way{Options: options, http: &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, resolve(c.aliases, addr))
			},
			TLSClientConfig:     options.TLS,
			MaxIdleConnsPerHost: 2,
		},
		// A redirect would lead away from the member that was asked.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if last := c.way.Swap(next); last != nil {
		last.http.CloseIdleConnections()
	}
}

func resolve(aliases map[string]string, addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if known, ok := aliases[host]; ok {
		return net.JoinHostPort(known, port)
	}
	return addr
}

// Close drops idle connections.
func (c *Client) Close() { c.way.Load().http.CloseIdleConnections() }

// Status is a member's answer to GET /patroni, as far as anybody here needs it.
type Status struct {
	State            cluster.State `json:"state"`
	Role             cluster.Role  `json:"role"`
	ServerVersion    int           `json:"server_version"`
	Timeline         wal.Timeline  `json:"timeline"`
	ReplicationState string        `json:"replication_state"`
	XLog             Positions     `json:"xlog"`
	WAL              *Positions    `json:"wal"`
	Tags             cluster.Tags  `json:"tags"`
	WatchdogFailed   bool          `json:"watchdog_failed"`
	Declines         bool          `json:"declines_lead"`
	Unlocked         bool          `json:"cluster_unlocked"`
	SystemID         wal.SystemID  `json:"database_system_identifier"`
	Agent            AgentInfo     `json:"patroni"`
	Progress         string        `json:"progress"`
	Reason           string        `json:"reason"`
}

// Positions are the WAL positions in a status.
type Positions struct {
	Location wal.LSN `json:"location"`
	Received wal.LSN `json:"received_location"`
	Replayed wal.LSN `json:"replayed_location"`
}

// AgentInfo names the agent that answered.
type AgentInfo struct {
	Version string `json:"version"`
	Scope   string `json:"scope"`
	Name    string `json:"name"`
}

// InRecovery reports whether the member's server is a standby, read from the answer as Patroni reads it:
// a position of its own or the word primary make it none.
func (s Status) InRecovery() bool {
	return s.positions().Location == 0 && s.Role != cluster.RolePrimary && s.Role != "master"
}

// Position is the end of the member's WAL.
func (s Status) Position() wal.LSN {
	p := s.positions()
	return max(p.Location, p.Received, p.Replayed)
}

func (s Status) positions() Positions {
	if s.WAL != nil {
		return *s.WAL
	}
	return s.XLog
}

// Status asks a member for its status. apiURL is the address that the member announced; ours observes its
// server anew for such a question, so the positions are of this moment.
func (c *Client) Status(ctx context.Context, apiURL string) (Status, error) {
	u, err := url.Parse(apiURL)
	if err != nil {
		return Status{}, fmt.Errorf("ask %q for its status: %w", apiURL, err)
	}
	u.RawQuery = "fresh"
	a, err := c.Send(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return Status{}, err
	}
	var s Status
	if err := json.Unmarshal([]byte(a.Text), &s); err != nil {
		return Status{}, fmt.Errorf("read the status of %s: %w", u.Host, err)
	}
	return s, nil
}

// Picture is a member's answer to GET /cluster, as far as anybody here needs it.
type Picture struct {
	Leader  string `json:"leader"`
	Members []struct {
		Name  string `json:"name"`
		Role  string `json:"role"`
		State string `json:"state"`
		// Lag in bytes is a number, or the word unknown.
		Lag any `json:"lag"`
	} `json:"members"`
}

// Cluster asks a member for the picture of its cluster.
func (c *Client) Cluster(ctx context.Context, target string) (Picture, error) {
	a, err := c.Send(ctx, http.MethodGet, target, nil)
	if err != nil {
		return Picture{}, err
	}
	var p Picture
	if err := json.Unmarshal([]byte(a.Text), &p); err != nil {
		return Picture{}, fmt.Errorf("read the cluster's picture from %s: %w", target, err)
	}
	return p, nil
}

// Alive reports whether anything that speaks HTTP answers at the member's liveness address.
func (c *Client) Alive(ctx context.Context, m cluster.Member) bool {
	target := m.API("/liveness")
	if target == "" {
		return false
	}
	_, err := c.Send(ctx, http.MethodGet, target, nil)
	return err == nil
}

// NotSent reports whether an error of Send means that nobody was reached, so that nothing can have happened.
func NotSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// Answer is what a member said to a request: its status code and text.
type Answer struct {
	Code int
	Text string
	// Position is how far the WAL of a member reaches that agrees to a primary without the DCS; zero when it does not say.
	Position wal.LSN
}

// OK reports whether the request was granted.
func (a Answer) OK() bool { return a.Code == http.StatusOK || a.Code == http.StatusAccepted }

// Send sends one request with a JSON body, unless that is nil. An error says that no answer came; the request
// may have been carried out all the same (rule S8).
func (c *Client) Send(ctx context.Context, method, target string, body any) (Answer, error) {
	var payload io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return Answer{}, fmt.Errorf("prepare the request to %s: %w", target, err)
		}
		payload = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, payload)
	if err != nil {
		return Answer{}, fmt.Errorf("prepare the request to %s: %w", target, err)
	}
	req.Header.Set("Content-Type", "application/json")
	now := c.way.Load()
	if now.Username != "" {
		req.SetBasicAuth(now.Username, now.Password.Reveal())
	}
	resp, err := now.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // the body was read or its error is returned
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer of %s: %w", req.URL.Host, err)
	}
	return Answer{Code: resp.StatusCode, Text: strings.TrimSpace(string(text)), Position: position(resp.Header)}, nil
}
