package session_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/session"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

// TestRecordedRefusals answers as real masters have answered, to subscriptions and to calls: what has to be different first ends
// the session, what passes is tried again, and where the master does not know the subscription there is another one.
func TestRecordedRefusals(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.http"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	const (
		ends  = "the session ends"
		later = "it is tried again"
		void  = "another subscription"
		taken = "it is taken"
		no    = "the call is refused"
	)
	means := map[string]string{
		"error-bad-json": ends, "error-get-method": ends, "error-no-type": ends, "error-unknown-type": ends, "error-wrong-accept": ends,
		"error-wrong-content-type": ends, "error-subscribe-bad-role": ends, "error-subscribe-no-framework_info": ends, "error-subscribe-with-stream-id": ends,
		"error-subscribe-master-starting-404": later, "error-subscribe-master-starting-503": later,
		"auth-SUBSCRIBE-no-credentials": ends, "auth-SUBSCRIBE-wrong-credentials": ends, "auth-SUBSCRIBE-principal-mismatch": ends,
		"error-missing-stream-id": no, "auth-REVIVE-no-credentials": no, "auth-REVIVE-ok": taken,
		"error-not-subscribed": void, "error-stale-stream-id": void, "error-wrong-stream-id": void, "error-unknown-framework": void,
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		t.Run(name, func(t *testing.T) {
			answer := recorded(t, file)
			switch means[name] {
			case ends:
				m := newMaster(t, func(w http.ResponseWriter, _ *http.Request, _ wire.Call) { answer.write(w) })
				if err := next(t, start(t, session.Config{Masters: []string{m.address()}}).ended); !errors.Is(err, session.ErrRejected) {
					t.Errorf("ended with %v", err)
				}
			case later:
				tried := false
				m := newMaster(t, func(w http.ResponseWriter, r *http.Request, _ wire.Call) {
					if !tried {
						tried = true
						answer.write(w)
						return
					}
					stream(w, r, "one", subscribed(15))
				})
				next(t, start(t, session.Config{Masters: []string{m.address()}}).subscribed)
			case void, taken, no:
				m := newMaster(t, func(w http.ResponseWriter, r *http.Request, call wire.Call) {
					if call.Type == wire.CallSubscribe {
						stream(w, r, "one", subscribed(15))
						return
					}
					answer.write(w)
				})
				s := start(t, session.Config{Masters: []string{m.address()}})
				next(t, s.subscribed)
				err := s.Call(t.Context(), wire.Call{Type: wire.CallRevive})
				want := map[string]error{void: session.ErrUnavailable, no: session.ErrRejected}[means[name]]
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
				if means[name] == void {
					if err := next(t, s.lost); err == nil {
						t.Error("lost for no reason")
					}
					next(t, s.subscribed)
				}
			default:
				t.Errorf("nobody says what it means")
			}
		})
	}
}

// reply is a recorded answer.
type reply struct {
	status int
	kind   string
	body   []byte
}

func (r reply) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", r.kind)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body)
}

// recorded reads the answer of an exchange.
func recorded(t *testing.T, file string) reply {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		t.Fatal(err)
	}
	_, answer, ok := strings.Cut(string(text), "-----8<----- response -----8<-----")
	if !ok {
		t.Fatal("no answer is recorded")
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(strings.TrimLeft(answer, "\r\n"))), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header.Get("Content-Type"), body}
}
