#!/bin/sh
# Builds the foreign peers of the interoperability tests into build/interop/ of the project, and
# installs the name server of test_dnsdisc.py.
#
#   tests/interop/build.sh          all
#   tests/interop/build.sh go       the go-ethereum peer and devp2p only; needs Go 1.25 or later
#   tests/interop/build.sh node     the @ethereumjs/devp2p peer only; needs Node 18 or later and npm
#   tests/interop/build.sh dns      nsd only, from the packages of Debian; needs root
set -eu
here=$(dirname "$0")
policy=/usr/sbin/policy-rc.d
kept=$policy.kept-by-build-sh

restore_policy() {
    rm -f "$policy"
    if [ -e "$kept" ]; then mv "$kept" "$policy"; fi
}

# The tests start nsd themselves: 101 forbids the package to start its service.
forbid_services() {
    if [ -e "$policy" ]; then mv "$policy" "$kept"; fi
    trap restore_policy EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

install_nsd() (
    command -v nsd >/dev/null 2>&1 && return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "build.sh: nsd is missing, its tests are skipped; apt-get install nsd, as root" >&2
        return 1
    fi
    forbid_services
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nsd >&2
)

case ${1:-all} in
    dns) install_nsd; exit ;;
    all) install_nsd || : ;; # tests without it are skipped
esac
exec "$here/foreign.sh" "$here" interop go-peer peer.mjs "$@"
