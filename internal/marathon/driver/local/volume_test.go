package local

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// volume is the one that the bench's tasks work in.
var volume = driver.Volume{ID: string(instance), Host: "node1"}

func (b *bench) awaitVolume(there bool) {
	b.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case e := <-b.Events():
			if c, ok := e.(driver.VolumeChanged); ok && c.Volume == volume && c.There == there {
				return
			}
		case <-deadline:
			b.t.Fatalf("nobody said that the volume is there: %v", there)
		}
	}
}

func (b *bench) destroy() {
	b.t.Helper()
	if err := b.Destroy(b.t.Context(), volume); err != nil {
		b.t.Fatal(err)
	}
	b.awaitVolume(false)
	for _, path := range []string{b.dir.volume(volume.ID), b.dir.volumeRecord(volume.ID)} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			b.t.Errorf("%s is left: %v", filepath.Base(path), err)
		}
	}
}

func (b *bench) reserve() {
	b.t.Helper()
	if err := b.Reserve(b.t.Context(), driver.Reservation{Volume: volume.ID, Instance: instance, Host: volume.Host}); err != nil {
		b.t.Fatal(err)
	}
	b.awaitVolume(true)
}

// TestDestroyEndsWhatIsLeft says: a server that a task left in its volume ends before the volume goes.
func TestDestroyEndsWhatIsLeft(t *testing.T) {
	b := newBench(t)
	s := task(1, `(trap '' TERM; echo "$(exec sh -c 'echo $PPID')" >pid; while :; do sleep 1; done) & while ! test -s pid; do sleep 0.01; done; exit 3`)
	b.launch(s)
	b.await(s, app.TaskFailed)
	pid := b.said("pid")
	if !lives(pid) {
		t.Fatal("the server ended with its task")
	}
	b.destroy()
	if lives(pid) {
		t.Error("the server lives on in a folder that is gone")
	}
}

// TestDestroyIsFinishedByTheNextDriver says: wherever a driver dies while it destroys a volume, the volume is either listed
// or asked about again, never taken for one with data, and Destroy finishes.
func TestDestroyIsFinishedByTheNextDriver(t *testing.T) {
	for name, crash := range map[string]func(b *bench) error{
		"before anything": func(*bench) error { return nil },
		"in the middle":   func(b *bench) error { return os.Remove(filepath.Join(b.dir.volume(volume.ID), "file")) },
		"folder gone":     func(b *bench) error { return os.RemoveAll(b.dir.volume(volume.ID)) },
		"folder and record": func(b *bench) error {
			return errors.Join(os.RemoveAll(b.dir.volume(volume.ID)), os.Remove(b.dir.volumeRecord(volume.ID)))
		},
		"made, not yet recorded": func(b *bench) error { return os.Remove(b.dir.volumeRecord(volume.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.reserve()
			s := task(1, "echo kept >file")
			b.launch(s)
			if err := b.Ack(t.Context(), b.await(s, app.TaskFinished)); err != nil {
				t.Fatal(err)
			}
			if err := crash(b); err != nil {
				t.Fatal(err)
			}
			b.reopen()
			b.destroy()
			b.reserve()
			if entries, err := os.ReadDir(b.dir.volume(volume.ID)); err != nil || len(entries) > 0 {
				t.Errorf("the new volume has %d entries: %v", len(entries), err)
			}
		})
	}
}

// TestReserveAfterACrash says: a folder that was made and not recorded is nobody's, and the next Reserve takes it.
func TestReserveAfterACrash(t *testing.T) {
	b := newBench(t)
	if err := b.cfg.mkdirOwned(b.dir.volume(volume.ID)); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	if got := b.offerOf("node1").Volumes; len(got) > 0 {
		t.Errorf("%v are offered", got)
	}
	b.reserve()
	if got := b.offerOf("node1").Volumes; len(got) != 1 {
		t.Errorf("%v are offered, want the volume", got)
	}
}

// TestFolderWithForeignContent says: what nobody recorded is not given to an instance as its volume.
func TestFolderWithForeignContent(t *testing.T) {
	b := newBench(t)
	if err := os.MkdirAll(filepath.Join(b.dir.volume(volume.ID), "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.Reserve(t.Context(), driver.Reservation{Volume: volume.ID, Instance: instance, Host: volume.Host}); !errors.Is(err, driver.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

// TestDestroyWaitsForItsHost says: what lies on a host without power is neither removed nor said to be gone.
func TestDestroyWaitsForItsHost(t *testing.T) {
	b := newBench(t)
	b.reserve()
	if err := b.KillHost(t.Context(), volume.Host); err != nil {
		t.Fatal(err)
	}
	if err := b.Destroy(t.Context(), volume); !errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if err := b.StartHost(t.Context(), volume.Host); err != nil {
		t.Fatal(err)
	}
	b.destroy()
}
