// Package watchdog is the *adapter* to the watchdog device of the host: a timer in hardware, or in the kernel, that
// resets the host unless it is fed in time.
//
// It knows Linux' watchdog devices and a file in place of one for tests, which timeout a lease asks for, and how to end
// the timer without a reset. It refuses to know when a server is to be guarded: that is decided by package ha, and the
// agent tells of every renewal.
//
// # Three lines, each for when the one before it fails
//
// With t the instant before the last renewal was sent, nobody else can lead before t + ttl (rule S2).
//
//	t' + ttl − margin   the device resets the host, where no process runs any more that could stop anything
//	before that         the guard, a process of its own, stops a server whose agent is dead, frozen or hung (rule S3)
//	before that         the agent itself stops its server because it could not renew, and then ends the timer
//
// t' is when the device was fed, which is after the answer to the renewal: the agent waits for one for up to 3 s, so a
// margin of 5 s, the default, leaves the reset at least 2 s before anybody else can lead. Whoever makes the margin
// smaller than the slowest renewal gives that up. News that is older than the margin, because the agent was frozen
// between the renewal and the feeding, is not passed on. Devices count in seconds; a fraction is cut off.
//
// The two lines in software take a sixth of ttl before their deadline. Without a device that is the end of the lease;
// with an active one it is Timer where that comes first, because a DCS that is out of order must not reset the
// hosts of a cluster whose agents are well.
//
// The device does not know what a server is. It is active only while one here accepts writes or is about to, and a host
// is reset although the guard has stopped the server already: by then its agent is silent, and nothing could tell the
// device.
//
// # What keeps on and what does not
//
// The timer of an agent that ended without saying so goes on; the next agent that leads takes it over by opening the
// device again. That holds for devices with the "magic close" (they stop only after a V), and not for the few without,
// whose timer stops with the process: a warning tells of them at the activation.
//
// # Never wait for a device
//
// A driver may hang. Every call to it runs on a goroutine of its own and gets a moment; a device that is still busy with
// the last call is not called again, and shows as not usable. The device itself answers for what that means: it is not
// fed.
package watchdog
