# shellcheck shell=bash
# What the clients' files share: how a case is run and counted, the servers,
# the private authority, and an image made of nothing but files.
# shellcheck disable=SC2154 # tmp and root are set by run

DOMAIN=paasregistry.lapin.io
# What the environments say that the domain resolves to.
ADDRESS=192.168.1.250
USER_NAME=trow-pass
# With the two characters that clients and servers get wrong.
PASSWORD='s3cr3t:p@55'
KIND=${INTEROP_REGISTRY:-warren}
BINARY=${WARREN_REGISTRY:-${CARGO_TARGET_DIR:-$root/target}/release/warren-registry}

passed=0
failed=0
LOGS=
declare -A pids=()

# free_port: a port of loopback that nobody has.
free_port() { "${python:-python3}" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

heading() { printf '\n-- %s\n' "$1"; }

# check NAME COMMAND...: one case. It runs in a subshell that stops at the
# first failing command; its output is shown only when it fails.
check() {
    local name=$1 log=$tmp/case.log rc start=$EPOCHREALTIME one
    shift
    (
        set -e
        "$@"
    ) >"$log" 2>&1 </dev/null
    rc=$?
    local took=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
    if ((rc == 0)); then
        passed=$((passed + 1))
        printf 'ok   %s (%d ms)\n' "$name" "$took"
    else
        failed=$((failed + 1))
        printf 'FAIL %s: exit code %d after %d ms\n' "$name" "$rc" "$took"
        tail -n 40 "$log" | sed 's/^/     | /'
        for one in $LOGS; do
            printf '     log of %s:\n' "$one"
            tail -n 8 "$tmp/$one.log" | cut -c 1-400 | sed 's/^/     | /'
        done
    fi
}

# same WHAT EXPECTED ACTUAL: fails and says both when they differ.
same() {
    if [[ $2 != "$3" ]]; then
        printf '%s\n  expected: %s\n  found:    %s\n' "$1" "$2" "$3"
        return 1
    fi
}

# matches WHAT PATTERN TEXT: fails and says both when the text has no match.
matches() {
    if ! grep -Eqi -- "$2" <<<"$3"; then
        printf '%s\n  expected to match: %s\n  found: %s\n' "$1" "$2" "$3"
        return 1
    fi
}

# refused PATTERN COMMAND...: the command must fail, and for the reason that
# the pattern names: a client that can't run at all is no refusal.
refused() {
    local pattern=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf 'this was accepted and should not have been: %s\n%s\n' "$*" "$output"
        return 1
    fi
    matches "refused, but not for the expected reason: $*" "$pattern" "$output"
}

# The clients, each with a limit, so that a server which hangs is a failure.
skopeo() { timeout -k 5 120 skopeo "$@"; }
podman() { timeout -k 5 120 podman "$@"; }
buildah() { timeout -k 5 120 buildah "$@"; }
curl() { command curl --silent --show-error --max-time 60 "$@"; }

# What clients say when they are not let in.
DENIED='unauthorized|authentication required|401|invalid username|denied|no basic auth|credential not found'
# What they say of a certificate which they have no reason to believe.
UNTRUSTED='x509: certificate|SSL certificate'

# house_make: a world of the suite's own: its loopback, its /etc, its /run.
house_make() {
    set -e
    ip link set lo up
    # Where the environments' addresses lead: to this machine, but not to 127.0.0.0/8.
    ip address add "$ADDRESS/32" dev lo
    cp -a /etc "$tmp/etc"
    mount --bind "$tmp/etc" /etc
    mount -t tmpfs tmpfs /run
    mkdir -p /run/lock
    # dockerd takes any name which leads to 127.0.0.0/8 for insecure, and would
    # prove nothing about the authority. It has no such rule for ::1.
    printf '127.0.0.1 localhost\n::1 %s\n' "$DOMAIN" >/etc/hosts
    : >/etc/resolv.conf
    mkdir -p "$tmp/home" "$tmp/work"
    export HOME=$tmp/home XDG_RUNTIME_DIR=/run TMPDIR=$tmp/work
    export no_proxy='*' NO_PROXY='*'
    unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
    printf '%s\n' "$PASSWORD" >"$tmp/password"
    set +e
}

# authority_make FOLDER: a private authority: ca.crt and key.pem. A folder with a
# ca.key is refused by the podman family as a client's certificate that is half
# there, before it looks at any authority.
authority_make() {
    mkdir -p "$1" &&
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -subj "/CN=interop ${1##*/}" -addext 'keyUsage=critical,keyCertSign,cRLSign' \
            -keyout "$1/key.pem" -out "$1/ca.crt" 2>/dev/null
}

# certificate_make: one certificate for every name that the suite uses.
certificate_make() {
    cat >"$tmp/san" <<EOF
subjectAltName=DNS:$DOMAIN,DNS:git.example,DNS:localhost,IP:127.0.0.1,IP:::1
extendedKeyUsage=serverAuth
basicConstraints=critical,CA:FALSE
EOF
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$DOMAIN" \
        -keyout "$tmp/key.pem" -out "$tmp/csr.pem" 2>/dev/null &&
        openssl x509 -req -in "$tmp/csr.pem" -CA "$tmp/ca/ca.crt" -CAkey "$tmp/ca/key.pem" \
            -CAcreateserial -days 2 -extfile "$tmp/san" -out "$tmp/cert.pem" 2>/dev/null
}

# trust HOST FOLDER: as an operator tells the clients of a private authority.
trust() {
    local place
    for place in /etc/containers/certs.d /etc/docker/certs.d; do
        mkdir -p "$place/$1"
        cp "$2/ca.crt" "$place/$1/ca.crt"
    done
}

# storage_make NAME: a store of images of the suite's own for the podman family.
storage_make() {
    local base=$tmp/storage-$1
    mkdir -p "$base"
    cat >"$base/storage.conf" <<EOF
[storage]
driver = "vfs"
graphroot = "$base/graph"
runroot = "$base/run"
EOF
    cat >"$base/containers.conf" <<EOF
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$base/tmp"
EOF
    # A file of podman's past, which would overrule the one above.
    rm -f /etc/containers/libpod.conf
    export CONTAINERS_STORAGE_CONF=$base/storage.conf CONTAINERS_CONF=$base/containers.conf
    export BUILDAH_ISOLATION=chroot
}

# endpoint_choose NAME: sets E (host and port as clients name it), SCHEME, and
# VERIFY, the switch of the podman family.
endpoint_choose() {
    EP=$1
    case $1 in
    tls) E=$DOMAIN:8443 SCHEME=https ;;
    http) E=localhost:8000 SCHEME=http ;;
    ingress) E=$DOMAIN SCHEME=https ;;
    esac
    # Whose last lines a failure shows beside its own.
    LOGS=$EP
    [[ $EP == ingress ]] && LOGS='nginx http'
    VERIFY=--tls-verify=true
    if [[ $SCHEME == https ]]; then trust "$E" "$tmp/ca"; else VERIFY=--tls-verify=false; fi
    LAYOUT=$tmp/layout
}

