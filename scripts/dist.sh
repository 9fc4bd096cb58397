#!/usr/bin/env bash
# Builds what is given to others, for amd64 and arm64: a Debian package, an archive, and the checksums of all.
#
#   dist.sh [FOLDER]        dist by default; ARCHITECTURES="amd64" builds for that one alone
#
# The same commit gives the same bytes, whoever builds it where and when: times are the commit's, paths and owners are fixed,
# and the modules are pinned. VERSION and SOURCE_DATE_EPOCH come from git unless they are given.
set -euo pipefail
out=$(realpath -m "${1:-dist}")
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC CGO_ENABLED=0
VERSION=${VERSION:-$(git describe --tags --always --dirty)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export VERSION SOURCE_DATE_EPOCH

# A package's version begins with a digit, and one without a tag is older than every one with.
case $VERSION in
v[0-9]* | [0-9]*.*) release=$(sed -E 's/^v//; s/-(alpha|beta|rc)/~\1/; s/-/+/; s/-/./g' <<<"$VERSION") ;;
*) release=0~$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S).$(tr - . <<<"$VERSION") ;;
esac

room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
rm -rf "$out"
mkdir -p "$out"
scripts/texts.sh "$room/texts"
go build -modfile=packaging/go.mod -o "$room/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm

# dated gives everything in a folder the commit's time.
dated() { find "$1" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +; }

archive() { # archive ARCH BINARY
	local name=pgbaton-$release-linux-$1
	PREFIX=/usr/local DESTDIR=$room/$name LINKS='' scripts/install.sh "$2" "$room/texts"
	mv "$room/$name/usr/local" "$room/archive"
	rm -rf "${room:?}/$name"
	mv "$room/archive" "$room/$name"
	cp README.md CHANGELOG.md LICENSE "$room/$name/"
	dated "$room/$name"
	tar -C "$room" --format=gnu --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
	rm -rf "${room:?}/$name"
}

package() { # package ARCH BINARY
	PREFIX=/usr DESTDIR=$room/deb LINKS=/usr/lib/pgbaton/bin scripts/install.sh "$2" "$room/texts"
	mv "$room/deb/usr/share/doc/pgbaton/LICENSE" "$room/license"
	install -D -m 644 packaging/copyright "$room/deb/usr/share/doc/pgbaton/copyright"
	gzip -9nf "$room/deb/usr/share/doc/pgbaton/CHANGELOG.md"
	mv "$room/deb/usr/share/doc/pgbaton/CHANGELOG.md.gz" "$room/deb/usr/share/doc/pgbaton/changelog.gz"
	install -D -m 644 packaging/pgbaton.default "$room/default"
	dated "$room"
	ROOM=$room ARCH=$1 RELEASE=$release "$room/nfpm" package -f packaging/nfpm.yaml -p deb -t "$out/pgbaton_${release}_$1.deb" >/dev/null
	rm -rf "$room/deb"
}

for arch in ${ARCHITECTURES:-amd64 arm64}; do
	GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.build=$VERSION" -o "$room/pgbaton" ./cmd/pgbaton
	archive "$arch" "$room/pgbaton"
	package "$arch" "$room/pgbaton"
done
cd "$out"
sha256sum ./*.deb ./*.tar.gz | sed 's|\./||' >SHA256SUMS
cat SHA256SUMS
