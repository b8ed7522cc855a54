#!/bin/sh
# Installs the daemons of the interoperability tests from Debian's packages, as root: name server,
# router, STUN server, SOCKS proxy, Tor, tcpdump, avahi, the browser Chromium. The tests start them; without them they are skipped.
set -eu

policy=/usr/sbin/policy-rc.d
kept=$policy.kept-by-daemons-sh

# PROGRAM PACKAGE, a pair a line. miniupnpd-nftables is the program without its service.
daemons='
nsd nsd
miniupnpd miniupnpd-nftables
nft nftables
ip iproute2
turnserver coturn
microsocks microsocks
tor tor
tcpdump tcpdump
chromium chromium
avahi-daemon avahi-daemon
avahi-browse avahi-utils
dbus-daemon dbus
'

missing_packages() {
    echo "$daemons" | while read -r program package; do
        [ -z "$program" ] || command -v "$program" >/dev/null 2>&1 || echo "$package"
    done
}

restore_policy() {
    rm -f "$policy"
    if [ -e "$kept" ]; then mv "$kept" "$policy"; fi
}

# 101 forbids packages to start their services.
forbid_services() {
    if [ -e "$policy" ]; then mv "$policy" "$kept"; fi
    trap restore_policy EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

packages=$(missing_packages)
[ -n "$packages" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "daemons.sh: missing, their tests are skipped; as root: apt-get install" $packages >&2
    exit 1
fi
forbid_services
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends $packages >/dev/null
echo "installed" $packages
