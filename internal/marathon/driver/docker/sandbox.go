package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/pgbaton/pgbaton/internal/marathon/driver"
)

// Modes of what is put into a container: its sandbox is anybody's who runs there, secrets cannot be changed.
const (
	sandboxMode = 0o1777
	folderMode  = 0o755
	secretMode  = 0o444
)

// sandboxFiles is an archive of what a task finds in its container: its sandbox, and its secrets as files.
func sandboxFiles(_ context.Context, s driver.Spec) (io.Reader, error) {
	if len(s.App.Fetch) > 0 {
		return nil, errors.New("the docker driver fetches no files: put them into the image or a volume")
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := folder(w, sandbox, sandboxMode); err != nil {
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
		if err := file(w, inside(v.ContainerPath), value.Reveal()); err != nil {
			return nil, err
		}
	}
	return &out, w.Close()
}

func folder(w *tar.Writer, name string, mode int64) error {
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(name, "/") + "/", Mode: mode})
}

func file(w *tar.Writer, name, text string) error {
	if dir := path.Dir(name); dir != "/" && dir != sandbox {
		if err := folder(w, dir, folderMode); err != nil {
			return err
		}
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: secretMode, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := io.WriteString(w, text)
	return err
}
