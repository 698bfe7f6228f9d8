# shellcheck shell=bash
# What was pushed is there after a stop and a start, and the stop is clean.
# shellcheck disable=SC2154

restart_cases() {
    case $EP in
    tls) check "restart over TLS: push, SIGTERM, start, pull" restart_round_trip tls-again 8543 ;;
    http) check "restart over plain HTTP: push, SIGTERM, start, pull" restart_round_trip http-again 8100 ;;
    esac
}

# restart_round_trip NAME PORT: with a server of its own.
restart_round_trip() {
    local rc=0 back=$tmp/work/restart
    E=$DOMAIN:$2
    [[ $SCHEME == https ]] && trust "$E" "$tmp/ca"
    registry_start "$1" "$2"
    seed restart/app
    registry_stop "$1" || rc=$?
    # Debian's docker-registry dies of the signal, and the suite's own trial
    # on it must go on.
    if [[ $KIND == warren ]]; then same "the exit code after SIGTERM" 0 "$rc"; fi
    registry_start "$1" "$2"
    rm -rf "$back"
    skopeo copy --quiet --all --preserve-digests "--src-$(verify_word)" --src-creds "$USER_NAME:$PASSWORD" \
        "docker://$E/restart/app:multi" "oci:$back:multi"
    same "the digest after the restart" "$MULTI" "$(jq -r '.manifests[0].digest' "$back/index.json")"
    cmp "$back/blobs/sha256/${BIG#sha256:}" "$LAYOUT/blobs/sha256/${BIG#sha256:}"
    registry_stop "$1" || true
}
