package ctl

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// defaultMarathon is where `pgbaton up` and `pgbaton scheduler` serve Marathon's API unless told otherwise.
const defaultMarathon = "http://127.0.0.1:8080"

// The variables that say where the scheduler is and how to log in, user:password.
const (
	envMarathon      = "PGBATON_MARATHON"
	envMarathonURL   = "MARATHON_URL"
	envMarathonLogin = "PGBATON_HTTP_CREDENTIALS"
)

// marathonTimeout is longer than anything the API does before it answers: all processes of a host may have to die.
const marathonTimeout = 45 * time.Second

// mostAnswer bounds an answer; the apps and tasks of a large fleet are some tens of megabytes.
const mostAnswer = 256 << 20

// Schedule adds the commands for apps, hosts and volumes, which speak to a scheduler through Marathon's API.
func Schedule(root *cobra.Command, env Env, group string) {
	for _, command := range []func(*tool, *string) *cobra.Command{(*tool).appCommand, (*tool).hostCommand, (*tool).volumeCommand} {
		t := &tool{env: env}
		at := ""
		c := command(t, &at)
		c.GroupID = group
		c.PersistentFlags().StringVarP(&at, "marathon", "m", "", "address of the scheduler; several with commas (default $"+envMarathon+", $"+envMarathonURL+", that of pgbaton up on this machine, or "+defaultMarathon+")")
		c.PersistentFlags().StringVar(&at, "url", "", "another name of --marathon")
		c.PersistentFlags().Lookup("url").Hidden = true
		for _, sub := range c.Commands() {
			sub.Example = strings.ReplaceAll(sub.Example, "pgbaton ", env.Program+" ")
			run := sub.RunE
			sub.RunE = func(cmd *cobra.Command, args []string) error {
				t.interrupted = cmd.Context().Done()
				return run(cmd, args)
			}
		}
		c.Args = func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("No such command '%s'.", args[0]) //nolint:staticcheck,revive // as patronictl's users know it
			}
			return nil
		}
		c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		root.AddCommand(c)
	}
}

// marathon is a scheduler as it is reached.
type marathon struct {
	addresses []string
	user      string
	password  secret.Text
	http      *http.Client
}

// marathon finds the scheduler: the one named, else that of the environment, else the one beside.
func (t *tool) marathon(named string) (*marathon, error) {
	beside := map[string]string{}
	if t.env.Beside != nil && named == "" && t.env.Vars[envMarathon] == "" && t.env.Vars[envMarathonURL] == "" {
		beside = t.env.Beside()
	}
	m := &marathon{}
	m.http = &http.Client{CheckRedirect: m.redirected}
	for text := range strings.SplitSeq(cmp.Or(named, t.env.Vars[envMarathon], t.env.Vars[envMarathonURL], beside[envMarathonURL], defaultMarathon), ",") {
		text = strings.TrimRight(strings.TrimSpace(text), "/")
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("%q is no address of a scheduler such as %s", text, defaultMarathon)
		}
		if u.User != nil {
			password, _ := u.User.Password()
			m.user, m.password, u.User = u.User.Username(), secret.Text(password), nil
		}
		m.addresses = append(m.addresses, u.String())
	}
	if user, password, ok := strings.Cut(t.env.Vars[envMarathonLogin], ":"); ok && m.user == "" {
		m.user, m.password = user, secret.Text(password)
	}
	return m, nil
}

// redirected keeps the login on the way to the scheduler that leads. Marathon's clients follow one hop.
func (m *marathon) redirected(req *http.Request, via []*http.Request) error {
	if len(via) > 1 {
		return errors.New("the schedulers send each other on: none of them seems to lead")
	}
	if m.user != "" && req.URL.Scheme == via[0].URL.Scheme {
		req.SetBasicAuth(m.user, m.password.Reveal())
	}
	return nil
}

// request sends one request to the first address that can be reached. A request that may have arrived is not repeated.
func (m *marathon) request(ctx context.Context, method, path string, body []byte, accept string) (*http.Response, error) {
	var last error
	for _, address := range m.addresses {
		req, err := http.NewRequestWithContext(ctx, method, address+path, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", accept)
		if m.user != "" {
			req.SetBasicAuth(m.user, m.password.Reveal())
		}
		resp, err := m.http.Do(req)
		if err == nil {
			return resp, nil
		}
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err
		}
		last = fmt.Errorf("the scheduler at %s does not answer (%w): start it with pgbaton up or pgbaton scheduler, or say with --marathon where it is", address, err)
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" {
			break
		}
	}
	if ctx.Err() != nil {
		return nil, ErrAborted
	}
	return nil, last
}

// ask sends a request and reads the answer into what is given; nil reads nothing. The error is what the scheduler says.
func (m *marathon) ask(ctx context.Context, method, path string, body, into any) error {
	text, err := m.raw(ctx, method, path, body)
	if err != nil || into == nil || len(text) == 0 {
		return err
	}
	return unmarshal(text, into)
}

// raw is ask with the answer as it is.
func (m *marathon) raw(ctx context.Context, method, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, marathonTimeout)
	defer cancel()
	payload, ready := body.([]byte)
	if !ready && body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("prepare the request: %w", err)
		}
	}
	resp, err := m.request(ctx, method, path, payload, "application/json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of the scheduler: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, refused(resp.StatusCode, text)
	}
	return text, nil
}

// refusal is a no of the scheduler.
type refusal struct {
	code int
	text string
	// deployments hold what was to be changed.
	deployments []string
}

func (r *refusal) Error() string { return r.text }

// refused reads a no and adds what can be done about it.
func refused(code int, text []byte) error {
	var body struct {
		Message string
		Details []struct {
			Path   string
			Errors []string
		}
		Deployments []struct{ ID string }
	}
	if json.Unmarshal(text, &body) != nil || body.Message == "" {
		body.Message = fmt.Sprintf("the scheduler answers %d %s", code, strings.TrimSpace(string(text)))
	}
	r := &refusal{code: code, text: body.Message}
	for _, d := range body.Details {
		r.text += "\n  " + strings.TrimPrefix(d.Path+": ", ": ") + strings.Join(d.Errors, "; ")
	}
	for _, d := range body.Deployments {
		r.deployments = append(r.deployments, d.ID)
	}
	switch {
	case code == http.StatusUnauthorized:
		r.text = "the scheduler asks for a login: set " + envMarathonLogin + "=user:password"
	case code == http.StatusBadGateway || code == http.StatusServiceUnavailable:
		r.text += ": when the scheduler that leads is gone another one takes over within seconds, so try again"
	case len(r.deployments) > 0:
		r.text = "locked by deployment " + strings.Join(r.deployments, ", ") +
			": wait for it, undo it with app deployments --cancel " + r.deployments[0] + ", or put this in its place with --force"
	}
	return r
}

// hasCode reports whether the scheduler refused with a code.
func hasCode(err error, code int) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.code == code
}

// appPath is the path of an app in the API.
func appPath(id app.ID, rest ...string) string {
	return "/v2/apps" + string(id) + strings.Join(append([]string{""}, rest...), "/")
}

// parseID reads the id of an app, with or without the slash it begins with.
func parseID(text string) (app.ID, error) {
	return app.ParseID("/" + strings.Trim(text, "/"))
}

// query is the part of a path behind the question mark; parameters without a value are left out.
func query(pairs ...string) string {
	v := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			v.Add(pair[0], pair[1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}

// yes is the value of a parameter that is on.
func yes(on bool) string {
	if on {
		return "true"
	}
	return ""
}
