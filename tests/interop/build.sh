#!/bin/sh
# Builds the foreign peers of the interoperability tests into build/interop/ of the project.
#
#   tests/interop/build.sh          both
#   tests/interop/build.sh go       the go-ethereum peer and devp2p only; needs Go 1.25 or later
#   tests/interop/build.sh node     the JavaScript peers only; needs Node 20 or later and npm
set -eu
here=$(dirname "$0")
exec "$here/foreign.sh" "$here" interop go-peer "$@"
