# shellcheck shell=bash
# cosign: signatures with a local key. No service outside is asked: no log, no
# certificate authority, no time stamp.
# shellcheck disable=SC2154

cosign() { timeout -k 5 120 cosign "$@"; }

cosign_cases() {
    export DOCKER_CONFIG=$tmp/cosign-$EP COSIGN_PASSWORD=nothing SSL_CERT_FILE=$tmp/ca/ca.crt
    COSIGN_SWITCHES=(--registry-cacert "$tmp/ca/ca.crt")
    [[ $SCHEME == http ]] && COSIGN_SWITCHES=(--allow-http-registry)
    mkdir -p "$DOCKER_CONFIG"
    if [[ ! -f $tmp/cosign/cosign.key ]]; then
        check "cosign: a pair of keys" cosign_keys
    fi
    check "cosign $EP: an image to sign" seed "cosign-$EP/app"
    check "cosign $EP: without a login nothing is signed" refused "$DENIED" cosign_sign "@$SINGLE"
    check "cosign $EP: login" cosign_login
    check "cosign $EP: an image without a signature is refused" refused 'no signatures|no matching' \
        cosign_verify cosign "@$SINGLE"
    check "cosign $EP: sign, verify" cosign_round_trip
    [[ $KIND == warren ]] && check "cosign $EP: the signature refers to its image" cosign_refers
    check "cosign $EP: another key is refused" refused 'invalid signature|no matching|no signatures' \
        cosign_verify other "@$SINGLE"
    check "cosign $EP: sign an index, and all that is in it" cosign_index
    check "cosign $EP: attest, verify" cosign_attest
    check "cosign $EP: a signature by tag, as before referrers" cosign_legacy
    unset DOCKER_CONFIG COSIGN_PASSWORD SSL_CERT_FILE
}

cosign_keys() {
    local name
    mkdir -p "$tmp/cosign"
    for name in cosign other; do
        cosign generate-key-pair --output-key-prefix "$tmp/cosign/$name"
    done
}

cosign_login() {
    printf '%s' "$PASSWORD" | cosign login --username "$USER_NAME" --password-stdin "$E"
}

# cosign_sign WHAT [SWITCH...]
cosign_sign() {
    local what=$1
    shift
    cosign sign --yes --key "$tmp/cosign/cosign.key" --use-signing-config=false --tlog-upload=false \
        "${COSIGN_SWITCHES[@]}" "$@" "$E/cosign-$EP/app$what"
}

# cosign_verify KEY WHAT [SWITCH...]
cosign_verify() {
    local key=$1 what=$2
    shift 2
    cosign verify --key "$tmp/cosign/$key.pub" --insecure-ignore-tlog=true --private-infrastructure=true \
        "${COSIGN_SWITCHES[@]}" "$@" "$E/cosign-$EP/app$what"
}

cosign_round_trip() {
    cosign_sign "@$SINGLE"
    matches "what was verified" "$SINGLE" "$(cosign_verify cosign "@$SINGLE")"
}

# cosign_get PATH: an answer of the registry.
cosign_get() {
    curl --fail --user "$USER_NAME:$PASSWORD" --cacert "$tmp/ca/ca.crt" "$SCHEME://$E/v2/$1"
}

cosign_refers() {
    same "the referrers" 1 "$(cosign_get "cosign-$EP/app/referrers/$SINGLE" | jq '.manifests | length')"
}

cosign_index() {
    local what
    cosign_sign "@$MULTI" --recursive
    for what in "$MULTI" "$ARM"; do cosign_verify cosign "@$what"; done
}

cosign_attest() {
    echo "{\"over\":\"$EP\"}" >"$tmp/work/predicate.json"
    cosign attest --yes --key "$tmp/cosign/cosign.key" --use-signing-config=false --tlog-upload=false \
        --type custom --predicate "$tmp/work/predicate.json" "${COSIGN_SWITCHES[@]}" "$E/cosign-$EP/app@$SINGLE"
    cosign verify-attestation --key "$tmp/cosign/cosign.pub" --insecure-ignore-tlog=true \
        --private-infrastructure=true --type custom "${COSIGN_SWITCHES[@]}" "$E/cosign-$EP/app@$SINGLE"
}

cosign_legacy() {
    cosign_sign "@$ARM" --new-bundle-format=false
    cosign_get "cosign-$EP/app/tags/list" | jq -e --arg tag "${ARM/:/-}.sig" '.tags | index($tag)'
    cosign_verify cosign "@$ARM" --new-bundle-format=false
}
