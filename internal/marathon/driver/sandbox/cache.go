package sandbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"
)

// cacheMost bounds what is kept of files fetched with cache:true; the ones not used for longest go first.
const cacheMost = 4 << 30

// cache is the folder of files that were fetched before. Each has its URI's digest for a name, and beside it what the
// server said it is known by. The server is asked every time whether it is still the same; one that gives nothing to ask
// by is fetched anew.
type cache string

// validators are what a server knows a file by.
type validators struct {
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
}

func (c cache) open(ctx context.Context, uri string, most int64) (io.ReadCloser, error) {
	digest := sha256.Sum256([]byte(uri))
	name := filepath.Join(string(c), hex.EncodeToString(digest[:]))
	resp, err := download(ctx, uri, c.known(name).header())
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNotModified {
		now := time.Now()
		if err := errors.Join(resp.Body.Close(), os.Chtimes(name, now, now)); err != nil {
			return nil, err
		}
		return os.Open(filepath.Clean(name))
	}
	v := validators{resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")}
	if v == (validators{}) || resp.ContentLength > cacheMost {
		return resp.Body, nil
	}
	err = errors.Join(c.keep(name, v, io.LimitReader(resp.Body, most+1)), resp.Body.Close())
	if err != nil {
		return nil, err
	}
	return os.Open(filepath.Clean(name))
}

// known is what the kept file is known by, nothing where none is kept.
func (c cache) known(name string) validators {
	var v validators
	if _, err := os.Stat(name); err != nil {
		return v
	}
	b, err := os.ReadFile(filepath.Clean(name + ".json"))
	if err != nil || json.Unmarshal(b, &v) != nil {
		return validators{}
	}
	return v
}

// header asks whether the file is still the one that is kept; nil where nothing is.
func (v validators) header() http.Header {
	h := http.Header{}
	if v.ETag != "" {
		h.Set("If-None-Match", v.ETag)
	}
	if v.Modified != "" {
		h.Set("If-Modified-Since", v.Modified)
	}
	if len(h) == 0 {
		return nil
	}
	return h
}

// keep stores a file whole or not at all. What it is known by goes first, for another file's must not stay beside it.
func (c cache) keep(name string, v validators, content io.Reader) error {
	if err := os.MkdirAll(string(c), 0o700); err != nil {
		return err
	}
	target, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o600))
	if err != nil {
		return err
	}
	defer target.Cleanup() //nolint:errcheck // nothing is left of a file that failed
	if _, err := io.Copy(target, content); err != nil {
		return err
	}
	if err := os.Remove(name + ".json"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := target.CloseAtomicallyReplace(); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(name+".json", text, 0o600); err != nil {
		return err
	}
	return c.trim(name)
}

// trim removes what was not used for longest until the rest is little enough; the file just kept stays.
func (c cache) trim(newest string) error {
	entries, err := os.ReadDir(string(c))
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	var sum int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil && filepath.Ext(e.Name()) == "" {
			files, sum = append(files, info), sum+info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, info := range files {
		name := filepath.Join(string(c), info.Name())
		if sum <= cacheMost || name == newest {
			continue
		}
		if err := errors.Join(os.Remove(name), os.Remove(name+".json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		sum -= info.Size()
	}
	return nil
}
