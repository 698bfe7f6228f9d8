# shellcheck shell=bash
# The operator's own test, `warren smoke`, through nginx as an ingress, with podman
# and with docker beside our client; and what the script of `warren client` does for
# podman.
# shellcheck disable=SC2154

WARREN_TOOL=${WARREN:-${CARGO_TARGET_DIR:-$root/target}/release/warren}

# shellcheck source=docker.sh
declare -F dockerd_start >/dev/null || source "$here/docker.sh"

smoke_cases() {
    [[ $EP == ingress && $KIND == warren ]] || return 0
    storage_make smoke
    export DOCKER_HOST=unix://$tmp/docker/docker.sock DOCKER_CONFIG=$tmp/docker/config-smoke
    [[ -n ${pids[dockerd]:-} ]] || dockerd_start
    # Nobody is logged in, so that what the test leaves would be seen.
    export REGISTRY_AUTH_FILE=$tmp/auth-smoke.json
    mkdir -p "$DOCKER_CONFIG"
    echo '{}' | tee "$REGISTRY_AUTH_FILE" >"$DOCKER_CONFIG/config.json"
    # It runs the first docker of the PATH, which may be another than dockerd's own.
    mkdir -p "$tmp/smoke-path"
    ln -sf /usr/bin/docker "$tmp/smoke-path/docker"
    # As at a customer's, the domain leads where the environment says.
    printf '127.0.0.1 localhost\n%s %s\n' "$ADDRESS" "$DOMAIN" >/etc/hosts

    check "smoke $EP: every step, with podman" smoke_passes podman
    check "smoke $EP: every step, with docker" smoke_passes docker
    check "smoke $EP: podman where it is there, else docker" smoke_auto
    check "smoke $EP: to an address, whatever the domain resolves to" smoke_address
    check "smoke $EP: another authority is not trusted" refused 'not signed by the authority' \
        smoke --ca "$tmp/foreign-ca/ca.crt" --with none
    check "smoke $EP: docker that was not told of the authority" smoke_docker_untrusted
    check "smoke $EP: docker without its daemon" smoke_docker_away
    check "smoke $EP: a wrong password" smoke_password
    check "smoke $EP: the script lets podman in, and undoes itself" smoke_script

    printf '127.0.0.1 localhost\n::1 %s\n' "$DOMAIN" >/etc/hosts
}

smoke() {
    PATH=$tmp/smoke-path:$PATH timeout -k 5 120 "$WARREN_TOOL" --root "$root" smoke sandbox \
        --password-file "$tmp/password" "$@"
}

# smoke_passes PROGRAM
smoke_passes() {
    local said
    said=$(smoke --ca "$tmp/ca/ca.crt" --with "$1" --output json)
    same "the steps" \
        "resolve certificate redirect login wrong password push pull $1 delete" \
        "$(jq -r '[.steps[].name] | join(" ")' <<<"$said")"
    matches "the address" "$DOMAIN is $ADDRESS" "$(jq -r '.steps[0].outcome' <<<"$said")"
    matches "what it says of $1" '^logged in, pulled sha256:[0-9a-f]{64} and pushed it$' \
        "$(jq -r ".steps[] | select(.name == \"$1\") | .outcome" <<<"$said")"
    same "what was pushed is gone" gone "$(jq -r '.steps[-1].outcome' <<<"$said")"
    same "images that are left" 0 "$("$1" images --all --quiet | wc -l)"
    # The login was for the test alone.
    refused "$DENIED" "$1" pull --quiet "$DOMAIN/warren/smoke:latest"
    same "folders that are left" '' "$(find "$TMPDIR" -maxdepth 1 -name 'warren-smoke-*')"
}

smoke_auto() {
    same "the program" podman "$(smoke_eighth "$PATH")"
    same "the program" docker "$(smoke_eighth "$tmp/smoke-path")"
}

# smoke_eighth PATH: the step after the pull of our own, where programs are looked
# for there.
smoke_eighth() {
    env PATH="$1" /usr/bin/timeout -k 5 120 "$WARREN_TOOL" --root "$root" smoke sandbox \
        --password-file "$tmp/password" --ca "$tmp/ca/ca.crt" --output json | jq -r '.steps[7].name'
}

smoke_address() {
    same "the steps" 'resolve certificate redirect login wrong password push pull delete' "$(
        smoke --ca "$tmp/ca/ca.crt" --address '[::1]:443' --output json | jq -r '[.steps[].name] | join(" ")')"
}

smoke_docker_untrusted() {
    local place=/etc/docker/certs.d/$DOMAIN
    (
        trap 'mv "$place.aside" "$place"' EXIT
        mv "$place" "$place.aside"
        refused 'docker login: .*x509: certificate signed by unknown authority' \
            smoke --ca "$tmp/ca/ca.crt" --with docker
    )
}

smoke_docker_away() {
    DOCKER_HOST=unix://$tmp/docker/nobody refused 'docker (login|pull): Cannot connect to the Docker daemon' \
        smoke --ca "$tmp/ca/ca.crt" --with docker
}

smoke_password() {
    echo wrong >"$tmp/work/wrong"
    refused 'the password is not the one of warren secret sandbox' \
        "$WARREN_TOOL" --root "$root" smoke sandbox --ca "$tmp/ca/ca.crt" --password-file "$tmp/work/wrong"
}

smoke_script() {
    local before
    "$WARREN_TOOL" --root "$root" client sandbox --ca "$tmp/ca/ca.crt" --script >"$tmp/client.sh"
    # podman looks at docker's folder, too.
    rm -rf "/etc/containers/certs.d/$DOMAIN" "/etc/docker/certs.d/$DOMAIN"
    before=$(cat /etc/hosts)
    sh "$tmp/client.sh"
    matches "the line" "$ADDRESS $DOMAIN # warren sandbox" "$(tail -n 1 /etc/hosts)"
    podman login --authfile "$tmp/client-auth.json" --username "$USER_NAME" --password-stdin "$DOMAIN" <"$tmp/password"
    sh "$tmp/client.sh" undo
    same "the hosts file" "$before" "$(cat /etc/hosts)"
    refused "$UNTRUSTED" podman login --authfile "$tmp/client-auth2.json" --username "$USER_NAME" --password-stdin "$DOMAIN" <"$tmp/password"
    trust "$DOMAIN" "$tmp/ca"
}
