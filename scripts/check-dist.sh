#!/usr/bin/env bash
# Checks what dist.sh builds: the same bytes from another folder, at another time zone and umask; packages that dpkg reads,
# installs and removes; a program in each that runs. ARCHITECTURES is as in dist.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
VERSION=${VERSION:-$(git describe --tags --always --dirty)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export VERSION SOURCE_DATE_EPOCH
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

fail() {
	echo "check-dist.sh: $*" >&2
	exit 1
}

# Two copies of the files as they are, without the repository, in different folders.
mkdir -p "$room/here" "$room/else/where"
git ls-files -z --cached --others --exclude-standard | tar -c --null --ignore-failed-read -T - 2>/dev/null | tar -x -C "$room/here"
cp -r "$room/here/." "$room/else/where"
"$room/here/scripts/dist.sh" "$room/one" >/dev/null
(umask 077 && TZ=Asia/Tokyo "$room/else/where/scripts/dist.sh" "$room/two" >/dev/null)
diff -r "$room/one" "$room/two" || fail "two builds of the same files differ"

runs() { # runs PROGRAM NAME-IN-VERSION
	"$1" --version | grep -q "$2" || fail "$1 does not say its version"
}

packaged() { # packaged FILE
	local arch name=$1
	arch=$(dpkg-deb -f "$name" Architecture)
	local root=$room/root-$arch
	mkdir -p "$root/var/lib/dpkg/"{info,updates}
	: >"$root/var/lib/dpkg/status"
	# The scripts of the package run outside of that root, which they know by DPKG_ROOT.
	dpkg --root="$root" --force-not-root --force-architecture --force-script-chrootless --log=/dev/null --install "$name" >/dev/null
	[ -x "$root/usr/bin/pgbaton" ] || fail "$name has no program"
	[ "$(stat -c %a "$root/etc/default/pgbaton")" = 640 ] || fail "others can read the settings in $name"
	[ -s "$root/usr/share/man/man1/pgbaton-agent.1.gz" ] || fail "$name has no manual"
	if [ "$(dpkg-deb -c "$name" | grep -cE ' \./usr/bin/(patroni|patronictl)')" -ne 0 ]; then
		fail "$name has files of Debian's patroni"
	fi
	if [ "$arch" = "$(dpkg --print-architecture)" ]; then
		runs "$root/usr/bin/pgbaton" pgbaton
		runs "$root/usr/lib/pgbaton/bin/patroni" patroni
		"$root/usr/lib/pgbaton/bin/patronictl" version | grep -qi patronictl || fail "patronictl does not say its version"
	fi
	dpkg --root="$root" --force-not-root --force-architecture --force-script-chrootless --log=/dev/null --purge pgbaton >/dev/null
	[ ! -e "$root/usr/bin/pgbaton" ] || fail "$name stays after its removal"
}

archived() { # archived FILE
	local to=$room/archive
	rm -rf "$to"
	mkdir "$to"
	tar -xzf "$1" -C "$to" --strip-components=1
	[ -s "$to/lib/systemd/system/pgbaton.service" ] || fail "$1 has no unit"
	case $1 in *-"$(dpkg --print-architecture)".tar.gz) runs "$to/bin/pgbaton" pgbaton ;; esac
}

(cd "$room/one" && sha256sum --quiet -c SHA256SUMS)
for file in "$room"/one/*.deb; do packaged "$file"; done
for file in "$room"/one/*.tar.gz; do archived "$file"; done

mkdir -p "$room/texts" "$room/destination"
scripts/texts.sh "$room/texts"
DESTDIR=$room/destination PREFIX=/opt/x scripts/install.sh "$room/archive/bin/pgbaton" "$room/texts"
[ "$(readlink "$room/destination/opt/x/bin/patronictl")" = pgbaton ] || fail "make install makes no link patronictl"
grep -q '^ExecStart=/opt/x/bin/pgbaton agent' "$room/destination/opt/x/lib/systemd/system/pgbaton.service" || fail "the unit starts another program"
if command -v systemd-analyze >/dev/null && [ -x /usr/bin/pgbaton ]; then
	systemd-analyze verify "$room/destination/opt/x/lib/systemd/system/pgbaton.service"
fi
if command -v lintian >/dev/null; then
	lintian --fail-on error "$room"/one/*.deb
fi
echo "the packages are reproducible, and can be installed and removed:"
cat "$room/one/SHA256SUMS"
