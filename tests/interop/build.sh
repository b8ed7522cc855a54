#!/bin/sh
# Prepares the interoperability tests: builds the foreign peers into build/interop/ of the project,
# and installs the daemons.
#
#   tests/interop/build.sh          all; without a daemon, its tests are skipped
#   tests/interop/build.sh go       the go-ethereum peer and devp2p only; needs Go 1.25 or later
#   tests/interop/build.sh node     the JavaScript peers only; needs Node 20 or later and npm
#   tests/interop/build.sh daemons  the daemons only; needs root and Debian's packages
set -eu
here=$(dirname "$0")
case ${1:-all} in
    daemons) exec "$here/daemons.sh" ;;
    all) "$here/daemons.sh" || : ;;
esac
exec "$here/foreign.sh" "$here" interop go-peer "$@"
