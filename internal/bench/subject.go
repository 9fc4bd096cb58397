package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pgbaton/pgbaton/internal/chaos"
)

// The subjects that can be measured.
const (
	pgbaton = "pgbaton"
	patroni = "patroni"
)

// subject is a program that is measured.
type subject struct {
	name string
	// title is how people write it, with its version.
	title string
	// path is the program itself.
	path string
	// launch is what the laboratory starts: with "agent FILE" it becomes the subject, with "etcd …" the etcd that all
	// subjects have in common.
	launch string
	// adapt changes the configuration file of a member, which is pgbaton's, to what the subject understands.
	adapt func(file map[string]any)
	// quorum says that it knows synchronous_mode: quorum.
	quorum bool
}

// baton is pgbaton, as it was built.
func baton(ctx context.Context, program string) (subject, error) {
	path, err := filepath.Abs(program)
	if err != nil {
		return subject{}, err
	}
	version, err := versionOf(ctx, path)
	return subject{
		name: pgbaton, title: "pgbaton " + version, path: path, launch: path,
		adapt: func(map[string]any) {}, quorum: true,
	}, err
}

// other is Patroni, as it is installed. In the folder a script is written that makes one program of it and of pgbaton's
// etcd.
func other(ctx context.Context, folder, baton string) (subject, error) {
	path, err := exec.LookPath(patroni)
	if err != nil {
		return subject{}, fmt.Errorf("Patroni is not installed, scripts/install-peers.sh patroni does it: %w", err) //nolint:staticcheck // a name
	}
	version, err := versionOf(ctx, path)
	if err != nil {
		return subject{}, err
	}
	launch := filepath.Join(folder, "patroni-or-etcd")
	script := "#!/bin/sh\ncase $1 in\nagent) exec " + quoted(path) + ` "$2" ;;` + "\n*) exec " + quoted(baton) + ` "$@" ;;` + "\nesac\n"
	err = os.WriteFile(launch, []byte(script), 0o755) //nolint:gosec // the agents' user executes it
	return subject{name: patroni, title: "Patroni " + version, path: path, launch: launch, adapt: forPatroni, quorum: knowsQuorum(version)}, err
}

// knowsQuorum reports whether this version of Patroni has quorum commit, which came with 4.0.
func knowsQuorum(version string) bool {
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 4
}

// versionOf is the last word of what --version prints, which for both is the number.
func versionOf(ctx context.Context, path string) (string, error) {
	output, err := exec.CommandContext(ctx, path, "--version").Output() //nolint:gosec // the program to measure
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", path, err)
	}
	words := strings.Fields(string(output))
	if len(words) < 2 {
		return "", fmt.Errorf("ask %s for its version: %q is no answer", path, output)
	}
	return words[1], nil
}

// quoted is a word of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// forPatroni says what pgbaton finds by itself: the programs of PostgreSQL, folders of its own for sockets and
// passwords, who may connect, and that etcd speaks its third version.
func forPatroni(file map[string]any) {
	file["etcd3"] = file["etcd"]
	delete(file, "etcd")
	own := filepath.Dir(dataDir(file))
	chaos.Set(file, binDir(), "postgresql", "bin_dir")
	chaos.Set(file, filepath.Join(own, "pgpass"), "postgresql", "pgpass")
	chaos.Set(file, own, "postgresql", "parameters", "unix_socket_directories")
	chaos.Set(file, []any{
		"local all postgres trust",
		"host all postgres,rewinder 127.0.0.0/8 md5",
		"host replication replicator 127.0.0.0/8 md5",
	}, "postgresql", "pg_hba")
}

// dataDir is the data directory in a configuration file.
func dataDir(file map[string]any) string {
	section, _ := file["postgresql"].(map[string]any)
	dir, _ := section["data_dir"].(string)
	return dir
}

// binDir is where the newest PostgreSQL has its programs; empty stands for the PATH.
func binDir() string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return ""
	}
	newest := found[0]
	for _, f := range found[1:] {
		if cmp.Or(cmp.Compare(len(f), len(newest)), cmp.Compare(f, newest)) > 0 {
			newest = f
		}
	}
	return filepath.Dir(newest)
}
