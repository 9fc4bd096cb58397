package wal

import (
	"strconv"
	"strings"
)

// Size writes a number of bytes as people read it, in powers of 1024 and with one decimal at most: 17 bytes, 1 MiB,
// 3.1 MiB.
func Size(bytes uint64) string {
	if bytes < 1<<10 {
		return strconv.FormatUint(bytes, 10) + plural(" byte", bytes)
	}
	units := []string{" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"}
	n, unit := float64(bytes)/(1<<10), 0
	for n >= 1<<10 && unit < len(units)-1 {
		n, unit = n/(1<<10), unit+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0") + units[unit]
}

func plural(word string, n uint64) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
