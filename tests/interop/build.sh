#!/bin/sh
# Builds the foreign peers of the interoperability tests into build/interop/ of the project.
#
#   tests/interop/build.sh          both
#   tests/interop/build.sh go       the go-ethereum peer only; needs Go 1.25 or later
#   tests/interop/build.sh node     the @ethereumjs/devp2p peer only; needs Node 18 or later and npm
#
# What is missing is named, and the status is then not zero.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$here/../../build/interop
missing=0

need() { # need <command> <what it is>
    command -v "$1" >/dev/null 2>&1 && return 0
    echo "build.sh: $1 is missing: $2" >&2
    missing=1
    return 1
}

build_go() {
    need go "the Go toolchain, 1.25 or later, builds the go-ethereum peer" || return 0
    (cd "$here/go" && go build -o "$build/go-peer" .)
    echo "built build/interop/go-peer"
}

build_node() {
    have=1
    need node "Node 18 or later runs the @ethereumjs/devp2p peer" || have=0
    need npm "npm installs the packages of the @ethereumjs/devp2p peer" || have=0
    [ $have = 1 ] || return 0
    mkdir -p "$build/node"
    cp "$here"/node/package.json "$here"/node/package-lock.json "$here"/node/peer.mjs "$build/node/"
    (cd "$build/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    echo "built build/interop/node"
}

mkdir -p "$build"
case ${1:-all} in
    go) build_go ;;
    node) build_node ;;
    all) build_go; build_node ;;
    *) echo "usage: build.sh [go|node]" >&2; exit 2 ;;
esac
exit $missing
