#!/bin/sh
# Builds a Go and a Node program, for the peers of the interoperability tests and of the benchmarks.
#
#   foreign.sh SOURCES NAME GO [go|node]
#
# SOURCES has the folders go/ and node/; what is built of them goes into build/NAME/ of the project:
# the Go program as GO, the tools that go.mod names under their own names, and the packages of the
# Node programs beside their files. What is missing is named, and the status is then not zero.
# Packages that are up to date are left alone.
set -eu

sources=$(cd "$1" && pwd)
name=$2 go=$3
build=$(cd "$(dirname "$0")/../.." && pwd)/build/$name
missing=0

need() { # need <command> <what it is>
    command -v "$1" >/dev/null 2>&1 && return 0
    echo "build.sh: $1 is missing: $2" >&2
    missing=1
    return 1
}

build_go() {
    need go "the Go toolchain, 1.25 or later, builds the go-ethereum peer" || return 0
    (cd "$sources/go" && go build -o "$build/$go" .)
    echo "built build/$name/$go"
    grep -q '^tool' "$sources/go/go.mod" || return 0
    # Without the profile that geth has for its speed: with it, every package is compiled once more.
    (cd "$sources/go" && go list tool) | while read -r tool; do
        (cd "$sources/go" && go build -pgo=off -o "$build/" "$tool")
        echo "built build/$name/${tool##*/}"
    done
}

build_node() {
    have=1
    need node "Node 20 or later runs the JavaScript peers" || have=0
    need npm "npm installs the packages of the JavaScript peers" || have=0
    [ $have = 1 ] || return 0
    mkdir -p "$build/node"
    lock=$sources/node/package-lock.json
    if ! cmp -s "$lock" "$build/node/installed-lock.json"; then
        cp "$sources/node/package.json" "$lock" "$build/node/"
        (cd "$build/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
        cp "$lock" "$build/node/installed-lock.json"
    fi
    cp "$sources/node/"*.mjs "$build/node/"
    echo "built build/$name/node"
}

mkdir -p "$build"
case ${4:-all} in
    go) build_go ;;
    node) build_node ;;
    all) build_go; build_node ;;
    *) echo "usage: build.sh [go|node]" >&2; exit 2 ;;
esac
exit $missing
