#!/usr/bin/env bash
# Installs what the tests start as foreign peers, from Debian's own packages,
# and only what is missing. No daemon is started, now or at the next boot:
# every test starts its own, on free loopback ports.
set -euo pipefail

packages=(freeradius freeradius-utils radsecproxy eapoltest redis-server postgresql
	freediameterd freediameter-extensions erlang-diameter tshark
	hostapd nsd unbound ldnsutils openssl make gcc libc6-dev)

fail() { printf 'test/setup.sh: %s\n' "$*" >&2; exit 1; }

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

command -v go >/dev/null || fail "go is not in PATH: install Go as go.mod names it"
command -v dpkg-query >/dev/null || fail "this is no Debian system: install ${packages[*]} by hand"

missing=()
for p in "${packages[@]}"; do installed "$p" || missing+=("$p"); done
[ ${#missing[@]} -eq 0 ] && exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
	sudo -n true 2>/dev/null || fail "missing ${missing[*]}: run as root, or: sudo apt-get install ${missing[*]}"
	root=(sudo -n)
fi
run() { "${root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }

# invoke-rc.d asks this script before it starts anything. One that stands here
# already comes back afterwards, whatever happens.
policy=/usr/sbin/policy-rc.d
if [ -e "$policy" ]; then run mv "$policy" "$policy.before-setup"; fi
restore() {
	run rm -f "$policy"
	if [ -e "$policy.before-setup" ]; then run mv "$policy.before-setup" "$policy"; fi
}
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' | run tee "$policy" >/dev/null
run chmod 755 "$policy"

install_missing() {
	run apt-get -q -y -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 \
		install --no-install-recommends "${missing[@]}"
}

# The package lists are read again only when they are absent or too old to
# install from.
for p in "${missing[@]}"; do
	[[ $(LC_ALL=C apt-cache policy "$p" 2>/dev/null) == *"Candidate: "[0-9]* ]] || { run apt-get -q update; break; }
done
install_missing || { run apt-get -q update; install_missing; } || fail "apt-get could not install ${missing[*]}"

for p in "${missing[@]}"; do
	installed "$p" || fail "$p is still missing after apt-get install"
	case $p in freeradius | radsecproxy | redis-server | postgresql | hostapd | nsd | unbound)
		if [ -d /run/systemd/system ]; then run systemctl disable --quiet "$p"; else run update-rc.d "$p" disable; fi ;;
	erlang-diameter) # epmd, which joins nodes of Erlang, comes with its runtime; our peers are alone
		if [ -d /run/systemd/system ]; then run systemctl disable --quiet epmd.service epmd.socket || true; fi ;;
	esac
done
