#!/usr/bin/env bash
# Installs the servers that pgbaton drives, where they are missing: nothing is started, nothing that is
# there is touched, and Debian's package makes no cluster of its own on port 5432.
#
#   install-peers.sh postgresql haproxy etcdctl
#
# patroni is no part of that: it is what make bench-failover measures pgbaton against.
set -euo pipefail

have() {
	case $1 in
	postgresql) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null ;;
	haproxy) command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] ;;
	etcdctl) command -v etcdctl >/dev/null ;;
	patroni) speaks_etcd ;;
	*)
		echo "install-peers.sh: unknown name '$1': use postgresql, haproxy, etcdctl or patroni" >&2
		exit 2
		;;
	esac
}

# Debian's package of Patroni leaves the client of the store to choose.
speaks_etcd() {
	local program interpreter
	program=$(command -v patroni) || return 1
	interpreter=$(sed -n '1s/^#! *//p' "$program")
	"$interpreter" -c 'import etcd' 2>/dev/null
}

packages() {
	case $1 in
	etcdctl) echo etcd-client ;;
	patroni) echo patroni python3-etcd ;;
	*) echo "$1" ;;
	esac
}

missing=()
for name in "$@"; do
	have "$name" && continue
	read -ra needed <<<"$(packages "$name")"
	missing+=("${needed[@]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "missing: ${missing[*]}. Install with: sudo $0 $*" >&2
	exit 1
fi
if ! command -v apt-get >/dev/null; then
	echo "missing: ${missing[*]}, and this system has no apt-get: install them with its own package manager" >&2
	exit 1
fi

echo "installing ${missing[*]} ..."
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
trap 'rm -f "${restore[@]}"' EXIT

apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
for name in "$@"; do
	have "$name" || {
		echo "$name is still missing after the installation of its package" >&2
		exit 1
	}
done
