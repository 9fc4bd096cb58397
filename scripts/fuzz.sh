#!/usr/bin/env bash
# Runs every fuzz target for the given time, one after the other, or those of the named folders alone:
#
#   fuzz.sh 10s internal/guc internal/dcs
#
# What fails is kept below testdata/fuzz of its package, where the ordinary tests play it from then on.
set -euo pipefail
cd "$(dirname "$0")/.."
span=${1:-10s}
places=("${@:2}")
[ ${#places[@]} -eq 0 ] && places=(cmd internal)
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# Go reports a target as failed when the time is up in the middle of an input: that is none, if no input is named.
run() {
	go test -run '^$' -fuzz "^$2\$" -fuzztime "$span" -fuzzminimizetime 1s "$1" >"$output" 2>&1 && return
	grep -q 'context deadline exceeded' "$output" && ! grep -qE 'Failing input|panic:|DATA RACE' "$output"
}

failed=()
while IFS=: read -r file target; do
	package=./$(dirname "$file")
	if run "$package" "$target" </dev/null; then
		echo "ok    $package $target"
		continue
	fi
	echo "FAIL  $package $target"
	cat "$output"
	failed+=("$package $target")
done < <(grep -roE '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' "${places[@]}" | sed 's/:func /:/' | sort)
[ ${#failed[@]} -eq 0 ] && exit 0
printf 'failed: %s\n' "${failed[@]}" >&2
exit 1
