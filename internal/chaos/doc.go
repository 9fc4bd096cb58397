// Package chaos is part of the *laboratory*: it runs the real program with everything that it starts, breaks
// parts of it on purpose, and measures what a client notices. The product never imports it.
//
// It knows the program from outside only: its commands, its REST interfaces, the processes and files below its
// state directory, and SQL. It refuses to know how anything is decided, and it changes nothing but by the means
// that an operator or a power cut has.
//
//	Agents     some agents with an etcd, each a process of its own that a test starts, freezes and kills
//	Kind       a version of Patroni, whose agents may be members beside pgbaton's and whose tool operates them
//	Platform   one `pgbaton up` on loopback addresses and in a folder of its own
//	Fault      something that happens to it, and what must be true once it is whole again
//	Writer     a client that writes all the time and remembers what was acknowledged
//	Clients    several such clients in synchronous mode, where no acknowledged row may ever be missing (rule S5)
//	Watchman   asks every server all the time whether it accepts writes: never may two at once (rule S1)
//	Attendance counts all the time how many servers answer: never may a planned operation take two down
//	Tour       all of them together, one fault after the other
//
// Times are measured and told. They fail a fault only beyond bounds so generous that a slow machine keeps them.
package chaos
