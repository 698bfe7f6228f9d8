# shellcheck shell=bash
# podman: the test at the end of the notes, word for word, and more.
# shellcheck disable=SC2154

podman_cases() {
    export REGISTRY_AUTH_FILE=$tmp/auth-podman-$EP.json
    storage_make podman
    check "podman $EP: a wrong password is refused" podman_wrong_password
    check "podman $EP: login" podman_login
    check "podman $EP: build, tag, push, remove, pull, compare" podman_round_trip
    check "podman $EP: several platforms: push, remove, pull each" podman_manifest
    check "podman $EP: what skopeo pushed" podman_foreign
    check "podman $EP: list of tags" podman_tags
    if [[ $SCHEME == https ]]; then
        check "podman $EP: a certificate by another authority is refused" refused "$UNTRUSTED" \
            podman pull --quiet --cert-dir "$tmp/foreign-ca" "$E/podman/app:1"
    fi
    check "podman $EP: logout, and a pull is refused" podman_logout
}

podman_wrong_password() {
    refused "$DENIED" podman login "$VERIFY" --username "$USER_NAME" --password-stdin "$E" <<<"wrong"
}

podman_login() {
    printf '%s' "$PASSWORD" | podman login "$VERIFY" --username "$USER_NAME" --password-stdin "$E"
}

# context_make FOLDER TEXT: what an image FROM scratch is built of.
context_make() {
    rm -rf "$1"
    mkdir -p "$1"
    echo "$2" >"$1/hello"
    head -c 3000000 /dev/urandom >"$1/random"
    printf 'FROM scratch\nCOPY hello random /\n' >"$1/Dockerfile"
}

# podman_hello IMAGE: the file /hello of a local image.
podman_hello() {
    local at
    at=$(podman image mount "$1")
    cat "$at/hello"
    podman image unmount "$1" >/dev/null
}

podman_round_trip() {
    local id pushed pulled
    context_make "$tmp/work/podman" "podman over $EP"
    podman build --quiet -t localhost/app:latest "$tmp/work/podman"
    podman tag localhost/app:latest "$E/podman/app:1"
    podman push --quiet "$VERIFY" --digestfile "$tmp/work/digest" "$E/podman/app:1"
    pushed=$(<"$tmp/work/digest")
    same "the registry's digest" "$pushed" \
        "sha256:$(skopeo inspect --raw "$VERIFY" "docker://$E/podman/app:1" | sha256sum | cut -d ' ' -f 1)"
    id=$(podman image inspect --format '{{.Id}}' "$E/podman/app:1")
    podman rmi --all --force
    same "images that are left" 0 "$(podman images --quiet | wc -l)"
    podman pull --quiet "$VERIFY" "$E/podman/app:1"
    pulled=$(podman image inspect --format '{{.Digest}}' "$E/podman/app:1")
    same "the digest that came back" "$pushed" "$pulled"
    same "the image's id" "$id" "$(podman image inspect --format '{{.Id}}' "$E/podman/app:1")"
    same "the file in the image" "podman over $EP" "$(podman_hello "$E/podman/app:1")"
}

podman_manifest() {
    local arch list=localhost/podman-list:1
    podman manifest create "$list"
    for arch in amd64 arm64; do
        context_make "$tmp/work/podman-$arch" "podman for $arch over $EP"
        podman build --quiet --platform "linux/$arch" -t "localhost/app-$arch:1" "$tmp/work/podman-$arch"
        podman manifest add "$list" "containers-storage:localhost/app-$arch:1"
    done
    podman manifest push --quiet --all "$VERIFY" --digestfile "$tmp/work/digest" "$list" "docker://$E/podman/multi:1"
    same "the registry's digest of the index" "$(<"$tmp/work/digest")" \
        "sha256:$(skopeo inspect --raw "$VERIFY" "docker://$E/podman/multi:1" | sha256sum | cut -d ' ' -f 1)"
    podman manifest rm "$list"
    podman rmi --all --force
    for arch in arm64 amd64; do
        podman pull --quiet "$VERIFY" --platform "linux/$arch" "$E/podman/multi:1"
        same "the platform" "$arch" "$(podman image inspect --format '{{.Architecture}}' "$E/podman/multi:1")"
        same "the file in the image" "podman for $arch over $EP" "$(podman_hello "$E/podman/multi:1")"
    done
}

podman_foreign() {
    seed podman/foreign
    podman pull --quiet "$VERIFY" "$E/podman/foreign:multi"
    same "the file in the image" "hello from amd64" "$(podman_hello "$E/podman/foreign:multi")"
    podman pull --quiet "$VERIFY" "$E/podman/foreign@$SINGLE"
}

podman_tags() {
    same "the tags" 'multi single' \
        "$(podman search "$VERIFY" --list-tags "$E/podman/foreign" | awk 'NR > 1 { print $2 }' | sort | xargs)"
}

podman_logout() {
    podman logout "$E"
    podman rmi --all --force
    refused "$DENIED" podman pull --quiet "$VERIFY" "$E/podman/app:1"
}
