# shellcheck shell=bash
# skopeo: the client that shows digests and manifests as they are.
# shellcheck disable=SC2154,SC2153

skopeo_cases() {
    export REGISTRY_AUTH_FILE=$tmp/auth-skopeo-$EP.json
    SRC=--src-$(verify_word) DST=--dest-$(verify_word)
    check "skopeo $EP: a wrong password is refused" skopeo_wrong_password
    check "skopeo $EP: a push without a login is refused" refused "$DENIED" \
        skopeo copy --quiet "$DST" "oci:$LAYOUT:single" "docker://$E/skopeo/app:single"
    check "skopeo $EP: login" skopeo_login
    check "skopeo $EP: push, pull, compare digests and bytes" skopeo_round_trip single "$SINGLE"
    check "skopeo $EP: several platforms: push, pull, compare" skopeo_round_trip multi "$MULTI"
    check "skopeo $EP: the index gives each platform its image" skopeo_platform
    check "skopeo $EP: a pull by digest" skopeo_by_digest
    check "skopeo $EP: a copy from repository to repository" skopeo_between
    check "skopeo $EP: Docker's schema 2" skopeo_schema2
    check "skopeo $EP: zstd layers" skopeo_zstd
    check "skopeo $EP: list of tags" skopeo_tags
    check "skopeo $EP: delete" skopeo_delete
    check "skopeo $EP: what was never pushed is unknown" refused 'manifest unknown|name unknown|404|not found' \
        skopeo inspect "$VERIFY" "docker://$E/skopeo/app:never"
    if [[ $SCHEME == https ]]; then
        check "skopeo $EP: a certificate by another authority is refused" refused "$UNTRUSTED" \
            skopeo inspect --cert-dir "$tmp/foreign-ca" "docker://$E/skopeo/app:single"
    else
        # The words show that a TLS greeting was answered with an HTTP status line.
        # `docker manifest` turns to plain HTTP on just these words.
        check "skopeo $EP: plain HTTP only when asked for" refused 'HTTP response to HTTPS client' \
            skopeo inspect --tls-verify=true "docker://$E/skopeo/app:single"
    fi
    if [[ $EP == tls ]]; then
        check "skopeo $EP: the loopback address by its number" skopeo_by_address
    fi
    check "skopeo $EP: logout, and a pull is refused" skopeo_logout
}

skopeo_wrong_password() {
    refused "$DENIED" skopeo login "$VERIFY" --username "$USER_NAME" --password-stdin "$E" <<<"wrong"
}

skopeo_login() {
    printf '%s' "$PASSWORD" | skopeo login "$VERIFY" --username "$USER_NAME" --password-stdin "$E"
}

# skopeo_round_trip TAG DIGEST: out, back into an empty layout, and every file
# of what came back is the one that went.
skopeo_round_trip() {
    local back=$tmp/work/back file
    skopeo copy --quiet --all --preserve-digests "$DST" "oci:$LAYOUT:$1" "docker://$E/skopeo/app:$1"
    same "the digest that the registry tells" "$2" \
        "sha256:$(skopeo inspect --raw "$VERIFY" "docker://$E/skopeo/app:$1" | sha256sum | cut -d ' ' -f 1)"
    rm -rf "$back"
    skopeo copy --quiet --all --preserve-digests "$SRC" "docker://$E/skopeo/app:$1" "oci:$back:back"
    same "the digest that came back" "$2" "$(jq -r '.manifests[0].digest' "$back/index.json")"
    for file in "$back"/blobs/sha256/*; do
        cmp "$file" "$LAYOUT/blobs/sha256/${file##*/}"
    done
    [[ -f $back/blobs/sha256/${BIG#sha256:} ]]
}

skopeo_platform() {
    local arch found
    for arch in amd64 arm64; do
        found=$(skopeo --override-os linux --override-arch "$arch" inspect --config "$VERIFY" \
            "docker://$E/skopeo/app:multi" | jq -r .architecture)
        same "the platform" "$arch" "$found"
    done
}

skopeo_by_digest() {
    same "the digest" "$ARM" \
        "sha256:$(skopeo inspect --raw "$VERIFY" "docker://$E/skopeo/app@$ARM" | sha256sum | cut -d ' ' -f 1)"
}

skopeo_between() {
    skopeo copy --quiet --all --preserve-digests "$SRC" "$DST" \
        "docker://$E/skopeo/app:multi" "docker://$E/skopeo/deep/er/copy:multi"
    same "the digest in the second repository" "$MULTI" \
        "sha256:$(skopeo inspect --raw "$VERIFY" "docker://$E/skopeo/deep/er/copy:multi" | sha256sum | cut -d ' ' -f 1)"
}

skopeo_schema2() {
    skopeo copy --quiet --format v2s2 "$DST" "oci:$LAYOUT:single" "docker://$E/skopeo/schema2:one"
    same "the media type" application/vnd.docker.distribution.manifest.v2+json \
        "$(skopeo inspect --raw "$VERIFY" "docker://$E/skopeo/schema2:one" | jq -r .mediaType)"
    rm -rf "$tmp/work/v2s2"
    skopeo copy --quiet "$SRC" "docker://$E/skopeo/schema2:one" "dir:$tmp/work/v2s2"
    cmp "$tmp/work/v2s2/${BIG#sha256:}" "$LAYOUT/blobs/sha256/${BIG#sha256:}"
}

skopeo_zstd() {
    skopeo copy --quiet --dest-compress-format zstd "$DST" "oci:$LAYOUT:single" "docker://$E/skopeo/zstd:one"
    rm -rf "$tmp/work/zstd"
    skopeo copy --quiet "$SRC" "docker://$E/skopeo/zstd:one" "oci:$tmp/work/zstd:one"
}

skopeo_tags() {
    same "the tags" 'multi single' \
        "$(skopeo list-tags "$VERIFY" "docker://$E/skopeo/app" | jq -r '.Tags | sort | join(" ")')"
}

skopeo_delete() {
    skopeo delete "$VERIFY" "docker://$E/skopeo/deep/er/copy:multi"
    refused 'manifest unknown|404|not found' skopeo inspect --raw "$VERIFY" "docker://$E/skopeo/deep/er/copy:multi"
    # The same digest in another repository is not touched by it.
    skopeo inspect --raw "$VERIFY" "docker://$E/skopeo/app:multi"
    rm -rf "$tmp/work/after"
    skopeo copy --quiet --all "$SRC" "docker://$E/skopeo/app:multi" "oci:$tmp/work/after:multi"
}

skopeo_by_address() {
    local host
    for host in 127.0.0.1:8443 localhost:8443; do
        trust "$host" "$tmp/ca"
        skopeo inspect --creds "$USER_NAME:$PASSWORD" --raw "docker://$host/skopeo/app:single"
    done
}

skopeo_logout() {
    skopeo logout "$E"
    refused "$DENIED" skopeo inspect "$VERIFY" "docker://$E/skopeo/app:single"
}
