#!/bin/sh
# Prepares the interoperability tests: builds the foreign peers into build/interop/ of the project,
# and installs the daemons.
#
#   tests/interop/build.sh          all; without a daemon, its tests are skipped
#   tests/interop/build.sh go       the go-ethereum peer, devp2p and geth only; needs Go 1.25 or later
#   tests/interop/build.sh node     the JavaScript peers only; needs Node 20 or later and npm
#   tests/interop/build.sh daemons  the daemons only; needs root and Debian's packages
set -eu
here=$(dirname "$0")
case ${1:-all} in
    daemons) exec "$here/daemons.sh" ;;
    all) "$here/daemons.sh" || : ;;
esac
status=0
"$here/foreign.sh" "$here" interop go-peer "$@" || status=$?
# The chain for geth is that of go-ethereum's own tests of eth, of the same version.
case ${1:-all} in
    all | go)
        if command -v go >/dev/null 2>&1; then
            module=$(cd "$here/go" && go list -m -f '{{.Dir}}' github.com/ethereum/go-ethereum)
            chain=$here/../../build/interop/chain
            mkdir -p "$chain"
            for file in genesis.json chain.rlp accounts.json; do
                install -m 644 "$module/cmd/devp2p/internal/ethtest/testdata/$file" "$chain/"
            done
        fi
        ;;
esac
exit $status