# registry_start NAME PORT [FLAG...]: starts a server (over TLS when the name begins
# with tls) and waits for its first answer. Its data stays for a second start. The
# flags are Warren's.
registry_start() {
    local name=$1 port=$2 scheme=http data=$tmp/data-$1
    local -a command=()
    mkdir -p "$data"
    [[ $name == tls* ]] && scheme=https
    case $KIND in
    warren)
        command=("$BINARY" --bind "[::]:$port" --data-dir "$data" --hostname "$DOMAIN"
            --user "$USER_NAME" --password "file://$tmp/password")
        [[ $scheme == https ]] && command+=("--tls=$tmp/cert.pem,$tmp/key.pem")
        command+=("${@:3}")
        ;;
    distribution)
        distribution_config "$port" "$scheme" "$data" >"$tmp/$name.yml"
        command=(docker-registry serve "$tmp/$name.yml")
        ;;
    *)
        echo "INTEROP_REGISTRY is warren or distribution, not $KIND" >&2
        return 1
        ;;
    esac
    # docker-registry takes every variable REGISTRY_… for a setting of its own.
    env -u REGISTRY_AUTH_FILE "${command[@]}" >>"$tmp/$name.log" 2>&1 </dev/null &
    pids[$name]=$!
    wait_for "$name" "$scheme://localhost:$port/v2/"
}

