#!/bin/sh
# Builds the programs of the benchmarks against others into build/bench/ of the project.
#
#   benchmarks/peers/build.sh          both
#   benchmarks/peers/build.sh go       go-ethereum's only; needs Go 1.25 or later
#   benchmarks/peers/build.sh node     @ethereumjs/devp2p's only; needs Node 20 or later and npm
set -eu
here=$(dirname "$0")
exec "$here/../../tests/interop/foreign.sh" "$here" bench go-bench "$@"
