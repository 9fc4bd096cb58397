#!/usr/bin/env bash
# Builds the image of the agent and PostgreSQL, and tags it pgbaton:TAG and patroni:TAG.
#
#   image.sh [TAG]          latest by default; the docker command and DOCKER_HOST say where
#   image.sh base           only makes the base that needs no registry, where there is none yet
#
# The program is bin/pgbaton, or what PROGRAM names.
# The base is debian:$SUITE-slim (bookworm). Where no registry has it, or with BASE=debootstrap, a base is made of Debian's
# packages alone and kept in $PGBATON_CACHE, /var/cache/pgbaton by default; that needs root and debootstrap.
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:-latest}
suite=${SUITE:-bookworm}
base=${BASE:-debian:$suite-slim}
cache=${PGBATON_CACHE:-/var/cache/pgbaton}
export DOCKER_BUILDKIT=0

# A base without registry is known by what it was made by: another recipe makes another one.
recipe=$(cat docker/install.sh "$0" | sha256sum | cut -c 1-12)
own=pgbaton-base:$suite-$recipe

archive=$cache/base-$suite-$recipe.tar

make_base() {
	if [ ! -e "$archive" ]; then
		if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
			echo "the base image $base cannot be had, and making one needs root and debootstrap (apt-get install debootstrap)" >&2
			exit 1
		fi
		mkdir -p "$cache"
		room=$(mktemp -d "$cache/making.XXXXXX")
		trap 'rm -rf "$room"' EXIT
		debootstrap --variant=minbase "$suite" "$room/root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$room/log" || {
			cat "$room/log" >&2
			exit 1
		}
		printf '#!/bin/sh\nexit 101\n' >"$room/root/usr/sbin/policy-rc.d" # nothing is started in there
		chmod 755 "$room/root/usr/sbin/policy-rc.d"
		cp docker/install.sh "$room/root/install.sh"
		chroot "$room/root" sh /install.sh >>"$room/log" 2>&1 || {
			tail -n 30 "$room/log" >&2
			exit 1
		}
		rm "$room/root/install.sh" "$room/root/usr/sbin/policy-rc.d"
		tar -C "$room/root" --numeric-owner --sort=name -cf "$room/base.tar" .
		mv "$room/base.tar" "$archive"
	fi
}

if [ "$tag" = base ]; then
	make_base
	exit 0
fi

if ! docker image inspect "$base" >/dev/null 2>&1; then
	if docker image inspect "$own" >/dev/null 2>&1; then
		base=$own
	elif [ "$base" = debootstrap ] || ! docker pull -q "$base" >/dev/null 2>&1; then
		make_base
		docker import "$archive" "$own" >/dev/null
		base=$own
	fi
fi
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context/bin" "$context/docker" "$context/examples/mesos"
cp "${PROGRAM:-bin/pgbaton}" "$context/bin/pgbaton"
cp docker/install.sh "$context/docker/"
cp examples/mesos/postgres0.yml "$context/examples/mesos/"
docker build -q -f docker/Dockerfile --build-arg "BASE=$base" -t "pgbaton:$tag" -t "patroni:$tag" "$context" >/dev/null
docker image inspect -f '{{index .RepoTags 0}} {{.Id}} {{.Size}} bytes' "pgbaton:$tag"
