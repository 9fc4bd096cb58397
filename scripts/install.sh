#!/usr/bin/env bash
# Lays the built program out below DESTDIR/PREFIX: itself, its other names, manual, completions, systemd's unit.
#
#   DESTDIR=/somewhere PREFIX=/usr/local LINKS=/usr/local/bin install.sh BINARY TEXTS
#
# TEXTS holds what texts.sh wrote. LINKS is where the links patroni and patronictl go, PREFIX/bin by default. Completion for
# patronictl is installed only beside its link: in another package's place it would ask a program that cannot answer.
set -euo pipefail
binary=$1 texts=$2
prefix=${PREFIX:-/usr/local} root=${DESTDIR:-}
links=${LINKS:-$prefix/bin}
at=$root$prefix
cd "$(dirname "$0")/.."
umask 022

put() { # put MODE FILE TO
	install -D -m "$1" "$2" "$3"
}

put 755 "$binary" "$at/bin/pgbaton"
mkdir -p "$root$links"
target=pgbaton
[ "$links" = "$prefix/bin" ] || target=$(realpath -ms --relative-to="$links" "$prefix/bin/pgbaton")
ln -sfn "$target" "$root$links/patroni"
ln -sfn "$target" "$root$links/patronictl"

for page in "$texts"/man/*.1; do
	put 644 "$page" "$at/share/man/man1/$(basename "$page")"
	gzip -9nf "$at/share/man/man1/$(basename "$page")"
done
names=(pgbaton)
[ "$links" = "$prefix/bin" ] && names+=(patronictl)
zsh=site-functions
[ "$prefix" = /usr ] && zsh=vendor-completions
for name in "${names[@]}"; do
	put 644 "$texts/completion/$name.bash" "$at/share/bash-completion/completions/$name"
	put 644 "$texts/completion/$name.zsh" "$at/share/zsh/$zsh/_$name"
	put 644 "$texts/completion/$name.fish" "$at/share/fish/vendor_completions.d/$name.fish"
done
mkdir -p "$at/lib/systemd/system"
sed "s|@PREFIX@|$prefix|" packaging/pgbaton.service >"$at/lib/systemd/system/pgbaton.service"
for file in README.md CHANGELOG.md LICENSE; do
	put 644 "$file" "$at/share/doc/pgbaton/$file"
done
put 644 packaging/pgbaton.yml "$at/share/doc/pgbaton/examples/pgbaton.yml"
put 644 packaging/pgbaton.default "$at/share/doc/pgbaton/examples/pgbaton.default"
