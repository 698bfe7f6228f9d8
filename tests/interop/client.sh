# shellcheck shell=bash
# What `warren client` gives a machine, met by the programs it is for: podman,
# skopeo and buildah, docker with a real dockerd, ctr, and containerd as a kubelet
# asks it. Nothing else tells them of the registry here, not even of its address.
# CRI-O is no package of Debian's. It reads the same files as skopeo, with the same
# library.
# shellcheck disable=SC2154

WARREN_TOOL=${WARREN:-${CARGO_TARGET_DIR:-$root/target}/release/warren}

# shellcheck source=docker.sh
declare -F dockerd_start >/dev/null || source "$here/docker.sh"
# shellcheck source=ctr.sh
declare -F containerd_start >/dev/null || source "$here/ctr.sh"

client_cases() {
    [[ $SCHEME == https ]] || return 0
    export REGISTRY_AUTH_FILE=$tmp/auth-client-$EP.json
    export DOCKER_HOST=unix://$tmp/docker/docker.sock DOCKER_CONFIG=$tmp/docker/config-client-$EP
    storage_make client
    CTR_HOSTS=/etc/containerd/certs.d
    [[ -n ${pids[dockerd]:-} ]] || dockerd_start
    [[ -n ${pids[containerd]:-} ]] || containerd_start
    [[ -n ${pids[kubelet]:-} ]] || kubelet_start
    # The proxy is an ingress on 443. The server itself is on a port of its own, which
    # is in the names of the folders.
    CLIENT_NAME=sandbox
    [[ $EP == tls ]] && CLIENT_NAME=balanced
    client_root
    rm -rf /etc/containers/certs.d /etc/docker/certs.d /etc/containerd/certs.d
    hosts_without >/etc/hosts

    check "client $EP: what is there to pull" client_seed
    check "client $EP: without the files nobody trusts it" client_strangers
    check "client $EP: the script and the folder hold the same" client_same
    check "client $EP: the script installs, and a second time changes nothing" client_install
    check "client $EP: podman: login, pull, push" client_podman podman
    check "client $EP: buildah: login, pull, push" client_podman buildah
    check "client $EP: skopeo: login, pull, push" client_skopeo
    check "client $EP: docker: login, pull, push" client_docker
    check "client $EP: ctr: pull, push" client_ctr
    check "client $EP: containerd, as a kubelet asks it" client_kubelet
    check "client $EP: each is told why it is not let in" client_reasons
    check "client $EP: registries.conf.d takes back an exception from TLS" client_registries
    check "client $EP: the same file, as skopeo is told of it" client_registries_conf
    check "client $EP: everybody may read it, whatever the umask" client_umask
    check "client $EP: the files of another authority" client_foreign
    check "client $EP: undone, all is as before" client_undone

    printf '127.0.0.1 localhost\n::1 %s\n' "$DOMAIN" >/etc/hosts
    rm -rf /etc/containers/certs.d /etc/docker/certs.d /etc/containerd/certs.d
    trust "$E" "$tmp/ca"
}

# client_root: the project, with an environment more, whose Service is a load
# balancer on the server's own port.
client_root() {
    CLIENT_ROOT=$tmp/client-root
    [[ -d $CLIENT_ROOT ]] && return
    mkdir -p "$CLIENT_ROOT"
    cp -r "$root/environments" "$root/vendor" "$CLIENT_ROOT/"
    sed '/^\[ingress\]/,/^class/d' "$root/environments/sandbox.toml" >"$CLIENT_ROOT/environments/balanced.toml"
    printf '[exposure]\nkind = "load-balancer"\n[service]\nport = 8443\n' >>"$CLIENT_ROOT/environments/balanced.toml"
}

# kit AUTHORITY OPTION...: the environment's files, for this authority.
kit() { "$WARREN_TOOL" --root "$CLIENT_ROOT" client "$CLIENT_NAME" --ca "$1/ca.crt" "${@:2}"; }

# A machine that knows of no registry.
hosts_without() { printf '127.0.0.1 localhost\n'; }

# kubelet_start: a containerd with the part that a kubelet talks to, which reads the
# folder of the nodes.
kubelet_start() {
    local base=$tmp/kubelet i
    mkdir -p "$base"
    cat >"$base/config.toml" <<TOML
version = 2
root = "$base/root"
state = "$base/state"
[grpc]
address = "$base/socket"
[plugins."io.containerd.grpc.v1.cri"]
disable_cgroup = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "/etc/containerd/certs.d"
TOML
    containerd --config "$base/config.toml" >"$tmp/kubelet.log" 2>&1 </dev/null &
    pids[kubelet]=$!
    for ((i = 0; i < 300; i++)); do
        [[ -S $base/socket ]] && ctr --address "$base/socket" plugins ls 2>/dev/null | grep -q 'cri .* ok' && return 0
        kill -0 "${pids[kubelet]}" 2>/dev/null || break
        sleep 0.1
    done
}