# distribution_config PORT SCHEME DATA: the same server by Debian's package.
distribution_config() {
    [[ -f $tmp/htpasswd ]] || htpasswd -nbB "$USER_NAME" "$PASSWORD" >"$tmp/htpasswd"
    cat <<EOF
version: 0.1
log: { level: info }
storage:
  filesystem: { rootdirectory: $3 }
  delete: { enabled: true }
auth: { htpasswd: { realm: interop, path: $tmp/htpasswd } }
http:
  addr: ":$1"
EOF
    if [[ $2 == https ]]; then
        echo "  tls: { certificate: $tmp/cert.pem, key: $tmp/key.pem }"
    fi
}

# wait_until COMMAND...: for ten seconds at most.
wait_until() {
    local i
    for ((i = 0; i < 100; i++)); do
        if "$@"; then return 0; fi
        sleep 0.1
    done
    return 1
}

# wait_for NAME URL: until the URL answers, or the server is gone, or 20 s.
wait_for() {
    local i
    for ((i = 0; i < 200; i++)); do
        if ! kill -0 "${pids[$1]}" 2>/dev/null; then break; fi
        if command curl --silent --cacert "$tmp/ca/ca.crt" --max-time 2 -o /dev/null "$2"; then return 0; fi
        sleep 0.1
    done
    echo "the server $1 gives no answer at $2; its log:" >&2
    tail -n 20 "$tmp/$1.log" >&2
    return 1
}

# registry_stop NAME: SIGTERM; the result is the server's exit code.
registry_stop() {
    local pid=${pids[$1]}
    unset "pids[$1]"
    kill -TERM "$pid" && wait "$pid"
}

# stop_all: what this shell started and what still runs, by its id. The end of
# the namespace takes whatever these leave behind.
stop_all() {
    local name
    for name in "${!pids[@]}"; do kill -TERM "${pids[$name]}" 2>/dev/null; done
    for name in "${!pids[@]}"; do wait "${pids[$name]}" 2>/dev/null; done
    pids=()
}

no_panic() {
    if grep -n 'panicked at' "$tmp"/tls.log "$tmp"/http.log; then return 1; fi
}

# nginx_start: TLS ends here, as at the ingress of the notes: port 80 leads to
# 443, which speaks plain HTTP with the registry behind it. Port 9443 also
# hides the client's Host, so that only X-Forwarded-Host tells it.
nginx_start() {
    local headers='
            proxy_pass http://127.0.0.1:8000;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_read_timeout 600s;
            proxy_send_timeout 600s;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;'
    mkdir -p "$tmp/nginx"
    cat >"$tmp/nginx.conf" <<EOF
daemon off;
user nobody nogroup;
worker_processes 1;
pid $tmp/nginx/pid;
error_log stderr warn;
events {}
http {
    access_log off;
    client_max_body_size 0;
    client_body_temp_path $tmp/nginx/body;
    proxy_temp_path $tmp/nginx/proxy;
    fastcgi_temp_path $tmp/nginx/fastcgi;
    uwsgi_temp_path $tmp/nginx/uwsgi;
    scgi_temp_path $tmp/nginx/scgi;
    ssl_certificate $tmp/cert.pem;
    ssl_certificate_key $tmp/key.pem;
    server {
        listen [::]:80 ipv6only=off;
        return 308 https://\$host\$request_uri;
    }
    server {
        listen [::]:443 ipv6only=off ssl http2;
        server_name $DOMAIN;
        location / { $headers
            proxy_set_header Host \$http_host;
        }
    }
    server {
        listen [::]:9443 ipv6only=off ssl http2;
        server_name $DOMAIN;
        location / { $headers
            proxy_set_header Host trow-svc:8000;
        }
    }
}
EOF
    nginx -c "$tmp/nginx.conf" >>"$tmp/nginx.log" 2>&1 &
    pids[nginx]=$!
    wait_for nginx "https://localhost/v2/"
}

