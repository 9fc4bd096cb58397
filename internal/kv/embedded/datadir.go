package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// identity is the content of the file beside etcd's data.
type identity struct {
	Cluster string `json:"cluster"`
	Name    string `json:"name"`
}

const identityFile = "pgbaton-member.json"

// prepareDir makes the data directory and reports whether it holds data of exactly this member.
func (m Member) prepareDir() (hasData bool, err error) {
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return false, fmt.Errorf("make data directory of etcd member %s: %w", m.Name, err)
	}
	if err := m.freeOfOthers(); err != nil {
		return false, err
	}
	id, err := m.clusterID()
	if err != nil {
		return false, err
	}
	want := identity{Cluster: id.String(), Name: m.Name}
	got, err := m.readIdentity()
	if err != nil {
		return false, err
	}
	hasData = wal.Exist(filepath.Join(m.Dir, "member", "wal"))
	switch {
	case got == want:
		return hasData, nil
	case got != identity{}:
		return false, fmt.Errorf("data directory %s belongs to etcd member %s of cluster %s, not to member %s of cluster %s: "+
			"name another directory, or move this one away", m.Dir, got.Name, got.Cluster, want.Name, want.Cluster)
	case hasData:
		return false, fmt.Errorf("data directory %s holds an etcd member that was not made here: "+
			"name another directory, or move this one away", m.Dir)
	}
	return false, m.writeIdentity(want)
}

func (m Member) readIdentity() (identity, error) {
	path := filepath.Join(m.Dir, identityFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return identity{}, nil
	}
	var got identity
	if err == nil {
		err = json.Unmarshal(content, &got)
	}
	if err != nil {
		return identity{}, fmt.Errorf("read identity of etcd member from %s: %w", path, err)
	}
	return got, nil
}

func (m Member) writeIdentity(id identity) error {
	content, err := json.Marshal(id)
	if err == nil {
		err = renameio.WriteFile(filepath.Join(m.Dir, identityFile), append(content, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write to data directory of etcd member %s: %w", m.Name, err)
	}
	return nil
}

// freeOfOthers fails when another process runs on the directory. etcd itself would wait for it without
// end and without a word.
func (m Member) freeOfOthers() error {
	path := filepath.Join(m.Dir, "member", "snap", "db")
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open data of etcd member %s: %w", m.Name, err)
	}
	defer func() { _ = file.Close() }() // gives the lock back to etcd, which takes it for itself
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("data directory %s is in use by another etcd process: stop that one first", m.Dir)
	}
	return nil
}