# kubelet_pull IMAGE USER PASSWORD: PullImage of the CRI, as a kubelet calls it: a
# message of gRPC by hand, since what speaks it (crictl) is no package of Debian's.
# Each text is shorter than 128 bytes, so that a length is one byte.
kubelet_pull() {
    local answer
    python3 - "$@" >"$tmp/work/pull" <<'PYTHON'
import sys
def field(number, content):
    content = content.encode() if isinstance(content, str) else content
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content
image, user, password = sys.argv[1:]
message = field(1, field(1, image)) + field(2, field(1, user) + field(2, password))
sys.stdout.buffer.write(b"\0" + len(message).to_bytes(4, "big") + message)
PYTHON
    answer=$(curl --http2-prior-knowledge --unix-socket "$tmp/kubelet/socket" \
        --header 'Content-Type: application/grpc' --header 'TE: trailers' --data-binary "@$tmp/work/pull" \
        --dump-header - --output "$tmp/work/pulled" http://localhost/runtime.v1.ImageService/PullImage)
    printf '%s\n' "$answer"
    grep -q '^grpc-status: 0' <<<"$answer"
}

# By another name of the same server, and with the authority named.
client_seed() {
    skopeo copy --quiet --all --preserve-digests --dest-cert-dir "$tmp/ca" \
        --dest-creds "$USER_NAME:$PASSWORD" "oci:$LAYOUT:multi" "docker://localhost${E#"$DOMAIN"}/client/app:multi"
}

# client_before: what the script may not leave behind: every file of those folders.
client_before() {
    (cd /etc && find containers docker containerd hosts -type f -exec sha256sum {} + | sort -k 2)
}

# client_login PROGRAM
client_login() { "$1" login --username "$USER_NAME" --password-stdin "$E" <"$tmp/password"; }

client_pull_ctr() {
    ctr images pull --hosts-dir "$CTR_HOSTS" --snapshotter native --user "${2:-$USER_NAME:$PASSWORD}" "$E/client/app:$1"
}

# client_refused PATTERN: by every program.
client_refused() {
    refused "$1" client_login podman
    refused "$1" client_login skopeo
    refused "$1" client_login docker
    refused "$1" client_pull_ctr multi
    refused "$1" kubelet_pull "$E/client/app:multi" "$USER_NAME" "$PASSWORD"
}

client_strangers() {
    printf '%s %s\n' "$ADDRESS" "$DOMAIN" >>/etc/hosts
    client_refused "$UNTRUSTED"
    hosts_without >/etc/hosts
}

client_same() {
    local into=$tmp/work/client-script folder=$tmp/work/client-folder
    rm -rf "$into" "$folder"
    mkdir -p "$into/etc"
    hosts_without >"$into/etc/hosts"
    kit "$tmp/ca" --script >"$tmp/client.sh"
    ROOT=$into sh "$tmp/client.sh"
    kit "$tmp/ca" --output-dir "$folder"
    same "the hosts file" "$(hosts_without)
$(<"$folder/hosts") # warren $CLIENT_NAME" "$(<"$into/etc/hosts")"
    rm "$folder/hosts" "$into/etc/hosts"
    find "$into" -name '*.by-warren' -delete
    diff --recursive "$into" "$folder"
}

client_install() {
    local first
    # What an administrator had there before.
    mkdir -p "/etc/docker/certs.d/$E"
    cp "$tmp/foreign-ca/ca.crt" "/etc/docker/certs.d/$E/ca.crt"
    client_before >"$tmp/client-before"
    sh "$tmp/client.sh"
    first=$(client_before)
    sh "$tmp/client.sh"
    same "the files" "$first" "$(client_before)"
    same "where the domain leads" "$ADDRESS" "$(getent hosts "$DOMAIN" | cut -d ' ' -f 1)"
}

# client_podman PROGRAM: podman or buildah.
client_podman() {
    "$1" logout "$E" || true
    client_login "$1"
    "$1" pull --quiet --platform linux/arm64 "$E/client/app:multi"
    "$1" tag "$E/client/app:multi" "$E/client/$1:1"
    "$1" push --quiet "$E/client/$1:1"
    "$1" rmi --all --force
    "$1" pull --quiet --platform linux/arm64 "$E/client/$1:1"
}

client_skopeo() {
    skopeo logout "$E" || true
    client_login skopeo
    rm -rf "$tmp/work/client-skopeo"
    skopeo copy --quiet --all --preserve-digests "docker://$E/client/app:multi" "oci:$tmp/work/client-skopeo:multi"
    same "the digest that came back" "$MULTI" "$(jq -r '.manifests[0].digest' "$tmp/work/client-skopeo/index.json")"
    skopeo copy --quiet --all --preserve-digests "oci:$tmp/work/client-skopeo:multi" "docker://$E/client/skopeo:multi"
}

client_docker() {
    client_login docker
    docker pull --quiet "$E/client/app:multi"
    docker tag "$E/client/app:multi" "$E/client/docker:1"
    docker push --quiet "$E/client/docker:1"
    docker_empty
    docker pull --quiet "$E/client/docker:1"
    same "the file in the image" "hello from amd64" "$(docker_hello "$E/client/docker:1")"
    docker_empty
}

client_ctr() {
    ctr_forget
    client_pull_ctr multi
    same "the digest that came back" "$MULTI" \
        "$(ctr images ls "name==$E/client/app:multi" | awk 'NR == 2 { print $3 }')"
    ctr images tag "$E/client/app:multi" "$E/client/ctr:1"
    ctr images push --hosts-dir "$CTR_HOSTS" --platform linux/amd64 --user "$USER_NAME:$PASSWORD" "$E/client/ctr:1"
    ctr_forget
}

client_kubelet() {
    kubelet_pull "$E/client/app:multi" "$USER_NAME" "$PASSWORD"
    kubelet_pull "$E/client/app@$SINGLE" "$USER_NAME" "$PASSWORD"
    timeout 60 ctr --address "$tmp/kubelet/socket" --namespace k8s.io content get "$BIG" |
        cmp - "$LAYOUT/blobs/sha256/${BIG#sha256:}"
}

# What stands in the way is the password, or that nothing is there: no program may
# say something of certificates instead.
client_reasons() {
    refused "$DENIED" client_pull_ctr multi "$USER_NAME:wrong"
    refused "$DENIED" kubelet_pull "$E/client/app:multi" "$USER_NAME" wrong
    refused 'not found' client_pull_ctr never
    refused 'not found' kubelet_pull "$E/client/app:never" "$USER_NAME" "$PASSWORD"
    refused 'not found' docker pull "$E/client/app:never"
    refused 'manifest unknown' podman pull --quiet "$E/client/app:never"
}

# The machine's own registries.conf lets the registry be used without a look at its
# certificate. That the file of ours forbids it shows that it is read, and holds.
client_registries() {
    local own=/etc/containers/registries.conf ours=/etc/containers/registries.conf.d/50-$CLIENT_NAME.conf
    mkdir -p "$tmp/work/no-authority"
    (
        cp "$own" "$tmp/work/registries.conf"
        trap 'cp "$tmp/work/registries.conf" "$own"; mv "$ours.aside" "$ours" 2>/dev/null || true' EXIT
        printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$E" >>"$own"
        refused "$UNTRUSTED" skopeo inspect --raw --cert-dir "$tmp/work/no-authority" "docker://$E/client/app:multi"
        refused "$UNTRUSTED" podman pull --quiet --cert-dir "$tmp/work/no-authority" "$E/client/app:multi"
        refused "$UNTRUSTED" buildah pull --quiet --cert-dir "$tmp/work/no-authority" "$E/client/app:multi"
        mv "$ours" "$ours.aside"
        skopeo inspect --raw --cert-dir "$tmp/work/no-authority" "docker://$E/client/app:multi"
    )
}

# By the option alone; and with its one word turned, so that it is this file which
# decides.
client_registries_conf() {
    local ours=/etc/containers/registries.conf.d/50-$CLIENT_NAME.conf kept=$tmp/work/50.conf turned=$tmp/work/turned.conf
    (
        trap 'mv "$kept" "$ours"' EXIT
        mv "$ours" "$kept"
        sed 's/^insecure = false$/insecure = true/' "$kept" >"$turned"
        skopeo --registries-conf "$kept" inspect --raw "docker://$E/client/app:multi" >/dev/null
        refused "$UNTRUSTED" skopeo --registries-conf "$kept" inspect --raw \
            --cert-dir "$tmp/work/no-authority" "docker://$E/client/app:multi"
        skopeo --registries-conf "$turned" inspect --raw \
            --cert-dir "$tmp/work/no-authority" "docker://$E/client/app:multi" >/dev/null
    )
}

client_umask() {
    local place
    for place in script folder; do
        rm -rf "$tmp/work/client-$place"
        mkdir -p "$tmp/work/client-$place/etc"
        hosts_without >"$tmp/work/client-$place/etc/hosts"
    done
    (
        umask 077
        ROOT=$tmp/work/client-script sh "$tmp/client.sh"
        kit "$tmp/ca" --output-dir "$tmp/work/client-folder"
    )
    for place in script folder; do
        same "what others can't read of the $place" '' \
            "$(cd "$tmp/work/client-$place/etc" && find . ! -perm -o=r ! -name '*.by-warren' -printf '%P %m\n')"
    done
}

client_foreign() {
    kit "$tmp/foreign-ca" --script >"$tmp/foreign-client.sh"
    sh "$tmp/foreign-client.sh"
    client_refused "$UNTRUSTED"
    sh "$tmp/client.sh"
    client_login podman
}

client_undone() {
    sh "$tmp/client.sh" undo
    same "the files" "$(<"$tmp/client-before")" "$(client_before)"
    rm "/etc/docker/certs.d/$E/ca.crt"
    client_strangers
}
