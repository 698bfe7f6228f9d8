#!/usr/bin/env bash
# Puts the peers of the comparison into target/tools, as far as this machine can.
# Who is missing is left out of the table, and named here with the way to get it.
#
#   ZOT_SOURCE=DIR   a tree of zot's sources, where its module can't be fetched
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=${CARGO_TARGET_DIR:-$PWD/target}/tools
mkdir -p "$tools"

DISTRIBUTION=v3.1.1
ZOT=v2.1.20

# have NAME: whether it is in target/tools already, of the version above.
have() { [[ -x $tools/$1 && $(cat "$tools/$1.version" 2>/dev/null) == "$2" ]]; }

missing=()
for package in docker-registry:docker-registry nginx:nginx-light wrk:wrk strace:strace; do
    PATH=$PATH:/usr/sbin command -v "${package%%:*}" >/dev/null || missing+=("${package##*:}")
done
if ((${#missing[@]} > 0)); then
    echo "not here: ${missing[*]}; as root: apt-get install ${missing[*]}" >&2
fi

if ! command -v go >/dev/null; then
    echo "not here: go, so neither distribution 3 nor zot" >&2
    exit 0
fi
if ! have registry "$DISTRIBUTION"; then
    if GOBIN=$tools go install "github.com/distribution/distribution/v3/cmd/registry@$DISTRIBUTION"; then
        echo "$DISTRIBUTION" >"$tools/registry.version"
    else
        echo "distribution $DISTRIBUTION could not be built" >&2
    fi
fi
if ! have zot "$ZOT"; then
    export CGO_ENABLED=0 GOEXPERIMENT=jsonv2
    flags=(-trimpath -ldflags "-s -w -X zotregistry.dev/zot/v2/pkg/buildinfo.ReleaseTag=$ZOT")
    if [[ -n ${ZOT_SOURCE:-} ]]; then
        (cd "$ZOT_SOURCE" && go build -buildvcs=false "${flags[@]}" -o "$tools/zot" ./cmd/zot) || rm -f "$tools/zot"
    else
        GOBIN=$tools go install "${flags[@]}" "zotregistry.dev/zot/v2/cmd/zot@$ZOT" || rm -f "$tools/zot"
    fi
    if [[ -x $tools/zot ]]; then
        echo "$ZOT" >"$tools/zot.version"
    else
        echo "zot $ZOT could not be built; with its sources: ZOT_SOURCE=DIR" >&2
    fi
fi
