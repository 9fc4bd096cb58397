package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// load is what a REST API served.
type load struct {
	rate     float64 // answers a second
	p50, p99 time.Duration
}

// askedWithin is how long an answer is waited for. One that does not come by then is given up, and counts as one that took
// this long.
const askedWithin = 5 * time.Second

// askedFor is what is asked for.
const askedFor = "/primary"

// ask has so many connections at once ask a REST API for a while, so often in a second altogether, or with 0 each again as soon
// as it is answered. An answer that comes too late for the next question takes its time from when that was due. A server that closes a connection after an answer gets a new one, whose making counts as part of the next answer. The last
// answers are awaited: not to count them would hide the slowest ones.
func ask(ctx context.Context, at string, connections, rate int, during time.Duration) (load, error) {
	began := time.Now()
	until := began.Add(during)
	every := time.Duration(0)
	if rate > 0 {
		every = time.Second * time.Duration(connections) / time.Duration(rate)
	}
	askers := make([]asker, connections)
	errs := make([]error, connections)
	var asking sync.WaitGroup
	for i := range askers {
		askers[i] = asker{at: at, request: []byte("GET " + askedFor + " HTTP/1.1\r\nHost: " + at + "\r\n\r\n")}
		askers[i].every, askers[i].due = every, began.Add(every*time.Duration(i)/time.Duration(connections))
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
	return load{rate: float64(answers) / during.Seconds(), p50: took[len(took)/2], p99: took[len(took)*99/100]}, nil
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
	// every is the time from one question to the next, and due is when that is; zero for as soon as possible.
	every time.Duration
	due   time.Time
}

// next waits until the next question is due and returns when it began, which is earlier when the last answer came too late.
func (a *asker) next() time.Time {
	now := time.Now()
	if a.every == 0 {
		return now
	}
	due := a.due
	a.due = due.Add(a.every)
	if wait := due.Sub(now); wait > 0 {
		time.Sleep(wait)
		return time.Now()
	}
	return due
}

// run asks until then.
func (a *asker) run(ctx context.Context, until time.Time) error {
	defer a.close()
	for began := a.next(); time.Now().Before(until); began = a.next() {
		err := a.ask(ctx, time.Now().Add(askedWithin))
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
	length, ends, err := a.head()
	if err != nil {
		return err
	}
	if length < 0 {
		_, err = io.Copy(io.Discard, a.reader)
	} else {
		_, err = a.reader.Discard(length)
	}
	if length < 0 || ends {
		a.close()
	}
	return err
}

// head reads the head of an answer and returns the length of its body, -1 where that goes on until the connection ends, and
// whether the connection ends with it. It is no reader of HTTP: what it spends is taken from the server that is measured.
func (a *asker) head() (length int, ends bool, err error) {
	length = -1
	for first := true; ; first = false {
		line, err := a.reader.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) && !bytes.HasPrefix(line, []byte("HTTP/1.0 200")) {
			return 0, false, fmt.Errorf("the answer is %s", line)
		}
		if len(line) == 0 {
			return length, ends, nil
		}
		ends = ends || string(line) == "Connection: close"
		if digits, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(digits)); err != nil {
				return 0, false, err
			}
		}
	}
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
