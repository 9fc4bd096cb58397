#!/usr/bin/env bash
# Writes the pages of the manual and the completions of shells into a folder: texts.sh FOLDER. VERSION is the version in them,
# SOURCE_DATE_EPOCH their date.
set -euo pipefail
to=$1
cd "$(dirname "$0")/.."
mkdir -p "$to/man" "$to/completion"
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
flags=(-trimpath -buildvcs=false -ldflags "-s -w -X main.build=${VERSION:-dev}")
export CGO_ENABLED=0
GOOS='' GOARCH='' go build "${flags[@]}" -tags manual -o "$room/manual" ./cmd/pgbaton
GOOS='' GOARCH='' go build "${flags[@]}" -o "$room/pgbaton" ./cmd/pgbaton
"$room/manual" "$to/man"
ln -s pgbaton "$room/patronictl"
for name in pgbaton patronictl; do
	for shell in bash zsh fish; do
		env -i PATH="$PATH" HOME="$room" "$room/$name" completion "$shell" >"$to/completion/$name.$shell"
	done
done
