package app

import "strings"

// Readers of the fields that few definitions have, with their defaults.

func asCheck(f *faults, path string, v any) Check {
	o, _ := f.object(path, v)
	c := Check{IntervalSeconds: 60, TimeoutSeconds: 20, DelaySeconds: 15}
	read(o, "http", pointerTo(asCheckHTTP), &c.HTTP)
	read(o, "tcp", pointerTo(asCheckTCP), &c.TCP)
	read(o, "exec", pointerTo(asCheckExec), &c.Exec)
	read(o, "intervalSeconds", asInt, &c.IntervalSeconds)
	read(o, "timeoutSeconds", asInt, &c.TimeoutSeconds)
	read(o, "delaySeconds", asInt, &c.DelaySeconds)
	return c
}

func asCheckHTTP(f *faults, path string, v any) CheckHTTP {
	o, _ := f.object(path, v)
	c := CheckHTTP{Scheme: "HTTP"}
	read(o, "portIndex", pointerTo(asInt), &c.PortIndex)
	read(o, "path", asString, &c.Path)
	read(o, "scheme", oneOf("HTTP", "HTTPS"), &c.Scheme)
	return c
}

func asCheckTCP(f *faults, path string, v any) CheckTCP {
	o, _ := f.object(path, v)
	var c CheckTCP
	read(o, "portIndex", pointerTo(asInt), &c.PortIndex)
	return c
}

func asCheckExec(f *faults, path string, v any) CheckExec {
	o, _ := f.object(path, v)
	var c CheckExec
	need(o, "command", asCheckCommand, &c.Command)
	return c
}

func asCheckCommand(f *faults, path string, v any) CheckCommand {
	o, _ := f.object(path, v)
	var c CheckCommand
	read(o, "shell", asString, &c.Shell)
	read(o, "argv", listOf(asString), &c.Argv)
	return c
}

func asExecutorResources(f *faults, path string, v any) ExecutorResources {
	o, _ := f.object(path, v)
	r := ExecutorResources{CPUs: 0.1, Mem: 32, Disk: 10}
	read(o, "cpus", asFloat, &r.CPUs)
	read(o, "mem", asFloat, &r.Mem)
	read(o, "disk", asFloat, &r.Disk)
	return r
}

func asResourceLimits(f *faults, path string, v any) ResourceLimits {
	o, _ := f.object(path, v)
	var r ResourceLimits
	read(o, "cpus", pointerTo(asLimit), &r.CPUs)
	read(o, "mem", pointerTo(asLimit), &r.Mem)
	return r
}

func asLimit(f *faults, path string, v any) Limit {
	if s, ok := v.(string); ok {
		oneOf(unlimited)(f, path, s)
		return Limit{Unlimited: true}
	}
	return Limit{Amount: asFloat(f, path, v)}
}

func asResidency(f *faults, path string, v any) Residency {
	o, _ := f.object(path, v)
	r := defaultResidency()
	read(o, "relaunchEscalationTimeoutSeconds", asInt, &r.RelaunchEscalationTimeoutSeconds)
	read(o, "taskLostBehavior", oneOf("WAIT_FOREVER", "RELAUNCH_AFTER_TIMEOUT"), &r.TaskLostBehavior)
	return r
}

func defaultResidency() Residency {
	return Residency{RelaunchEscalationTimeoutSeconds: 3600, TaskLostBehavior: "WAIT_FOREVER"}
}

func asSecret(f *faults, path string, v any) Secret {
	o, _ := f.object(path, v)
	var s Secret
	need(o, "source", asString, &s.Source)
	return s
}

func asPullConfig(f *faults, path string, v any) PullConfig {
	o, _ := f.object(path, v)
	var c PullConfig
	need(o, "secret", asString, &c.Secret)
	return c
}

func asCredential(f *faults, path string, v any) Credential {
	o, _ := f.object(path, v)
	var c Credential
	need(o, "principal", asString, &c.Principal)
	read(o, "secret", asString, &c.Secret)
	return c
}

func asLinuxInfo(f *faults, path string, v any) LinuxInfo {
	o, _ := f.object(path, v)
	var l LinuxInfo
	read(o, "seccomp", pointerTo(asSeccomp), &l.Seccomp)
	read(o, "ipcInfo", pointerTo(asIPCInfo), &l.IPCInfo)
	return l
}

func asSeccomp(f *faults, path string, v any) Seccomp {
	o, _ := f.object(path, v)
	var s Seccomp
	read(o, "profileName", asString, &s.ProfileName)
	read(o, "unconfined", pointerTo(asBool), &s.Unconfined)
	return s
}

func asIPCInfo(f *faults, path string, v any) IPCInfo {
	o, _ := f.object(path, v)
	i := IPCInfo{Mode: "PRIVATE"}
	read(o, "mode", oneOf("PRIVATE", "SHARE_PARENT"), &i.Mode)
	read(o, "shmSize", pointerTo(asInt), &i.ShmSize)
	return i
}

// asReference reads the path of an app or a group, which may be relative; [ID.Resolve] makes it absolute.
func asReference(f *faults, path string, v any) ID {
	s := asString(f, path, v)
	rest := s
	for strings.HasPrefix(rest, "../") || strings.HasPrefix(rest, "./") {
		_, rest, _ = strings.Cut(rest, "/")
	}
	if _, fault := checkID(rest); fault != "" {
		f.wrongValue(path, fault)
	}
	return ID(s)
}
