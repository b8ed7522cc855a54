#!/bin/sh
# Prepares the foreign peers of the interoperability tests: builds them into build/interop/ of the
# project, and installs the daemon of a router from Debian's packages.
#
#   tests/interop/build.sh          all
#   tests/interop/build.sh go       the go-ethereum peer and devp2p only; needs Go 1.25 or later
#   tests/interop/build.sh node     the @ethereumjs/devp2p peer only; needs Node 18 or later and npm
#   tests/interop/build.sh router   miniupnpd, nftables and coturn only; needs root and apt-get
#
# Without root or apt-get there is no router; its tests are skipped then.
set -eu
here=$(dirname "$0")
policy=/usr/sbin/policy-rc.d

have() {
    command -v "$1" >/dev/null 2>&1
}

install_router() {
    if have miniupnpd && have nft && have ip && have turnserver; then
        return
    fi
    if [ "$(id -u)" != 0 ] || ! have apt-get; then
        echo "build.sh: no miniupnpd, nft, ip or turnserver, and no root or apt-get to install them" >&2
        return
    fi
    # The packages must not start services. This one of miniupnpd is the program alone.
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap 'rm -f $policy' EXIT
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        miniupnpd-nftables nftables iproute2 coturn >/dev/null
    echo "installed miniupnpd and coturn"
}

case ${1:-all} in
    router) install_router ;;
    all) install_router; "$here/foreign.sh" "$here" interop go-peer peer.mjs ;;
    *) "$here/foreign.sh" "$here" interop go-peer peer.mjs "$@" ;;
esac
