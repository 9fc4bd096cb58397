package wal

import (
	"math"
	"testing"
)

func TestSizes(t *testing.T) {
	for bytes, want := range map[uint64]string{
		0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1024: "1 KiB", 1 << 20: "1 MiB", 3250585: "3.1 MiB", 1<<20 - 1: "1024 KiB",
		5 << 40: "5 TiB", math.MaxUint64: "16 EiB",
	} {
		if got := Size(bytes); got != want {
			t.Errorf("%d: got %s, want %s", bytes, got, want)
		}
	}
}
