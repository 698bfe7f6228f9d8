# shellcheck shell=bash
# nginx before the registry, as the notes' ingress is. The clients' own cases
# run against it as the endpoint `ingress`; here is what only a proxy shows.
# shellcheck disable=SC2154

# shellcheck source=curl.sh
declare -F ask >/dev/null || source "$here/curl.sh"

proxy_cases() {
    [[ $EP == ingress ]] || return 0
    TRUST=(--cacert "$tmp/ca/ca.crt")
    CREDS=(--user "$USER_NAME:$PASSWORD")
    trust "$DOMAIN:9443" "$tmp/ca"
    check "proxy: plain HTTP leads to HTTPS, as in the notes" proxy_redirect
    check "proxy: an upload stays at a proxy that hides the Host" proxy_location
    check "proxy: push and pull through a proxy that hides the Host" proxy_round_trip
    [[ $KIND == warren ]] || return 0
    check "proxy: the challenge says https and the proxy's host" proxy_challenge "https://$DOMAIN"
    check "proxy: the challenge where only X-Forwarded-Host tells" proxy_challenge "https://$DOMAIN:9443"
}

proxy_redirect() {
    same "the status" 308 "$(ask "http://$DOMAIN/v2/")"
    same "where to" "https://$DOMAIN/v2/" "$(header location)"
}

proxy_location() {
    U=https://$DOMAIN:9443
    upload_start proxy/app
}

proxy_round_trip() {
    local back=$tmp/work/proxy
    export REGISTRY_AUTH_FILE=$tmp/auth-proxy.json
    printf '%s' "$PASSWORD" | skopeo login --username "$USER_NAME" --password-stdin "$DOMAIN:9443"
    skopeo copy --quiet --all --preserve-digests "oci:$LAYOUT:multi" "docker://$DOMAIN:9443/proxy/app:multi"
    rm -rf "$back"
    skopeo copy --quiet --all --preserve-digests "docker://$DOMAIN:9443/proxy/app:multi" "oci:$back:multi"
    same "the digest that came back" "$MULTI" "$(jq -r '.manifests[0].digest' "$back/index.json")"
}

proxy_challenge() {
    same "the status" 401 "$(ask "$1/v2/")"
    matches "the challenge" "^Bearer realm=\"$1/login\"," "$(header www-authenticate)"
    same "the realm answers" 200 "$(ask "${CREDS[@]}" "$1/login")"
}
