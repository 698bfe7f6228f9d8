# shellcheck shell=bash
# The operator's own test, `warren smoke`, with podman beside our client, through
# nginx as an ingress; and what `warren client` gives a machine.
# shellcheck disable=SC2154

WARREN_TOOL=${WARREN:-${CARGO_TARGET_DIR:-$root/target}/release/warren}

smoke_cases() {
    [[ $EP == ingress && $KIND == warren ]] || return 0
    storage_make smoke
    check "smoke $EP: every step, with podman" smoke_passes
    check "smoke $EP: another authority is not trusted" refused 'not signed by the authority' \
        smoke --ca "$tmp/foreign-ca/ca.crt" --with none
    check "smoke $EP: the script lets podman in, and undoes itself" smoke_script
}

smoke() {
    timeout -k 5 120 "$WARREN_TOOL" --root "$root" smoke sandbox --address '[::1]:443' \
        --password-file "$tmp/password" "$@"
}

smoke_passes() {
    local said
    said=$(smoke --ca "$tmp/ca/ca.crt" --with podman --output json)
    same "the steps" \
        'resolve certificate redirect login wrong password push pull podman delete' \
        "$(jq -r '[.steps[].name] | join(" ")' <<<"$said")"
    same "what was pushed is gone" gone "$(jq -r '.steps[-1].outcome' <<<"$said")"
}

smoke_script() {
    local before
    "$WARREN_TOOL" --root "$root" client sandbox --ca "$tmp/ca/ca.crt" --script >"$tmp/client.sh"
    # podman looks at docker's folder, too.
    rm -rf "/etc/containers/certs.d/$DOMAIN" "/etc/docker/certs.d/$DOMAIN"
    before=$(cat /etc/hosts)
    sh "$tmp/client.sh"
    matches "the line" "192.168.1.250 $DOMAIN # warren sandbox" "$(tail -n 1 /etc/hosts)"
    # Its address is not of this machine: without the line podman finds nginx.
    printf '%s\n' "$before" >/etc/hosts
    podman login --authfile "$tmp/client-auth.json" --username "$USER_NAME" --password-stdin "$DOMAIN" <"$tmp/password"
    sh "$tmp/client.sh" undo
    same "the hosts file" "$before" "$(cat /etc/hosts)"
    refused "$UNTRUSTED" podman login --authfile "$tmp/client-auth2.json" --username "$USER_NAME" --password-stdin "$DOMAIN" <"$tmp/password"
    trust "$DOMAIN" "$tmp/ca"
}
