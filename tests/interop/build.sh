#!/bin/sh
# Builds the foreign peers of the interoperability tests into build/interop/ of the project.
#
#   tests/interop/build.sh          both
#   tests/interop/build.sh go       the go-ethereum peer and devp2p only; needs Go 1.25 or later
#   tests/interop/build.sh node     the JavaScript peers only; needs Node 20 or later and npm
#
# Root on Debian also gets microsocks, the proxy of test_socks.py; those tests are skipped without it.
set -eu
here=$(dirname "$0")

install_proxy() {
    command -v microsocks >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get install -y --no-install-recommends microsocks >/dev/null && return
    fi
    echo "build.sh: microsocks is missing: tests of the SOCKS dialer are skipped" >&2
}

install_proxy
exec "$here/foreign.sh" "$here" interop go-peer "$@"
