# shellcheck shell=bash
# crane, of go-containerregistry: what many build tools push with.
# shellcheck disable=SC2154

crane() { timeout -k 5 120 crane ${CRANE_SWITCH:+"$CRANE_SWITCH"} "$@"; }

crane_cases() {
    export DOCKER_CONFIG=$tmp/crane-$EP SSL_CERT_FILE=$tmp/ca/ca.crt
    CRANE_SWITCH=
    # Two of the ways lead to one server, and a blob is mounted once.
    CRANE_COPY=$E/crane-$EP/copy
    [[ $SCHEME == http ]] && CRANE_SWITCH=--insecure
    mkdir -p "$DOCKER_CONFIG"
    check "crane $EP: a wrong password is refused" crane_wrong_password
    check "crane $EP: a push without a login is refused" refused "$DENIED" \
        crane push --index "$LAYOUT" "$E/crane/app:all"
    check "crane $EP: login" crane_login
    check "crane $EP: push, pull, compare" crane_round_trip
    check "crane $EP: every layer has its digest" crane validate --remote "$E/crane/app:all"
    check "crane $EP: a copy to another repository" crane_copy
    [[ $KIND == warren ]] && check "crane $EP: the copy mounted every blob and uploaded none" crane_mounted
    check "crane $EP: list of tags and of repositories" crane_lists
    check "crane $EP: delete" crane_delete
    if [[ $SCHEME == https ]]; then
        check "crane $EP: a certificate by another authority is refused" crane_untrusted
    fi
    check "crane $EP: logout, and a pull is refused" crane_logout
    unset DOCKER_CONFIG SSL_CERT_FILE
}

crane_wrong_password() {
    crane auth login --username "$USER_NAME" --password-stdin "$E" <<<"wrong"
    refused "$DENIED" crane ls "$E/crane/app"
    crane auth logout "$E"
}

crane_login() {
    printf '%s' "$PASSWORD" | crane auth login --username "$USER_NAME" --password-stdin "$E"
}

# The layout's own index goes as it is, with an image and an index in it.
crane_round_trip() {
    local back=$tmp/work/crane-back index file
    crane push --index "$LAYOUT" "$E/crane/app:all"
    index=sha256:$(sha256sum "$LAYOUT/index.json" | cut -d ' ' -f 1)
    same "the digest that the registry tells" "$index" "$(crane digest "$E/crane/app:all")"
    same "the bytes of the index" "$(<"$LAYOUT/index.json")" "$(crane manifest "$E/crane/app:all")"
    rm -rf "$back"
    crane pull --format oci "$E/crane/app:all" "$back"
    for file in "$LAYOUT"/blobs/sha256/*; do
        cmp "$file" "$back/blobs/sha256/${file##*/}"
    done
    crane blob "$E/crane/app@$BIG" | cmp - "$LAYOUT/blobs/sha256/${BIG#sha256:}"
}

crane_copy() {
    crane copy "$E/crane/app@$MULTI" "$CRANE_COPY:multi"
    same "the digest in the second repository" "$MULTI" "$(crane digest "$CRANE_COPY:multi")"
    crane tag "$CRANE_COPY:multi" second
    same "the digest under the second tag" "$MULTI" "$(crane digest "$CRANE_COPY:second")"
}

# What the server says of the copy: each blob of the images was mounted, and none was
# uploaded, nor was an upload begun.
crane_mounted() {
    local log=$tmp/${LOGS##* }.log name=${CRANE_COPY#*/} blobs
    blobs=$(crane_blobs)
    matches "the blobs of the images" '^sha256:[0-9a-f]{64}$' "$blobs"
    same "the blobs that were mounted" "$blobs" \
        "$(sed -n "s|.* action=\"mount_blob\" .* repository=\"$name\" digest=\"\([^\"]*\)\" .* status=201 .*|\1|p" "$log" | sort)"
    same "the requests that brought something or asked for a mount" \
        "$(sed 's|.*|POST 201|' <<<"$blobs")" \
        "$(sed -n "s#.* method=\(POST\|PUT\|PATCH\) path=\"/v2/$name/blobs/[^\"]*\" status=\([0-9]*\) .*#\1 \2#p" "$log")"
}

# crane_blobs: the digests of the configurations and layers of both images, sorted.
crane_blobs() {
    local image
    for image in "$SINGLE" "$ARM"; do
        jq -r '.config.digest, .layers[].digest' "$LAYOUT/blobs/sha256/${image#sha256:}"
    done | sort -u
}

crane_lists() {
    same "the tags" 'multi second' "$(crane ls "$CRANE_COPY" | sort | xargs)"
    matches "the repositories" "^${CRANE_COPY#*/}\$" "$(crane catalog "$E")"
}

crane_delete() {
    if [[ $KIND == warren ]]; then
        crane delete "$CRANE_COPY:second"
        refused 'MANIFEST_UNKNOWN|404' crane digest "$CRANE_COPY:second"
    fi
    crane delete "$CRANE_COPY@$MULTI"
    refused 'MANIFEST_UNKNOWN|404' crane manifest "$CRANE_COPY@$MULTI"
    # The same digest in another repository is not touched by it.
    crane validate --fast --remote "$E/crane/app@$MULTI"
}

crane_untrusted() {
    export SSL_CERT_FILE=$tmp/foreign-ca/ca.crt
    refused "$UNTRUSTED" crane ls "$E/crane/app"
}

crane_logout() {
    crane auth logout "$E"
    refused "$DENIED" crane pull "$E/crane/app:all" "$tmp/work/crane.tar"
}