# blob_put LAYOUT FILE: moves the file to where its digest says, prints
# "digest size".
blob_put() {
    local hex size
    hex=$(sha256sum "$2" | cut -d ' ' -f 1)
    size=$(stat -c %s "$2")
    mv "$2" "$1/blobs/sha256/$hex"
    echo "sha256:$hex $size"
}

# layout_make FOLDER [BYTES]: an OCI layout with two platforms, made of files alone.
# Tag `single` is its amd64 image, tag `multi` the index of both. One layer is
# large and random, so that uploads take more than one packet.
layout_make() {
    set -e
    local layout=$1 work=$tmp/work/layout arch big small config manifest index digest size
    local -a manifests=()
    mkdir -p "$layout/blobs/sha256" "$work"
    echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    head -c "${2:-12000000}" /dev/urandom >"$work/random"
    tar -C "$work" --owner=0 --group=0 --mtime=@0 -cf "$work/big.tar" random
    local big_diff
    big_diff=$(sha256sum "$work/big.tar" | cut -d ' ' -f 1)
    gzip -n "$work/big.tar"
    big=$(blob_put "$layout" "$work/big.tar.gz")
    for arch in amd64 arm64; do
        echo "hello from $arch" >"$work/hello"
        tar -C "$work" --owner=0 --group=0 --mtime=@0 -cf "$work/small.tar" hello
        local small_diff
        small_diff=$(sha256sum "$work/small.tar" | cut -d ' ' -f 1)
        gzip -n "$work/small.tar"
        small=$(blob_put "$layout" "$work/small.tar.gz")
        jq -cn --arg arch "$arch" --arg big "sha256:$big_diff" --arg small "sha256:$small_diff" \
            '{architecture: $arch, os: "linux", config: {}, rootfs: {type: "layers", diff_ids: [$big, $small]}}' \
            >"$work/config"
        config=$(blob_put "$layout" "$work/config")
        jq -cn --arg config "$config" --arg big "$big" --arg small "$small" '
            def descriptor(type): split(" ") | {mediaType: ("application/vnd.oci.image." + type), digest: .[0], size: (.[1] | tonumber)};
            {schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
             config: ($config | descriptor("config.v1+json")),
             layers: [($big, $small) | descriptor("layer.v1.tar+gzip")]}' >"$work/manifest"
        manifest=$(blob_put "$layout" "$work/manifest")
        read -r digest size <<<"$manifest"
        manifests+=("$(jq -cn --arg digest "$digest" --argjson size "$size" --arg arch "$arch" \
            '{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $digest, size: $size,
              platform: {architecture: $arch, os: "linux"}}')")
        [[ $arch == amd64 ]] && SINGLE=$digest
        [[ $arch == arm64 ]] && ARM=$digest
    done
    printf '%s\n' "${manifests[@]}" | jq -cs \
        '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: .}' >"$work/index"
    index=$(blob_put "$layout" "$work/index")
    read -r MULTI size <<<"$index"
    jq -cn --argjson single "${manifests[0]}" --arg multi "$MULTI" --argjson size "$size" '
        def named(name): . + {annotations: {"org.opencontainers.image.ref.name": name}};
        {schemaVersion: 2, manifests: [($single | del(.platform) | named("single")),
            ({mediaType: "application/vnd.oci.image.index.v1+json", digest: $multi, size: $size} | named("multi"))]}' \
        >"$layout/index.json"
    rm -r "$work"
    BIG=${big% *}
    set +e
}

# seed REPOSITORY: pushes both tags of the layout, for cases which need
# something to be there and are not about pushing it.
seed() {
    local tag
    for tag in single multi; do
        skopeo copy --quiet --all --preserve-digests "--dest-$(verify_word)" \
            --dest-creds "$USER_NAME:$PASSWORD" "oci:$LAYOUT:$tag" "docker://$E/$1:$tag"
    done
}

# verify_word: VERIFY without its dashes, for skopeo's --src- and --dest-.
verify_word() { echo "${VERIFY#--}"; }
