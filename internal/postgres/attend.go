package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pgbaton/pgbaton/internal/process"
)

// attended is a server that runs on a directory which is not the data directory yet, and ends with the agent.
// Only this operating system user can reach it, through a socket in a folder that nobody else may enter: nothing that
// others do could be written before there is a leader key (rule S1).
type attended struct {
	socketDir string
	port      int
}

// attendedHBA lets in whoever can enter the folder of the socket.
//
//nolint:dupword // a rule for all databases and all users
const (
	attendedHBAName = "bootstrap.pg_hba.conf"
	attendedHBA     = "local all all trust\nlocal replication all trust\n"
)

// errUnneeded ends a server whose work is done or has failed.
var errUnneeded = errors.New("the server is not needed any more")

// attend runs a server on a directory, waits until it accepts writes, calls during, and stops it in an orderly way.
// Recovery ends in a promotion, whatever its target's action is configured to be: nobody could reach a server that
// waits for somebody to look at it.
func (s *Server) attend(ctx context.Context, dir string, control Control, during func(context.Context, attended) error) (err error) {
	folder, err := makeSocketDir("", s.dir)
	if err != nil {
		return err
	}
	hba := filepath.Join(folder, attendedHBAName)
	defer os.Remove(hba) //nolint:errcheck // it is of use to nobody else
	if _, err := replaceFile(hba, attendedHBA, 0o600); err != nil {
		return err
	}
	log, err := s.openLog()
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // it is only a log
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errUnneeded)
	began, gone := make(chan int, 1), make(chan struct{})
	var ended error
	go func() {
		defer close(gone)
		_, ended = command{
			op: "run the server on the new cluster", path: s.binaries().Path("postgres"), args: s.attendedArgs(dir, folder, control), dir: dir,
			line:  func(line string) { fmt.Fprintln(log, line) },
			began: func(pid int) { began <- pid },
		}.run(ctx)
	}()
	err = errEndedEarly
	select {
	case pid := <-began:
		if err = s.whenReady(ctx, dir, pid, gone); err == nil {
			err = during(ctx, attended{socketDir: folder, port: s.cfg.Port})
		}
		if isClosed(gone) {
			break // the number may be another process's by now
		}
		if stopped := interrupt(pid); stopped != nil {
			cancel(stopped)
		}
	case <-gone:
	}
	<-gone
	// A killed postmaster's processes notice a moment later; nothing must be written behind the caller's back.
	tidy, stop := context.WithTimeout(context.WithoutCancel(ctx), clearTimeout)
	defer stop()
	if left := endThose(tidy, dir, isServer); left != nil {
		return errors.Join(err, left)
	}
	if errors.Is(err, errEndedEarly) && ended != nil {
		return ended
	}
	return cmp.Or(err, ended)
}

// errEndedEarly says that the server ended by itself; why, its own last words say.
var errEndedEarly = errors.New("the server ended before the new cluster was ready")

// whenReady waits until the server accepts writes. Without hot standby, which would let readers in earlier, that is
// when it calls itself ready.
func (s *Server) whenReady(ctx context.Context, dir string, pid int, gone <-chan struct{}) error {
	early, err := s.settleUntil(ctx, gone, []string{dir}, func() (bool, error) {
		file, err := readPidFile(dir)
		return err == nil && file.pid == pid && file.status == "ready", nil
	})
	if err != nil {
		return fmt.Errorf("wait for the new cluster: %w", err)
	}
	if early {
		return errEndedEarly
	}
	return nil
}

func interrupt(pid int) error {
	handle, err := process.Open(pid)
	if errors.Is(err, process.ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer handle.Close() //nolint:errcheck // nothing can be lost
	if err := handle.Signal(unix.SIGINT); err != nil && !errors.Is(err, process.ErrNone) {
		return err
	}
	return nil
}

// attendedArgs are the usual arguments and, after them, what makes the server private. What is later wins. No WAL is
// archived: that is for the server that leads. No standby is waited for.
func (s *Server) attendedArgs(dir, folder string, control Control) []string {
	s.mu.Lock()
	plan := s.plan
	s.mu.Unlock()
	args := append(s.serverArgs(dir, s.files(dir).conf), arguments(plan.AtLeast(control.Limits))...)
	return append(args,
		"--listen_addresses=", "--unix_socket_directories="+socketList(folder), "--unix_socket_permissions=0700", "--port="+strconv.Itoa(s.cfg.Port),
		"--hba_file="+filepath.Join(folder, attendedHBAName), "--ssl=off", "--hot_standby=off", "--recovery_target_action=promote",
		"--archive_command=", "--synchronous_standby_names=", "--restart_after_crash=off",
		"--logging_collector=off", "--log_destination=stderr",
	)
}
