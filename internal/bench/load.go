package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// load is what a REST API served.
type load struct {
	rate float64 // answers a second
	p99  time.Duration
}

// askedWithin is how long an answer is waited for. One that does not come by then is given up, and counts as one that took
// this long.
const askedWithin = 5 * time.Second

// askedFor is what is asked for.
const askedFor = "/primary"

// ask has so many connections at once ask a REST API for a while, each again as soon as it is answered. A
// server that closes a connection after an answer gets a new one, whose making counts as part of the next answer. The last
// answers are awaited: not to count them would hide the slowest ones.
func ask(ctx context.Context, at string, connections int, during time.Duration) (load, error) {
	until := time.Now().Add(during)
	askers := make([]asker, connections)
	errs := make([]error, connections)
	var asking sync.WaitGroup
	for i := range askers {
		askers[i] = asker{at: at, request: []byte("GET " + askedFor + " HTTP/1.1\r\nHost: " + at + "\r\n\r\n")}
		asking.Go(func() { errs[i] = askers[i].run(ctx, until) })
	}
	asking.Wait()
	var took []time.Duration
	answers := 0
	for _, a := range askers {
		took = append(took, a.took...)
		answers += len(a.took) - a.unanswered
	}
	if err := errors.Join(errs...); err != nil || answers == 0 {
		return load{}, fmt.Errorf("ask for %s, with %d answers and %d attempts: %w", askedFor, answers, len(took), errors.Join(errs...))
	}
	slices.Sort(took)
	return load{rate: float64(answers) / during.Seconds(), p99: took[len(took)*99/100]}, nil
}

// asker is one connection, made again when it is closed.
type asker struct {
	at         string
	request    []byte
	conn       net.Conn
	reader     *bufio.Reader
	forget     func() bool
	took       []time.Duration
	unanswered int
}

// run asks until then.
func (a *asker) run(ctx context.Context, until time.Time) error {
	defer a.close()
	for began := time.Now(); began.Before(until); began = time.Now() {
		err := a.ask(ctx, began.Add(askedWithin))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		a.took = append(a.took, time.Since(began))
		if err == nil {
			continue
		}
		a.unanswered++
		a.close()
		if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
			return err
		}
	}
	return nil
}

// ask asks once.
func (a *asker) ask(ctx context.Context, until time.Time) error {
	if err := a.connect(ctx, until); err != nil {
		return err
	}
	if _, err := a.conn.Write(a.request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(a.reader, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read to its end
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", answer.Status)
	}
	if answer.Close {
		a.close()
	}
	return nil
}

// connect makes a connection unless there is one, and bounds what is done with it.
func (a *asker) connect(ctx context.Context, until time.Time) error {
	if a.conn == nil {
		conn, err := (&net.Dialer{Deadline: until}).DialContext(ctx, "tcp", a.at)
		if err != nil {
			return err
		}
		a.conn, a.reader = conn, bufio.NewReader(conn)
		a.forget = context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // it interrupts who waits
	}
	return a.conn.SetDeadline(until)
}

func (a *asker) close() {
	if a.conn != nil {
		a.forget()
		a.conn.Close() //nolint:errcheck // nothing is lost
		a.conn = nil
	}
}
