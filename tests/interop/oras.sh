# shellcheck shell=bash
# oras: files as artifacts, and artifacts that refer to others.
# shellcheck disable=SC2154

# oras COMMAND... : the switches for the way come last, as every command takes them.
oras() { timeout -k 5 120 oras "$@" "${ORAS_SWITCHES[@]}"; }

oras_cases() {
    export DOCKER_CONFIG=$tmp/oras-$EP
    oras_switches
    mkdir -p "$DOCKER_CONFIG" "$tmp/work/oras"
    check "oras $EP: a wrong password is refused" oras_wrong_password
    check "oras $EP: login" oras_login
    check "oras $EP: files: push, pull, compare" oras_round_trip
    check "oras $EP: referrers: attach, discover" oras_attach
    check "oras $EP: referrers by the tag schema are listed too" oras_tag_schema
    check "oras $EP: a copy from a layout, with what refers to it" oras_copy
    check "oras $EP: one blob, up and down and away" oras_blob
    check "oras $EP: list of tags and of repositories" oras_lists
    check "oras $EP: delete" oras_delete
    if [[ $SCHEME == https ]]; then
        check "oras $EP: a certificate by another authority is refused" oras_untrusted
    fi
    check "oras $EP: logout, and a pull is refused" oras_logout
    unset DOCKER_CONFIG
}

# oras_switches: how the way is told to most commands.
oras_switches() {
    ORAS_SWITCHES=(--ca-file "$tmp/ca/ca.crt")
    if [[ $SCHEME == http ]]; then ORAS_SWITCHES=(--plain-http); fi
}

oras_wrong_password() {
    refused "$DENIED" oras login --username "$USER_NAME" --password-stdin "$E" <<<"wrong"
}

oras_login() {
    printf '%s' "$PASSWORD" | oras login --username "$USER_NAME" --password-stdin "$E"
}

oras_round_trip() {
    cd "$tmp/work/oras" || return
    echo "a note over $EP" >note.txt
    head -c 3000000 /dev/urandom >data.bin
    oras push --artifact-type application/vnd.example.files "$E/oras/files:1,latest" \
        note.txt:text/plain data.bin:application/octet-stream
    rm -rf back
    oras pull --output back "$E/oras/files:latest"
    cmp note.txt back/note.txt
    cmp data.bin back/data.bin
    same "the artifact's type" application/vnd.example.files \
        "$(oras manifest fetch "$E/oras/files:1" | jq -r .artifactType)"
}

# oras_referrers IMAGE TYPE: how many referrers of the type an image has.
oras_referrers() {
    oras discover --format json --artifact-type "$2" "$1" | jq '.referrers // .manifests | length'
}

oras_attach() {
    cd "$tmp/work/oras" || return
    oras attach --artifact-type application/vnd.example.sbom "$E/oras/files:1" note.txt
    oras attach --artifact-type application/vnd.example.scan "$E/oras/files:1" note.txt
    same "the referrers of one type" 1 "$(oras_referrers "$E/oras/files:1" application/vnd.example.sbom)"
    same "the referrers of a type that none has" 0 "$(oras_referrers "$E/oras/files:1" application/vnd.example.none)"
}

# A client that takes the registry for an older one keeps its own index under
# a tag. Clients of the list see what it pushed, and it is told that the index
# is not needed.
oras_tag_schema() {
    local output subject
    cd "$tmp/work/oras" || return
    output=$(oras attach --distribution-spec v1.1-referrers-tag \
        --artifact-type application/vnd.example.older "$E/oras/files:1" note.txt 2>&1)
    subject=$(oras resolve "$E/oras/files:1")
    oras manifest fetch "$E/oras/files:${subject/:/-}"
    same "the referrers of its type" 1 "$(oras_referrers "$E/oras/files:1" application/vnd.example.older)"
    [[ $KIND == warren ]] || return 0
    matches "what the client tells its user" 'lists referrers itself' "$output"
}

oras_copy() {
    local switch=--to-ca-file=$tmp/ca/ca.crt
    [[ $SCHEME == http ]] && switch=--to-plain-http
    ORAS_SWITCHES=()
    oras cp --recursive "$switch" --from-oci-layout "$LAYOUT:multi" "$E/oras/app:multi"
    oras cp --recursive "$switch" "${switch/--to-/--from-}" "$E/oras/files:1" "$E/oras/copy:1"
    oras_switches
    same "the digest of the index" "$MULTI" "$(oras resolve "$E/oras/app:multi")"
    same "the referrers in the second repository" 1 "$(oras_referrers "$E/oras/copy:1" application/vnd.example.sbom)"
}

oras_blob() {
    local digest
    cd "$tmp/work/oras" || return
    oras blob push "$E/oras/blobs" note.txt
    digest=sha256:$(sha256sum note.txt | cut -d ' ' -f 1)
    same "the blob" "a note over $EP" "$(oras blob fetch --output - "$E/oras/blobs@$digest")"
    oras blob delete --force "$E/oras/blobs@$digest"
    refused 'not found|404' oras blob fetch --descriptor "$E/oras/blobs@$digest"
}

oras_lists() {
    same "the tags" '1 latest' "$(oras repo tags --exclude-digest-tags "$E/oras/files" | sort | xargs)"
    matches "the repositories" '^oras/copy$' "$(oras repo ls "$E")"
}

oras_delete() {
    oras manifest delete --force "$E/oras/copy:1"
    refused 'not found|404' oras manifest fetch "$E/oras/copy:1"
    oras manifest fetch --descriptor "$E/oras/files:1"
}

oras_untrusted() {
    ORAS_SWITCHES=(--ca-file "$tmp/foreign-ca/ca.crt")
    refused "$UNTRUSTED" oras repo tags "$E/oras/files"
}

oras_logout() {
    ORAS_SWITCHES=()
    oras logout "$E"
    oras_switches
    refused "$DENIED" oras pull --output "$tmp/work/oras/again" "$E/oras/files:1"
}
