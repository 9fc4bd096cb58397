package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// BenchmarkPrimary is what GET /primary costs with 64 connections that are kept, client and loopback included.
func BenchmarkPrimary(b *testing.B) {
	a := agentLedBy("n1")
	a.now.Leading, a.now.LeaseEnds = true, time.Now().Add(time.Hour)
	a.now.State, a.now.Role = cluster.StateRunning, cluster.RolePrimary
	a.now.Server.Known, a.now.Server.Running, a.now.Server.Version = true, true, 150018
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := New(a, quiet())
	ctx := b.Context()
	go s.Serve(ctx, l) //nolint:errcheck // it ends with the benchmark
	const connections = 64
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var clients sync.WaitGroup
	for range connections {
		clients.Go(func() {
			if err := askPrimary(l.Addr().String(), func() bool { return left.Add(-1) >= 0 }); err != nil {
				b.Error(err)
			}
		})
	}
	clients.Wait()
}

// askPrimary asks for /primary as long as that is wanted.
func askPrimary(at string, more func() bool) error {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	request := []byte("GET /primary HTTP/1.1\r\nHost: x\r\n\r\n")
	answers := bufio.NewReader(c)
	for more() {
		if _, err := c.Write(request); err != nil {
			return err
		}
		length := 0
		for first := true; ; first = false {
			line, err := answers.ReadSlice('\n')
			if err != nil {
				return err
			}
			if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
				return errors.New(string(line))
			}
			if digits, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				for _, d := range bytes.TrimSpace(digits) {
					length = 10*length + int(d-'0')
				}
			}
			if len(line) <= 2 {
				break
			}
		}
		if _, err := io.CopyN(io.Discard, answers, int64(length)); err != nil {
			return err
		}
	}
	return nil
}
