package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// state is what a member knew when it was asked.
type state struct {
	Patroni string `json:"patroni"`
	Member  string `json:"member"`
	// Access is how the API was protected: empty for not at all, "login" or "list".
	Access string         `json:"access,omitempty"`
	Tags   map[string]any `json:"tags,omitempty"`
	// Documents are those of the DCS by the end of their keys.
	Documents map[string]string `json:"documents"`
	// Status are the status documents of all members that answer.
	Status map[string]json.RawMessage `json:"status"`
}

// request is one request.
type request struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	// Body is sent with its length, unless it is nil.
	Body *string `json:"body,omitempty"`
	// Login is the header Authorization.
	Login string `json:"login,omitempty"`
}

// exchange is a request with what was answered.
type exchange struct {
	request

	// Code is 0 where the connection was closed without an answer.
	Code int `json:"code"`
	// Answer is the body, "*" for the status document. Page says that it was an error page of Python's.
	Answer string `json:"answer,omitempty"`
	Page   bool   `json:"page,omitempty"`
}

// stable is how often the documents are read anew until nothing of them changes while they are.
const stable = 20

// keep asks a member everything and writes the file of the state.
func (l *lab) keep(ctx context.Context, name, member, access string, asked []request) error {
	s, err := l.state(ctx, member)
	if err != nil {
		return fmt.Errorf("state %s: %w", name, err)
	}
	s.Access = access
	if member == "n3" {
		s.Tags = tagged()
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return err
	}
	for _, r := range asked {
		e, err := l.ask(ctx, member, r)
		if err != nil {
			return fmt.Errorf("state %s: %s %s: %w", name, r.Method, r.Path, err)
		}
		if shape(e.Answer) == shape(string(s.Status[member])) {
			e.Answer = "*"
		}
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	text := strings.ReplaceAll(out.String(), l.network(), "127.0.0.")
	fmt.Fprintf(os.Stderr, "%s: %d requests\n", name, len(asked))
	return os.WriteFile(filepath.Join(l.to, name+".jsonl"), []byte(text), 0o644) //nolint:gosec // everybody may read it
}

var passing = regexp.MustCompile(`"replication": ?\[[^]]*\], ?|[0-9]+| `)

// shape is a document without what comes and goes: numbers that count on, and standbys that connect.
func shape(text string) string { return passing.ReplaceAllString(text, "") }

// state takes the documents and the status of all members at one moment.
func (l *lab) state(ctx context.Context, member string) (state, error) {
	for range stable {
		before, err := l.documents(ctx)
		if err != nil {
			return state{}, err
		}
		s := state{Patroni: strings.TrimPrefix(l.kind.Title, "Patroni "), Member: member, Documents: before, Status: map[string]json.RawMessage{}}
		for _, name := range l.Names() {
			if e, err := l.ask(ctx, name, request{Method: http.MethodGet, Path: "/patroni"}); err == nil {
				s.Status[name] = json.RawMessage(e.Answer)
			}
		}
		after, err := l.documents(ctx)
		if err != nil {
			return state{}, err
		}
		if maps.Equal(before, after) && s.Status[member] != nil {
			return s, nil
		}
	}
	return state{}, errors.New("the documents do not stay as they are")
}

func (l *lab) documents(ctx context.Context) (map[string]string, error) {
	const prefix = "/service/postgresql-cluster/"
	all, err := l.store.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	documents := map[string]string{}
	for _, p := range all.Pairs {
		documents[strings.TrimPrefix(p.Key, prefix)] = p.Value
	}
	return documents, nil
}

// askWithin bounds one answer.
const askWithin = time.Minute

// ask sends one request as it stands there, which no client of HTTP would do with some of them.
func (l *lab) ask(ctx context.Context, member string, r request) (exchange, error) {
	dialer := net.Dialer{Timeout: askWithin}
	conn, err := dialer.DialContext(ctx, "tcp", l.address(member))
	if err != nil {
		return exchange{}, err
	}
	defer conn.Close() //nolint:errcheck // nothing is lost
	if err := conn.SetDeadline(time.Now().Add(askWithin)); err != nil {
		return exchange{}, err
	}
	head := r.Method + " " + r.Path + " HTTP/1.0\r\nHost: x\r\n"
	if r.Login != "" {
		head += "Authorization: " + r.Login + "\r\n"
	}
	body := ""
	if r.Body != nil {
		body = *r.Body
		head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(conn, head+"\r\n"+body); err != nil {
		return exchange{}, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.Method})
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return exchange{request: r}, nil
	}
	if err != nil {
		return exchange{}, err
	}
	defer answer.Body.Close() //nolint:errcheck // it is read below
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return exchange{}, err
	}
	e := exchange{request: r, Code: answer.StatusCode, Answer: string(text)}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html;charset") {
		e.Answer, e.Page = "", true
	}
	if strings.HasPrefix(r.Path, "/metrics") {
		e.Answer = samples(e.Answer)
	}
	return e, nil
}

// samples are the metrics without their descriptions.
func samples(metrics string) string {
	var lines []string
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
