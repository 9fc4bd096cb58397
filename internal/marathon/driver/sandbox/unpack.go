package sandbox

import (
	"archive/tar"
	"archive/zip"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

var errManyFiles = fmt.Errorf("the archive has more than %d files", filesMost)

// unpack extracts an archive beside itself; the ending of its name says what it is, and a file of another kind is left as it
// is.
func (f *fetch) unpack(ctx context.Context, name string) error {
	var extract func(ctx context.Context, archive *os.File, dir string) error
	switch lower := strings.ToLower(name); {
	case strings.HasSuffix(lower, ".tar"):
		extract = f.tar(func(r io.Reader) (io.Reader, error) { return r, nil })
	case strings.HasSuffix(lower, ".tar.gz"), strings.HasSuffix(lower, ".tgz"):
		extract = f.tar(func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
	case strings.HasSuffix(lower, ".tar.bz2"), strings.HasSuffix(lower, ".tbz2"):
		extract = f.tar(func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil })
	case strings.HasSuffix(lower, ".zip"):
		extract = f.zip
	case strings.HasSuffix(lower, ".gz"):
		extract = f.gunzip(strings.TrimSuffix(path.Base(name), path.Ext(name)))
	case strings.HasSuffix(lower, ".tar.xz"), strings.HasSuffix(lower, ".txz"):
		return errors.New("archives of xz cannot be unpacked here: offer it as .tar.gz, or say extract: false")
	default:
		return nil
	}
	archive, err := f.room.Open(name)
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // only read
	if err := extract(ctx, archive, path.Dir(name)); err != nil {
		return fmt.Errorf("unpack it: %w", err)
	}
	return nil
}

// tar extracts a tape archive behind a compression.
func (f *fetch) tar(decompress func(io.Reader) (io.Reader, error)) func(context.Context, *os.File, string) error {
	return func(ctx context.Context, archive *os.File, dir string) error {
		plain, err := decompress(archive)
		if err != nil {
			return err
		}
		entries := tar.NewReader(plain)
		for range filesMost {
			h, err := entries.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			if err := f.entry(entry{path.Join(dir, h.Name), h.FileInfo().Mode(), h.Linkname, h.Typeflag == tar.TypeLink}, dir, entries); err != nil {
				return err
			}
		}
		return errManyFiles
	}
}

func (f *fetch) zip(ctx context.Context, archive *os.File, dir string) error {
	info, err := archive.Stat()
	if err != nil {
		return err
	}
	r, err := zip.NewReader(archive, info.Size())
	if err != nil {
		return err
	}
	if len(r.File) > filesMost {
		return errManyFiles
	}
	for _, file := range r.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.zipped(file, dir); err != nil {
			return err
		}
	}
	return nil
}

func (f *fetch) zipped(file *zip.File, dir string) error {
	content, err := file.Open()
	if err != nil {
		return err
	}
	defer content.Close() //nolint:errcheck // only read
	e := entry{name: path.Join(dir, file.Name), mode: file.Mode()}
	if e.mode&fs.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(content, 4096))
		if err != nil {
			return err
		}
		e.target = string(target)
	}
	return f.entry(e, dir, content)
}

func (f *fetch) gunzip(base string) func(context.Context, *os.File, string) error {
	return func(_ context.Context, archive *os.File, dir string) error {
		plain, err := gzip.NewReader(archive)
		if err != nil {
			return err
		}
		return f.entry(entry{name: path.Join(dir, base), mode: 0o644}, dir, plain)
	}
}

// entry is one member of an archive.
type entry struct {
	name   string // inside the folder of the task
	mode   fs.FileMode
	target string // of a link
	hard   bool
}

// entry makes one member. Names that lead out of the folder are refused by the room, through links too; devices and other
// special files are.
func (f *fetch) entry(e entry, dir string, content io.Reader) error {
	if e.name == dir {
		return nil // the folder itself
	}
	if path.IsAbs(e.name) || !localPath(e.name) {
		return fmt.Errorf("%q leads out of the folder of the task", e.name)
	}
	switch {
	case e.hard:
		if err := f.clear(e.name); err != nil {
			return err
		}
		return f.room.Link(path.Join(dir, e.target), e.name)
	case e.mode.IsDir():
		return f.room.Folder(e.name)
	case e.mode&fs.ModeSymlink != 0:
		if err := f.clear(e.name); err != nil {
			return err
		}
		return f.room.Symlink(e.target, e.name)
	case e.mode.IsRegular():
		target, err := f.room.Fresh(e.name, e.mode.Perm()|0o600)
		if err != nil {
			return err
		}
		return errors.Join(f.copy(target, content), target.Close())
	}
	return fmt.Errorf("%q is neither a file nor a folder nor a link", e.name)
}

// clear makes way for a link.
func (f *fetch) clear(name string) error {
	if err := f.room.Folder(path.Dir(name)); err != nil {
		return err
	}
	if err := f.room.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
