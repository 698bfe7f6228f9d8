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
    [[ $KIND == warren ]] && check "cosign $EP: the tree shows the signature, by its digest" cosign_tree
    check "cosign $EP: another key is refused" refused 'invalid signature|no matching|no signatures' \
        cosign_verify other "@$SINGLE"
    check "cosign $EP: sign an index, and all that is in it" cosign_index
    check "cosign $EP: attest, verify" cosign_attest
    check "cosign $EP: a signature by tag, as before referrers" cosign_legacy
    if [[ $KIND == warren ]]; then
        check "cosign $EP: the tree shows the signature by tag" cosign_legacy_tree
        check "cosign $EP: clean takes away a signature by tag, and no other" cosign_legacy_clean
        check "cosign $EP: clean takes away what refers to an image, and no more" cosign_clean
    fi
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

# cosign_tree: each referrer is a line, and below it the blob that it holds.
cosign_tree() {
    local tree signature
    signature=$(cosign_get "cosign-$EP/app/referrers/$SINGLE" | jq -r '.manifests[0].digest')
    tree=$(cosign tree "${COSIGN_SWITCHES[@]}" "$E/cosign-$EP/app@$SINGLE")
    same "the referrers of the tree" "$E/cosign-$EP/app@$signature" \
        "$(sed -n 's/.* artifacts via OCI referrer: //p' <<<"$tree")"
    same "what the referrer holds" \
        "$(cosign_get "cosign-$EP/app/manifests/$signature" | jq -r '.layers[].digest')" \
        "$(grep -A 1 "@$signature\$" <<<"$tree" | grep -o 'sha256:[0-9a-f]*$' | tail -n 1)"
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
    cosign_attested
}

cosign_attested() {
    cosign verify-attestation --key "$tmp/cosign/cosign.pub" --insecure-ignore-tlog=true \
        --private-infrastructure=true --type custom "${COSIGN_SWITCHES[@]}" "$E/cosign-$EP/app@$SINGLE"
}

cosign_legacy() {
    cosign_sign "@$ARM" --new-bundle-format=false
    cosign_get "cosign-$EP/app/tags/list" | jq -e --arg tag "${ARM/:/-}.sig" '.tags | index($tag)'
    cosign_verify cosign "@$ARM" --new-bundle-format=false
}

cosign_legacy_tree() {
    local tree tag=${ARM/:/-}.sig
    tree=$(cosign tree "${COSIGN_SWITCHES[@]}" "$E/cosign-$EP/app@$ARM")
    same "the signatures of the tree" "$E/cosign-$EP/app:$tag" \
        "$(sed -n 's/.* Signatures for an image tag: //p' <<<"$tree")"
    same "what the signature holds" \
        "$(cosign_get "cosign-$EP/app/manifests/$tag" | jq -r '.layers[].digest')" \
        "$(grep -A 1 ":$tag\$" <<<"$tree" | grep -o 'sha256:[0-9a-f]*$' | tail -n 1)"
}

# cosign_clean_of TYPE IMAGE
cosign_clean_of() {
    cosign clean --force --type "$1" "${COSIGN_SWITCHES[@]}" "$E/cosign-$EP/app@$2"
}

cosign_legacy_clean() {
    cosign_clean_of signature "$ARM"
    same "the tag of the signature" null \
        "$(cosign_get "cosign-$EP/app/tags/list" | jq --arg tag "${ARM/:/-}.sig" '.tags | index($tag)')"
    refused 'no signatures found' cosign_verify cosign "@$ARM" --new-bundle-format=false
    # The one that refers to the image came with the index.
    cosign_verify cosign "@$ARM"
}

cosign_clean() {
    same "the referrers before it" 3 "$(cosign_get "cosign-$EP/app/referrers/$SINGLE" | jq '.manifests | length')"
    cosign_clean_of all "$SINGLE"
    same "the referrers" 0 "$(cosign_get "cosign-$EP/app/referrers/$SINGLE" | jq '.manifests | length')"
    refused 'no signatures found' cosign_verify cosign "@$SINGLE"
    refused 'no matching attestations' cosign_attested
    # The image is there, and what was signed with it keeps its signature.
    cosign_get "cosign-$EP/app/manifests/$SINGLE"
    cosign_verify cosign "@$MULTI"
}
