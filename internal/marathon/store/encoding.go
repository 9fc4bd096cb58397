package store

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/pgbaton/pgbaton/internal/kv"
)

// largeDocument is the length in bytes from which a document is compressed. etcd refuses values beyond 1.5 MiB, and a
// thousand apps come near that as plain JSON; what is smaller stays readable for people.
const largeDocument = 64 << 10

// largest bounds a document once it is unpacked.
const largest = 256 << 20

// gzipMagic begins every compressed document (RFC 1952), and no JSON.
const gzipMagic = "\x1f\x8b"

// encode is v as JSON, compressed when that is large.
func encode(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil || len(text) < largeDocument {
		return string(text), err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(text); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return packed.String(), nil
}

// decode reads what encode wrote. Errors are ErrDamaged.
func decode(pair kv.Pair, v any) error {
	text := []byte(pair.Value)
	if strings.HasPrefix(pair.Value, gzipMagic) {
		var err error
		if text, err = unpack(pair.Value); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDamaged, pair.Key, err)
		}
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, pair.Key, err)
	}
	return nil
}

func unpack(packed string) ([]byte, error) {
	r, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, largest))
}
