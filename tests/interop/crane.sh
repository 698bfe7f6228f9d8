# shellcheck shell=bash
# crane, of go-containerregistry: what many build tools push with.
# shellcheck disable=SC2154

crane() { timeout -k 5 120 crane ${CRANE_SWITCH:+"$CRANE_SWITCH"} "$@"; }

crane_cases() {
    export DOCKER_CONFIG=$tmp/crane-$EP SSL_CERT_FILE=$tmp/ca/ca.crt
    CRANE_SWITCH=
    [[ $SCHEME == http ]] && CRANE_SWITCH=--insecure
    mkdir -p "$DOCKER_CONFIG"
    check "crane $EP: a wrong password is refused" crane_wrong_password
    check "crane $EP: a push without a login is refused" refused "$DENIED" \
        crane push --index "$LAYOUT" "$E/crane/app:all"
    check "crane $EP: login" crane_login
    check "crane $EP: push, pull, compare" crane_round_trip
    check "crane $EP: every layer has its digest" crane validate --remote "$E/crane/app:all"
    check "crane $EP: a copy to another repository, by mounts" crane_copy
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
    crane copy "$E/crane/app@$MULTI" "$E/crane/copy:multi"
    same "the digest in the second repository" "$MULTI" "$(crane digest "$E/crane/copy:multi")"
    crane tag "$E/crane/copy:multi" second
    same "the digest under the second tag" "$MULTI" "$(crane digest "$E/crane/copy:second")"
}

crane_lists() {
    same "the tags" 'multi second' "$(crane ls "$E/crane/copy" | sort | xargs)"
    matches "the repositories" '^crane/copy$' "$(crane catalog "$E")"
}

crane_delete() {
    if [[ $KIND == warren ]]; then
        crane delete "$E/crane/copy:second"
        refused 'MANIFEST_UNKNOWN|404' crane digest "$E/crane/copy:second"
    fi
    crane delete "$E/crane/copy@$MULTI"
    refused 'MANIFEST_UNKNOWN|404' crane manifest "$E/crane/copy@$MULTI"
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
