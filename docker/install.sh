#!/bin/sh
# Installs what the image needs into the Debian it runs in: PostgreSQL and certificates, and nothing to read. Runs once: where
# PostgreSQL is there already, nothing happens, so that a base made without a registry needs no network in its build.
set -eu
[ -d /usr/lib/postgresql ] && exit 0
export DEBIAN_FRONTEND=noninteractive

# The owner of the data has the same number in every image, or a volume would belong to nobody after an upgrade.
groupadd --gid 999 postgres
useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres

cat >/etc/dpkg/dpkg.cfg.d/small <<'EOF'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/lib/postgresql/*/lib/bitcode/*
EOF
mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
apt-get update -qq
# The names of this Debian's own version, without what translates queries just in time: 100 MiB that a small machine does not miss.
export DEBCONF_NOWARNINGS=yes
apt-get install -y -qq --no-install-recommends ca-certificates postgresql-common >/dev/null
version=$(/usr/share/postgresql-common/supported-versions | tail -n 1)
apt-get install -y -qq --no-install-recommends "postgresql-$version" >/dev/null
find /usr/lib -name 'libLLVM*' -delete
rm -f /usr/lib/postgresql/*/lib/llvmjit*
# What went in before the rule above was made, and what only a build needs.
find /usr/share/doc -type f ! -name copyright -delete
# A key that every copy of the image would share is no key.
rm -f /etc/ssl/private/* /etc/ssl/certs/ssl-cert-snakeoil.pem
rm -rf /usr/share/postgresql/*/man /usr/share/man/* /usr/share/locale/* /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* /tmp/*
install -d -o postgres -g postgres -m 2775 /run/postgresql
install -d -o postgres -g postgres -m 700 /data
