# shellcheck shell=bash
# buildah: images and indexes made and pushed without a container engine.
# shellcheck disable=SC2154


buildah_cases() {
    export REGISTRY_AUTH_FILE=$tmp/auth-buildah-$EP.json
    storage_make buildah
    check "buildah $EP: a wrong password is refused" buildah_wrong_password
    check "buildah $EP: login" buildah_login
    check "buildah $EP: from scratch, push, remove, pull, compare" buildah_round_trip
    check "buildah $EP: several platforms: push, remove, pull each" buildah_manifest
    if [[ $SCHEME == https ]]; then
        check "buildah $EP: a certificate by another authority is refused" refused "$UNTRUSTED" \
            buildah pull --quiet --cert-dir "$tmp/foreign-ca" "$E/buildah/app:1"
    fi
    check "buildah $EP: logout, and a pull is refused" buildah_logout
}

buildah_wrong_password() {
    refused "$DENIED" buildah login "$VERIFY" --username "$USER_NAME" --password-stdin "$E" <<<"wrong"
}

buildah_login() {
    printf '%s' "$PASSWORD" | buildah login "$VERIFY" --username "$USER_NAME" --password-stdin "$E"
}

# buildah_image NAME ARCHITECTURE TEXT: commits an image with the one file.
buildah_image() {
    local container
    container=$(buildah from scratch)
    echo "$3" >"$tmp/work/hello"
    buildah copy --quiet "$container" "$tmp/work/hello" /hello >/dev/null
    buildah config --os linux --arch "$2" "$container"
    buildah commit --quiet --rm "$container" "$1"
}

# buildah_hello IMAGE: the file /hello of an image.
buildah_hello() {
    local container
    container=$(buildah from --pull-never "$1")
    cat "$(buildah mount "$container")/hello"
    buildah rm "$container" >/dev/null
}

buildah_round_trip() {
    local id pushed
    buildah_image "$E/buildah/app:1" amd64 "buildah over $EP"
    id=$(buildah inspect --type image --format '{{.FromImageID}}' "$E/buildah/app:1")
    buildah push --quiet "$VERIFY" --digestfile "$tmp/work/digest" "$E/buildah/app:1" "docker://$E/buildah/app:1"
    pushed=$(<"$tmp/work/digest")
    buildah rmi --all --force
    same "images that are left" 0 "$(buildah images --quiet | wc -l)"
    buildah pull --quiet "$VERIFY" "$E/buildah/app:1"
    same "the digest that came back" "$pushed" \
        "$(buildah images --format '{{.Digest}}' "$E/buildah/app:1")"
    same "the image's id" "$id" "$(buildah inspect --type image --format '{{.FromImageID}}' "$E/buildah/app:1")"
    same "the file in the image" "buildah over $EP" "$(buildah_hello "$E/buildah/app:1")"
}

buildah_manifest() {
    local arch list=localhost/buildah-list:1
    buildah manifest create "$list"
    for arch in amd64 arm64; do
        buildah_image "localhost/app-$arch:1" "$arch" "buildah for $arch over $EP"
        buildah manifest add "$list" "containers-storage:localhost/app-$arch:1"
    done
    buildah manifest push --quiet --all "$VERIFY" --digestfile "$tmp/work/digest" "$list" "docker://$E/buildah/multi:1"
    same "the registry's digest of the index" "$(<"$tmp/work/digest")" \
        "sha256:$(skopeo inspect --raw "$VERIFY" "docker://$E/buildah/multi:1" | sha256sum | cut -d ' ' -f 1)"
    buildah manifest rm "$list"
    buildah rmi --all --force
    for arch in arm64 amd64; do
        buildah pull --quiet "$VERIFY" --platform "linux/$arch" "$E/buildah/multi:1"
        same "the file in the image" "buildah for $arch over $EP" "$(buildah_hello "$E/buildah/multi:1")"
    done
}

buildah_logout() {
    buildah logout "$E"
    buildah rmi --all --force
    refused "$DENIED" buildah pull --quiet "$VERIFY" "$E/buildah/app:1"
}
