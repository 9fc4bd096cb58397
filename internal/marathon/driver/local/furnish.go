package local

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/driver"
	"github.com/pgbaton/pgbaton/internal/marathon/driver/sandbox"
)

// A task of this driver sees the file system of the machine, so the paths of its container lie inside its working folder:
// a persistent volume "data" and one at "/data" are both the folder data in it. That folder is the volume of the instance,
// so whatever number of persistent volumes a definition has, they live and end together.

// checkVolumes finds what this machine cannot give to a task, before anything is made for it.
func (d *Driver) checkVolumes(s driver.Spec) error {
	if s.App.Container == nil {
		return nil
	}
	for _, v := range s.App.Container.Volumes {
		if err := d.checkMount(s, v); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) checkMount(s driver.Spec, v app.Volume) error {
	_, known := s.Secrets[v.Secret]
	switch {
	case v.External != nil:
		return fmt.Errorf("volume %s comes from the provider %s, which this machine does not have", v.ContainerPath, v.External.Provider)
	case v.Secret != "" && !known:
		return fmt.Errorf("the secret %s of volume %s was not given", v.Secret, v.ContainerPath)
	case filepath.IsAbs(v.HostPath) && !d.mayMount(v.HostPath):
		return fmt.Errorf("volume %s shows %s of the host, which tasks of this machine may not see", v.ContainerPath, v.HostPath)
	}
	return nil
}

// mayMount reports whether a path of the machine lies in a folder that is open to tasks.
func (d *Driver) mayMount(host string) bool {
	host = filepath.Clean(host)
	return slices.ContainsFunc(d.cfg.HostPaths, func(open string) bool {
		open = filepath.Clean(open)
		return host == open || strings.HasPrefix(host, strings.TrimSuffix(open, "/")+"/")
	})
}

// furnish makes what the definition wants to find in the working folder, but for what has to be fetched. The folder is the
// task's, which may have left anything there, so nothing is done through a path that could lead out of it.
func (d *Driver) furnish(s driver.Spec, work string) error {
	if s.App.Container == nil || len(s.App.Container.Volumes) == 0 {
		return nil
	}
	folder, err := sandbox.Open(work, d.cfg.Credential)
	if err != nil {
		return fmt.Errorf("make volumes: %w", err)
	}
	defer folder.Close() //nolint:errcheck // a folder
	r := room{folder}
	for _, v := range s.App.Container.Volumes {
		if err := r.mount(v, s); err != nil {
			return fmt.Errorf("make volume %s: %w", v.ContainerPath, err)
		}
	}
	return nil
}

// inside is a path of a container as one of the working folder; "." for the folder itself.
func inside(containerPath string) string {
	return cmp.Or(strings.TrimPrefix(path.Clean("/"+containerPath), "/"), ".")
}

// room is the working folder of a task, with what a definition may want there.
type room struct{ sandbox.Room }

func (r room) mount(v app.Volume, s driver.Spec) error {
	at := inside(v.ContainerPath)
	switch {
	case v.Secret != "":
		return r.secret(at, []byte(s.Secrets[v.Secret].Reveal()))
	case filepath.IsAbs(v.HostPath):
		return r.link(v.HostPath, at)
	case v.HostPath != "" && inside(v.HostPath) != at:
		if err := r.Folder(inside(v.HostPath)); err != nil {
			return err
		}
		target, err := filepath.Rel(path.Dir("/"+at), "/"+inside(v.HostPath))
		if err != nil {
			return err
		}
		return r.link(target, at)
	}
	return r.Folder(at)
}

// link shows something under another name. A link that leads elsewhere is replaced, anything else is in the way.
func (r room) link(target, name string) error {
	if err := r.Folder(path.Dir(name)); err != nil {
		return err
	}
	if old, err := r.Readlink(name); err == nil {
		if old == target {
			return nil
		}
		if err := r.Remove(name); err != nil {
			return err
		}
	}
	return r.Symlink(target, name)
}

// secret writes a file for nobody but the user of the task, in place of what was there.
func (r room) secret(name string, content []byte) error {
	f, err := r.Fresh(name, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		closeAll(f)
		return err
	}
	return f.Close()
}
