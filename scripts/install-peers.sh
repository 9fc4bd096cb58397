#!/usr/bin/env bash
# Installs the programs that pgbaton drives or is tested with, where they are missing: nothing is started, nothing
# that is there is touched, and Debian's package makes no cluster of its own on port 5432.
#
#   install-peers.sh postgresql haproxy etcdctl     these three
#   install-peers.sh tests                          all that make test asks
#
# etcd-server, patroni, prometheus (with promtool) and python3-marathon are what the tests of compatibility ask, docker (its daemon, which is
# not started, and what makes images without a registry) those of the docker driver, zookeeper those of the mesos driver.
# patroni4, check-patroni and
# vip-manager2 are not in every Debian: their packages are taken from a newer one, $PGBATON_NEWER or trixie, and unpacked
# beside the system below $PGBATON_PEERS, /var/cache/pgbaton by default, with a program of that name in its bin.
set -euo pipefail

beside=${PGBATON_PEERS:-/var/cache/pgbaton}
newer=${PGBATON_NEWER:-trixie}

have() {
	case $1 in
	postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null ;;
	haproxy) command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] ;;
	etcdctl | prometheus) command -v "$1" >/dev/null ;;
	etcd-server) command -v etcd >/dev/null ;;
	patroni) speaks_etcd ;;
	patroni4) have patroni && "$beside/bin/patroni4" --version >/dev/null 2>&1 ;;
	check-patroni) "$beside/bin/check-patroni" --version >/dev/null 2>&1 ;;
	docker) have_all dockerd containerd runc docker iptables busybox debootstrap ip ;;
	vip-manager2) [ -x "$beside/bin/vip-manager2" ] ;;
	python3-marathon) /usr/bin/python3 -c 'import marathon' 2>/dev/null ;;
	zookeeper) command -v java >/dev/null && [ -e /usr/share/java/zookeeper.jar ] ;;
	*)
		echo "install-peers.sh: unknown name '$1': use postgresql, haproxy, etcdctl, etcd-server, patroni, patroni4, check-patroni, vip-manager2, prometheus, python3-marathon, docker or zookeeper" >&2
		exit 2
		;;
	esac
}

have_all() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || [ -x "/usr/sbin/$program" ] || return 1
	done
}

# Debian's package of Patroni leaves the client of the store to choose.
speaks_etcd() {
	local program interpreter
	program=$(command -v patroni) || return 1
	interpreter=$(sed -n '1s/^#! *//p' "$program")
	"$interpreter" -c 'import etcd' 2>/dev/null
}

# packages are those of this Debian that something needs.
packages() {
	case $1 in
	etcdctl) echo etcd-client ;;
	patroni) echo patroni python3-etcd ;;
	# Patroni 4 finds with those of Patroni 3 everything that it needs for etcd.
	patroni4) have patroni || echo patroni python3-etcd ;;
	check-patroni) echo python3-nagiosplugin python3-requests python3-attr python3-click ;;
	vip-manager2) ;;
	zookeeper) echo zookeeper default-jre-headless ;;
	docker) echo docker.io containerd runc iptables busybox-static debootstrap iproute2 ;;
	*) echo "$1" ;;
	esac
}

# programs are those that an unpacked package gives: the name here and the name there.
programs() {
	case $1 in
	patroni4) echo patroni4:patroni patronictl4:patronictl ;;
	check-patroni) echo check-patroni:check_patroni ;;
	vip-manager2) echo vip-manager2:vip-manager ;;
	esac
}

# unpack lays a package of the next Debian beside the system. apt gets it from where this system gets its own packages,
# with a list of its own: nothing of the system's changes.
unpack() {
	local name=$1 package=$1 room entry
	if [ "$name" = patroni4 ]; then package=patroni; fi
	room=$(mktemp -d)
	restore+=("$room")
	mkdir -p "$room/sources" "$room/lists/partial" "$room/cache/archives/partial" "$room/to"
	newer_sources "$room/sources"
	local own=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$room/sources" -o "Dir::State::lists=$room/lists"
		-o "Dir::Cache=$room/cache" -o "Acquire::Languages=none" -o "APT::Sandbox::User=root")
	# Not every Debian has all of the suites that this one has; whether what is needed is there shows in the download.
	apt-get "${own[@]}" update -qq || true
	(cd "$room" && apt-get "${own[@]}" download -qq "$package/$newer")
	dpkg-deb -x "$room/$package"_*.deb "$room/to"
	rm -rf "${beside:?}/$name"
	mkdir -p "$beside/bin"
	mv "$room/to" "$beside/$name"
	chmod 755 "$beside/$name"
	for entry in $(programs "$name"); do
		printf '#!/bin/sh\nPYTHONPATH=%s/usr/lib/python3/dist-packages exec %s%s/usr/bin/%s "$@"\n' "$beside/$name" \
			"$(head -c 2 "$beside/$name/usr/bin/${entry#*:}" | sed -n 's/^#!$/\/usr\/bin\/python3 /p')" "$beside/$name" "${entry#*:}" >"$beside/bin/${entry%:*}"
		chmod 755 "$beside/bin/${entry%:*}"
	done
}

# newer_sources writes the system's sources with the next Debian's name for its own.
newer_sources() {
	local codename file
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		grep -qsw -- "$codename" "$file" || continue
		sed -E "s/\\b$codename\\b/$newer/g; /^deb-src/d" "$file" >"$1/$(basename "$file")"
	done
}

[ "$*" = tests ] && set -- postgresql haproxy etcdctl etcd-server patroni patroni4 check-patroni vip-manager2 prometheus python3-marathon docker zookeeper
missing=() newcomers=()
for name in "$@"; do
	have "$name" && continue
	read -ra needed <<<"$(packages "$name")"
	missing+=("${needed[@]}")
	case $name in patroni4 | check-patroni | vip-manager2) newcomers+=("$name") ;; esac
done
[ ${#missing[@]} -eq 0 ] && [ ${#newcomers[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "missing: ${missing[*]} ${newcomers[*]}. Install with: sudo $0 $*" >&2
	exit 1
fi
if ! command -v apt-get >/dev/null; then
	echo "missing: ${missing[*]} ${newcomers[*]}, and this system has no apt-get: install them with its own package manager" >&2
	exit 1
fi

echo "installing ${missing[*]} ${newcomers[*]} ..."
export DEBIAN_FRONTEND=noninteractive

# Package scripts start services unless this file forbids it.
policy=/usr/sbin/policy-rc.d
restore=()
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	restore+=("$policy")
fi
# PostgreSQL's package makes and starts a cluster "main" unless this file forbids it.
nocluster=/etc/postgresql-common/createcluster.d/pgbaton-no-cluster.conf
if [ ! -d /etc/postgresql-common ] || ! compgen -G '/etc/postgresql/*/main' >/dev/null; then
	mkdir -p "$(dirname $nocluster)"
	echo 'create_main_cluster = false' >$nocluster
	restore+=("$nocluster")
fi
trap 'rm -rf "${restore[@]}"' EXIT

if [ ${#missing[@]} -gt 0 ]; then
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
for name in "${newcomers[@]}"; do
	unpack "$name"
done
for name in "$@"; do
	have "$name" || {
		echo "$name is still missing after the installation of its package" >&2
		exit 1
	}
done
