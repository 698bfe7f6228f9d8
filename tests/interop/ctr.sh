# shellcheck shell=bash
# ctr with a containerd of the suite's own, which learns of the registry by
# hosts.toml files, as on a node of a cluster.
# shellcheck disable=SC2154

ctr() { timeout -k 5 120 ctr --address "$tmp/containerd/socket" --namespace interop "$@"; }

ctr_cases() {
    CTR_HOSTS=$tmp/containerd/hosts
    if [[ -z ${pids[containerd]:-} ]]; then
        containerd_start
        check "containerd answers" ctr version
    fi
    ctr_trust "$E" "$tmp/ca/ca.crt"
    check "ctr $EP: a wrong password is refused" refused "$DENIED" ctr_pull single "$USER_NAME:wrong"
    check "ctr $EP: push, remove, pull, compare" ctr_round_trip
    check "ctr $EP: several platforms: remove, pull each" ctr_platforms
    check "ctr $EP: a pull by digest" ctr_by_digest
    check "ctr $EP: the files of the image" ctr_files
    check "ctr $EP: as the mirror of another registry" ctr_mirror
    check "ctr $EP: a pull without a login is refused" refused "$DENIED" \
        ctr images pull --hosts-dir "$CTR_HOSTS" --snapshotter native "$E/ctr/app:single"
    check "ctr $EP: what was deleted is not there" ctr_deleted
    if [[ $SCHEME == https ]]; then
        check "ctr $EP: a certificate by another authority is refused" ctr_untrusted
    fi
}

# containerd_start: a daemon with all of its state in the temporary folder,
# and without the part that talks to a kubelet.
containerd_start() {
    local base=$tmp/containerd i
    mkdir -p "$base"
    cat >"$base/config.toml" <<EOF
version = 2
root = "$base/root"
state = "$base/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$base/socket"
EOF
    containerd --config "$base/config.toml" >"$tmp/containerd.log" 2>&1 </dev/null &
    pids[containerd]=$!
    for ((i = 0; i < 300; i++)); do
        ctr version >/dev/null 2>&1 && return 0
        kill -0 "${pids[containerd]}" 2>/dev/null || break
        sleep 0.1
    done
}

# ctr_trust HOST AUTHORITY: HOST is reached at the chosen way.
ctr_trust() {
    local folder=$CTR_HOSTS/$1
    mkdir -p "$folder"
    {
        echo "server = \"https://$1\""
        echo "[host.\"$SCHEME://$E\"]"
        echo 'capabilities = ["pull", "resolve", "push"]'
        if [[ $SCHEME == https ]]; then echo "ca = \"$2\""; fi
    } >"$folder/hosts.toml"
}

# ctr_pull TAG [LOGIN]
ctr_pull() {
    ctr images pull --hosts-dir "$CTR_HOSTS" --snapshotter native --all-platforms \
        --user "${2:-$USER_NAME:$PASSWORD}" "$E/ctr/app:$1"
}

# ctr_forget: removes every image and what nothing else holds.
ctr_forget() {
    ctr images ls --quiet | xargs -r timeout 60 ctr --address "$tmp/containerd/socket" --namespace interop images rm --sync
}

ctr_round_trip() {
    local tag
    ctr_forget
    tar -C "$LAYOUT" -cf "$tmp/work/layout.tar" .
    ctr images import --all-platforms --no-unpack --base-name "$E/ctr/app" "$tmp/work/layout.tar"
    for tag in single multi; do
        ctr images push --hosts-dir "$CTR_HOSTS" --user "$USER_NAME:$PASSWORD" "$E/ctr/app:$tag"
    done
    ctr_forget
    refused 'not found' ctr content get "$BIG"
    ctr_pull multi
    same "the digest that came back" "$MULTI" \
        "$(ctr images ls "name==$E/ctr/app:multi" | awk 'NR == 2 { print $3 }')"
    ctr content get "$BIG" | cmp - "$LAYOUT/blobs/sha256/${BIG#sha256:}"
}

ctr_platforms() {
    local arch digest
    for arch in amd64 arm64; do
        ctr_forget
        ctr images pull --hosts-dir "$CTR_HOSTS" --snapshotter native --platform "linux/$arch" \
            --user "$USER_NAME:$PASSWORD" "$E/ctr/app:multi"
        digest=$ARM
        [[ $arch == amd64 ]] && digest=$SINGLE
        ctr content get "$digest" | cmp - "$LAYOUT/blobs/sha256/${digest#sha256:}"
    done
}

ctr_by_digest() {
    ctr_forget
    ctr images pull --hosts-dir "$CTR_HOSTS" --snapshotter native --platform linux/arm64 \
        --user "$USER_NAME:$PASSWORD" "$E/ctr/app@$ARM"
    ctr content get "$ARM" | cmp - "$LAYOUT/blobs/sha256/${ARM#sha256:}"
}

ctr_files() {
    local place=$tmp/work/ctr-mount
    mkdir -p "$place"
    ctr_pull single
    ctr images mount --snapshotter native "$E/ctr/app:single" "$place"
    same "the file in the image" "hello from amd64" "$(<"$place/hello")"
    ctr images unmount --rm --snapshotter native "$place"
}

# The name of the other registry comes as a parameter of each request.
ctr_mirror() {
    ctr_forget
    ctr_trust other.example "$tmp/ca/ca.crt"
    ctr images pull --hosts-dir "$CTR_HOSTS" --snapshotter native --user "$USER_NAME:$PASSWORD" \
        --all-platforms other.example/ctr/app:multi
    ctr content get "$MULTI" | cmp - "$LAYOUT/blobs/sha256/${MULTI#sha256:}"
}

# ctr has no command that deletes in a registry. After the 404 it tries the
# server of hosts.toml too, without the authority.
ctr_deleted() {
    skopeo copy --quiet "--dest-$(verify_word)" --all --dest-creds "$USER_NAME:$PASSWORD" "oci:$LAYOUT:multi" "docker://$E/ctr/gone:1"
    skopeo delete "$VERIFY" --creds "$USER_NAME:$PASSWORD" "docker://$E/ctr/gone:1"
    refused 'StatusNotFound' ctr images pull --hosts-dir "$CTR_HOSTS" --snapshotter native \
        --user "$USER_NAME:$PASSWORD" "$E/ctr/gone:1"
}

ctr_untrusted() {
    ctr_trust "$E" "$tmp/foreign-ca/ca.crt"
    refused "$UNTRUSTED" ctr_pull single
    ctr_trust "$E" "$tmp/ca/ca.crt"
}
