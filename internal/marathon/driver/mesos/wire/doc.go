// Package wire is the *vocabulary* of Mesos' v1 scheduler API: calls and events as JSON, the framing of the event stream, and
// the arithmetic of resources that follows from both.
//
// It knows names, shapes and numbers. It refuses to know connections, retries and what anybody wants: those are the driver's.
// The names of fields are those of Mesos' protocol definitions; only what this program says or reads is here, and fields it
// does not know are ignored, as protobuf's JSON demands.
//
// Amounts count in thousandths, for Mesos compares scalars after rounding to three decimals: sums of fractions stay exact.
//
// testdata holds exchanges recorded from a real master and real agents. Every event in it is read, and every call of a kind
// this program makes is written again from its value, field by field the same.
package wire
