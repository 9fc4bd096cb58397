package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// MaxRecord is the largest record that is read: the offers of a large cluster come in one.
const MaxRecord = 128 << 20

// ErrFraming means that a stream does not keep to RecordIO. Nothing more can be read from it.
var ErrFraming = errors.New("the stream is not made of records")

// Records reads RecordIO: the length of a record in decimal, a line feed, that many bytes.
type Records struct {
	r *bufio.Reader
}

// NewRecords reads from r.
func NewRecords(r io.Reader) *Records { return &Records{bufio.NewReader(r)} }

// longestHeader is the number of digits of the largest record, and some.
const longestHeader = 20

// Next is the next record that is not empty. The end of the stream between two records is io.EOF, within one
// io.ErrUnexpectedEOF; everything that is no record is ErrFraming.
func (s *Records) Next() ([]byte, error) {
	for {
		length, err := s.length()
		if err != nil {
			return nil, err
		}
		if length == 0 {
			continue
		}
		var record bytes.Buffer // grows as bytes come: a length is only a claim
		if _, err := io.CopyN(&record, s.r, int64(length)); err != nil {
			return nil, unexpected(err)
		}
		return record.Bytes(), nil
	}
}

func (s *Records) length() (int, error) {
	var digits strings.Builder
	for digits.Len() <= longestHeader {
		b, err := s.r.ReadByte()
		switch {
		case err != nil && digits.Len() > 0:
			return 0, unexpected(err)
		case err != nil:
			return 0, err
		case b == '\n':
			return size(digits.String())
		}
		digits.WriteByte(b)
	}
	return 0, fmt.Errorf("%w: a length of more than %d characters", ErrFraming, longestHeader)
}

func size(digits string) (int, error) {
	n, err := strconv.ParseUint(digits, 10, 63)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: a length of %q", ErrFraming, digits)
	case n > MaxRecord:
		return 0, fmt.Errorf("%w: a record of %d bytes", ErrFraming, n)
	}
	return int(n), nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
