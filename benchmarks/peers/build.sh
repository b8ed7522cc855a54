#!/bin/sh
# Builds the programs of the benchmarks against others into build/bench/ of the project.
#
#   benchmarks/peers/build.sh          both
#   benchmarks/peers/build.sh go       go-ethereum's only; needs Go 1.25 or later
#   benchmarks/peers/build.sh node     @ethereumjs/devp2p's only; needs Node 18 or later and npm
#
# What is missing is named, and the status is then not zero. What is up to date is left alone.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$here/../../build/bench
missing=0

need() { # need <command> <what it is>
    command -v "$1" >/dev/null 2>&1 && return 0
    echo "build.sh: $1 is missing: $2" >&2
    missing=1
    return 1
}

build_go() {
    need go "the Go toolchain, 1.25 or later, builds go-ethereum's program" || return 0
    (cd "$here/go" && go build -o "$build/go-bench" .)
    echo "built build/bench/go-bench"
}

build_node() {
    have=1
    need node "Node 18 or later runs @ethereumjs/devp2p's program" || have=0
    need npm "npm installs the packages of @ethereumjs/devp2p's program" || have=0
    [ $have = 1 ] || return 0
    mkdir -p "$build/node"
    lock=$here/node/package-lock.json
    if ! cmp -s "$lock" "$build/node/package-lock.json" || [ ! -d "$build/node/node_modules" ]; then
        cp "$here/node/package.json" "$build/node/"
        cp "$lock" "$build/node/new-lock.json"
        mv "$build/node/new-lock.json" "$build/node/package-lock.json"
        (cd "$build/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    fi
    cp "$here/node/bench.mjs" "$build/node/"
    echo "built build/bench/node"
}

mkdir -p "$build"
case ${1:-all} in
    go) build_go ;;
    node) build_node ;;
    all) build_go; build_node ;;
    *) echo "usage: build.sh [go|node]" >&2; exit 2 ;;
esac
exit $missing
