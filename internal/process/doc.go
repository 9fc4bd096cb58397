// Package process is the *adapter* to the kernel for processes that outlive whoever started them: it
// finds them, recognises them, waits for their end and for changes of their files, without polling.
//
// It knows /proc, pidfd (Linux 5.3 and later) and inotify. It refuses to know what the processes do:
// what the end of one means is for whoever asked (postgres, haproxy, the local driver).
//
// A process number alone names nothing, since numbers are used again. A Handle is bound to one process
// for good: open it first, look at the process with Inspect, then ask Ended once more; if it has not
// ended, what was seen was that process.
package process
