package docker

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Modes of what is put into a container: its sandbox is anybody's who runs there, secrets cannot be changed.
const (
	sandboxMode = 0o1777
	folderMode  = 0o755
	secretMode  = 0o444
)

// archive is what a task finds in its container, and the folder that it lies in.
type archive struct {
	root string
	body bytes.Buffer
	out  *tar.Writer
}

// sandboxFiles is the sandbox of a task, and its secrets as files. Where nothing but the sandbox can be written they have
// to lie in there.
func sandboxFiles(s driver.Spec, readOnly bool) (*archive, error) {
	a := &archive{root: "/"}
	a.out = tar.NewWriter(&a.body)
	if readOnly {
		a.root = workFolder
	}
	if err := a.folder(workFolder, sandboxMode); err != nil {
		return nil, err
	}
	for _, v := range s.App.Container.Volumes {
		if v.Secret == "" {
			continue
		}
		value, known := s.Secrets[v.Secret]
		if !known {
			return nil, fmt.Errorf("nobody knows secret %s, which is wanted at %s", v.Secret, v.ContainerPath)
		}
		if err := a.file(inside(v.ContainerPath), value.Reveal()); err != nil {
			return nil, err
		}
	}
	return a, a.out.Close()
}

// within is a path as the archive has it.
func (a *archive) within(name string) (string, error) {
	if a.root != "/" && name != a.root && !strings.HasPrefix(name, a.root+"/") {
		return "", fmt.Errorf("the container can be written below %s only, so %s cannot be put there", a.root, name)
	}
	return "./" + strings.TrimPrefix(strings.TrimPrefix(name, a.root), "/"), nil
}

func (a *archive) folder(name string, mode int64) error {
	name, err := a.within(name)
	if err != nil {
		return err
	}
	return a.out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimSuffix(name, "/") + "/", Mode: mode, ModTime: time.Now()})
}

func (a *archive) file(name, text string) error {
	if dir := path.Dir(name); dir != "/" && dir != workFolder {
		if err := a.folder(dir, folderMode); err != nil {
			return err
		}
	}
	name, err := a.within(name)
	if err != nil {
		return err
	}
	err = a.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: secretMode, Size: int64(len(text)), ModTime: time.Now()})
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.out, text)
	return err
}
