package guard

import (
	"encoding/binary"
	"fmt"
)

// kind is what a message asks for.
type kind uint8

const (
	arm kind = iota + 1
	disarm
	farewell
)

// message is one datagram from the agent to the guard. Both are the same program, so its form is nobody else's business.
type message struct {
	Kind kind
	_    [3]byte
	// PID and Ticks name the postmaster; both are zero when it is not known yet.
	PID   int32
	Ticks int64
	// Seq comes back in the confirmation.
	Seq uint64
	// Act is when to begin, Deadline when everything has to be over.
	Act, Deadline instant
}

// longest is more than any datagram takes.
const longest = 1024

func (m message) encode() ([]byte, error) { return binary.Append(nil, binary.NativeEndian, m) }

func decode(datagram []byte) (message, error) {
	var m message
	if n, err := binary.Decode(datagram, binary.NativeEndian, &m); err != nil || n != len(datagram) {
		return message{}, fmt.Errorf("a message of %d bytes is none of the agent's", len(datagram))
	}
	return m, nil
}

// confirmation is one datagram back: the number of the message and, unless it was done, why not. The number zero is the
// guard's first word, that it is there.
func confirmation(seq uint64, err error) []byte {
	out := binary.NativeEndian.AppendUint64(nil, seq)
	if err != nil {
		out = append(out, err.Error()...)
	}
	return out[:min(len(out), longest)]
}

func parseConfirmation(datagram []byte) (seq uint64, trouble string, err error) {
	const size = 8
	if len(datagram) < size {
		return 0, "", fmt.Errorf("a confirmation of %d bytes is none of the guard's", len(datagram))
	}
	return binary.NativeEndian.Uint64(datagram), string(datagram[size:]), nil
}
