# shellcheck shell=bash
# docker with a real dockerd of the suite's own. The daemon needs no bridge
# and no iptables, since nothing is run: images are built FROM scratch.
# shellcheck disable=SC2154

# The client of the package that dockerd is from. A newer one may lie before
# it in the PATH, and newer ones take ::1 for insecure, where `docker manifest
# push` then speaks plain HTTP to a port that speaks TLS.
docker() { timeout -k 5 120 /usr/bin/docker "$@"; }

# shellcheck source=podman.sh
declare -F context_make >/dev/null || source "$here/podman.sh"

docker_cases() {
    export DOCKER_HOST=unix://$tmp/docker/docker.sock DOCKER_CONFIG=$tmp/docker/config-$EP
    export DOCKER_BUILDKIT=0 DOCKER_CLI_HINTS=false
    if [[ -z ${pids[dockerd]:-} ]]; then
        dockerd_start
        check "dockerd answers" docker version
    fi
    if [[ $SCHEME == https ]]; then
        check "docker $EP: without the authority the registry is refused" docker_untrusted
    fi
    check "docker $EP: a wrong password is refused" docker_wrong_password
    check "docker $EP: login" docker_login
    check "docker $EP: build, tag, push, remove, pull, compare" docker_round_trip
    check "docker $EP: several platforms: push, remove, pull each" docker_manifest
    check "docker $EP: what skopeo pushed, by tag, platform and digest" docker_foreign
    check "docker $EP: logout, and a pull is refused" docker_logout
}

# dockerd_start: a daemon with all of its state in the temporary folder.
dockerd_start() {
    local base=$tmp/docker i
    mkdir -p "$base"
    echo '{}' >"$base/daemon.json"
    # A sandbox without device cgroups is no reason not to pull images.
    dockerd --config-file "$base/daemon.json" --host "unix://$base/docker.sock" \
        --data-root "$base/data" --exec-root "$base/exec" --pidfile "$base/pid" \
        --storage-driver vfs --iptables=false --ip6tables=false --ip-forward=false --bridge none \
        >"$tmp/dockerd.log" 2>&1 </dev/null &
    pids[dockerd]=$!
    for ((i = 0; i < 300; i++)); do
        docker version >/dev/null 2>&1 && return 0
        kill -0 "${pids[dockerd]}" 2>/dev/null || break
        sleep 0.1
    done
}

# docker_untrusted: a foreign authority first, then none; ours is put back.
docker_untrusted() {
    local place=/etc/docker/certs.d/$E/ca.crt
    cp "$tmp/foreign-ca/ca.crt" "$place"
    refused "$UNTRUSTED" docker login --username "$USER_NAME" --password-stdin "$E" <<<"$PASSWORD"
    rm "$place"
    refused "$UNTRUSTED" docker login --username "$USER_NAME" --password-stdin "$E" <<<"$PASSWORD"
    cp "$tmp/ca/ca.crt" "$place"
}

docker_wrong_password() {
    refused "$DENIED" docker login --username "$USER_NAME" --password-stdin "$E" <<<"wrong"
}

docker_login() {
    printf '%s' "$PASSWORD" | docker login --username "$USER_NAME" --password-stdin "$E"
}

# docker_push IMAGE: pushes, prints the digest that the daemon tells.
docker_push() {
    local output
    output=$(docker push "$1") || return
    sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p' <<<"$output"
}

# docker_empty: removes every local image and sees that none is left.
docker_empty() {
    local -a images
    mapfile -t images < <(docker images --all --quiet | sort -u)
    if ((${#images[@]} > 0)); then docker rmi --force "${images[@]}" >/dev/null; fi
    same "images that are left" 0 "$(docker images --quiet | wc -l)"
}

# docker_hello IMAGE [PLATFORM]: the file /hello of a local image.
docker_hello() {
    local container
    container=$(docker create --pull never "${@:2}" "$1" /hello)
    docker cp "$container:/hello" - | tar -xO
    docker rm "$container" >/dev/null
}

docker_round_trip() {
    local id pushed
    context_make "$tmp/work/docker" "docker over $EP"
    docker build --quiet -t app:latest "$tmp/work/docker"
    docker tag app:latest "$E/docker/app:1"
    pushed=$(docker_push "$E/docker/app:1")
    matches "the digest that docker tells" '^sha256:[0-9a-f]{64}$' "$pushed"
    id=$(docker image inspect --format '{{.Id}}' "$E/docker/app:1")
    docker_empty
    docker pull --quiet "$E/docker/app:1"
    same "the digest that came back" "$E/docker/app@$pushed" \
        "$(docker image inspect --format '{{index .RepoDigests 0}}' "$E/docker/app:1")"
    same "the image's id" "$id" "$(docker image inspect --format '{{.Id}}' "$E/docker/app:1")"
    same "the file in the image" "docker over $EP" "$(docker_hello "$E/docker/app:1")"
}

docker_manifest() {
    local arch pushed insecure=()
    [[ $SCHEME == http ]] && insecure=(--insecure)
    for arch in amd64 arm64; do
        context_make "$tmp/work/docker-$arch" "docker for $arch over $EP"
        docker build --quiet --platform "linux/$arch" -t "$E/docker/multi:$arch" "$tmp/work/docker-$arch"
        docker_push "$E/docker/multi:$arch"
    done
    docker manifest create "${insecure[@]}" "$E/docker/multi:1" "$E/docker/multi:amd64" "$E/docker/multi:arm64"
    docker manifest annotate --os linux --arch arm64 "$E/docker/multi:1" "$E/docker/multi:arm64"
    pushed=$(docker manifest push --purge "${insecure[@]}" "$E/docker/multi:1" | tail -n 1)
    same "the registry's digest of the list" "$pushed" \
        "sha256:$(skopeo inspect --raw "$VERIFY" --creds "$USER_NAME:$PASSWORD" "docker://$E/docker/multi:1" | sha256sum | cut -d ' ' -f 1)"
    docker_empty
    for arch in arm64 amd64; do
        docker pull --quiet --platform "linux/$arch" "$E/docker/multi:1"
        same "the platform" "$arch" "$(docker image inspect --format '{{.Architecture}}' "$E/docker/multi:1")"
        same "the file in the image" "docker for $arch over $EP" \
            "$(docker_hello "$E/docker/multi:1" --platform "linux/$arch")"
        docker_empty
    done
}

docker_foreign() {
    seed docker/foreign
    docker pull --quiet "$E/docker/foreign:single"
    same "the file in the image" "hello from amd64" "$(docker_hello "$E/docker/foreign:single")"
    docker_empty
    docker pull --quiet --platform linux/arm64 "$E/docker/foreign:multi"
    same "the platform" arm64 "$(docker image inspect --format '{{.Architecture}}' "$E/docker/foreign:multi")"
    docker_empty
    docker pull --quiet "$E/docker/foreign@$SINGLE"
    docker_empty
}

docker_logout() {
    docker logout "$E"
    refused "$DENIED" docker pull "$E/docker/app:1"
}
