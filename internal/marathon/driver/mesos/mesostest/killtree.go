package mesostest

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// KillTree signals a process and everything below it at one moment, together with the process groups and the sessions that any
// of them is in: the executor of a command does so, and a server below the task's own process hears of the end at the same time
// as that does. (The executor of a docker task leaves it to the daemon, which asks the first process alone.)
func KillTree(root int, signal syscall.Signal) {
	var found []int
	for {
		more := relatives(found, root)
		if len(more) == 0 {
			break
		}
		for _, pid := range more { // none makes another while the signals are sent
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
		found = append(found, more...)
	}
	for _, pid := range found {
		_ = syscall.Kill(pid, signal)
	}
	for _, pid := range found {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
}

// kin is a process with where it belongs.
type kin struct{ pid, parent, group, session int }

// relatives are the processes that belong to those found, and the root, and are not found yet.
func relatives(found []int, root int) []int {
	all := processes()
	tree, groups, sessions := map[int]bool{root: true}, map[int]bool{}, map[int]bool{}
	for _, pid := range found {
		tree[pid] = true
	}
	own, _ := syscall.Getpgid(0)
	for _, p := range all {
		if tree[p.pid] && p.group != own {
			groups[p.group] = true
			sessions[p.pid] = sessions[p.pid] || p.session == p.pid // one that leads a session answers for all of it
		}
	}
	var more []int
	for _, p := range all {
		if !slices.Contains(found, p.pid) && (tree[p.pid] || tree[p.parent] || groups[p.group] || sessions[p.session]) {
			more = append(more, p.pid)
		}
	}
	return more
}

// processes are all processes of this machine.
func processes() []kin {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var list []kin
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		var state string
		p := kin{pid: pid}
		if _, err := fmt.Sscan(string(text[bytes.LastIndexByte(text, ')')+1:]), &state, &p.parent, &p.group, &p.session); err == nil {
			list = append(list, p)
		}
	}
	return list
}
