package sandbox

import (
	"os"
	"path"
	"syscall"
)

// Room is the folder of a task, which no path leads out of. Open makes one.
type Room struct {
	*os.Root

	// Owner is whom everything in it belongs to; nil: who this process is.
	Owner *syscall.Credential
}

// Open opens a folder that is there.
func Open(dir string, owner *syscall.Credential) (Room, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Room{}, err
	}
	return Room{Root: root, Owner: owner}, nil
}

// Folder makes a folder and those above it; they belong to the user of the task.
func (r Room) Folder(name string) error {
	if name == "." {
		return nil
	}
	if err := r.Folder(path.Dir(name)); err != nil {
		return err
	}
	if err := r.Mkdir(name, 0o700); err != nil {
		info, statErr := r.Stat(name)
		switch {
		case statErr != nil:
			return statErr
		case info.IsDir():
			return nil // as it was left
		}
		return err
	}
	return r.own(name)
}

// own gives a file to the user of the task.
func (r Room) own(name string) error {
	if r.Owner == nil {
		return nil
	}
	return r.Lchown(name, int(r.Owner.Uid), int(r.Owner.Gid))
}

// Fresh opens a new file for writing that belongs to the user of the task, in place of what was there.
func (r Room) Fresh(name string, mode os.FileMode) (*os.File, error) {
	if err := r.Folder(path.Dir(name)); err != nil {
		return nil, err
	}
	if err := r.Remove(name); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	f, err := r.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	err = f.Chmod(mode)
	if err == nil && r.Owner != nil {
		err = f.Chown(int(r.Owner.Uid), int(r.Owner.Gid))
	}
	if err != nil {
		f.Close() //nolint:errcheck // what failed before counts
		return nil, err
	}
	return f, nil
}
