#!/usr/bin/env bash
# Runs every fuzz target for the given time: fuzz.sh 10s
set -euo pipefail
for file in $(grep -rlE '^func Fuzz' --include='*_test.go' .); do
	for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9]+)\(.*/\1/p' "$file"); do
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-10s}" "./$(dirname "$file")"
	done
done
