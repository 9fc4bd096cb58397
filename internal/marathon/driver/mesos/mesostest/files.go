package mesostest

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// files answers like the agents' /files/read: with a part of a file in a sandbox, and with the length of the file for the
// offset -1. All agents are reached at the address of the master.
func (m *Master) files(w http.ResponseWriter, r *http.Request) {
	// /frameworks/FRAMEWORK/executors/TASK/runs/latest/FILE
	parts := strings.Split(r.FormValue("path"), "/")
	if m.cfg.Run == nil || len(parts) != 8 {
		plain(w, http.StatusNotFound, "404 Not Found.")
		return
	}
	m.mu.Lock()
	host := ""
	if t := m.taskOf(parts[4]); t != nil {
		host = t.a.cfg.Hostname
	}
	m.mu.Unlock()
	root, err := os.OpenRoot(m.cfg.Run.Root())
	if err != nil {
		plain(w, http.StatusInternalServerError, err.Error())
		return
	}
	defer func() { _ = root.Close() }()
	text, err := root.ReadFile(filepath.Join(host, "sandboxes", parts[4], parts[7]))
	if err != nil {
		plain(w, http.StatusNotFound, "404 Not Found.")
		return
	}
	offset, _ := strconv.Atoi(r.FormValue("offset"))
	answer := map[string]any{"data": "", "offset": len(text)}
	if offset >= 0 {
		answer = map[string]any{"data": string(text[min(offset, len(text)):]), "offset": offset}
	}
	b, _ := json.Marshal(answer) //nolint:errchkjson // text and numbers
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
}

// agentPort is where agents say that they are reached.
func (m *Master) agentPort() int {
	const usual = 5051
	_, port, found := strings.Cut(m.Address(), ":")
	if n, err := strconv.Atoi(port); found && err == nil && m.cfg.Run != nil {
		return n
	}
	return usual
}
