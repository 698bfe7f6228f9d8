# shellcheck shell=bash
# The registry's own image: podman loads it, skopeo reads it, and it runs as
# nobody in particular on a root that can't be written to.
#   WARREN_IMAGE   the image (default: target/warren-registry.tar, by `just image`)
# shellcheck disable=SC2154


IMAGE=${WARREN_IMAGE:-${CARGO_TARGET_DIR:-$root/target}/warren-registry.tar}

image_cases() {
    [[ $EP == http ]] || return 0
    check "image: it was built by \`just image\`" test -f "$IMAGE"
    [[ -f $IMAGE ]] || return 0
    export REGISTRY_AUTH_FILE=$tmp/auth-image.json
    echo '{}' >"$REGISTRY_AUTH_FILE"
    storage_make image
    check "image: skopeo reads it" image_inspect
    check "image: podman loads it" podman load --quiet --input "$IMAGE"
    check "image: it runs, not as root, on a read-only root; push, stop, start, pull" image_apart
    check "image: what is pushed to the registry comes back the same" image_through_registry
}

image_inspect() {
    same "the user" 999:999 "$(skopeo inspect --config "oci-archive:$IMAGE" | jq -r .config.User)"
}

# image_name: the one image that was loaded.
image_name() { podman images --quiet --no-trunc | head -n 1; }

# image_run NAME IMAGE ARGUMENTS...: in the suite's own network, with all that a
# strict cluster takes away taken away.
image_run() {
    local name=$1 at=$2
    shift 2
    podman --runtime crun run --detach --name "$name" --network host --cgroups disabled --read-only --read-only-tmpfs=false \
        --cap-drop all --security-opt no-new-privileges --volume image-data:/data \
        "$at" --bind 127.0.0.1:8200 --data-dir /data "$@"
    local i
    for ((i = 0; i < 100; i++)); do
        if curl -o /dev/null --fail http://127.0.0.1:8200/readiness; then return 0; fi
        sleep 0.1
    done
    podman logs "$name"
    return 1
}

# image_apart: crun refuses to start where the hierarchies of both versions of
# cgroups are mounted, even if it shall make none. It gets a folder of its own.
image_apart() {
    unshare --mount "$BASH" -c "set -e; $(declare -f); $(declare -p tmp LAYOUT SINGLE IMAGE)
        mount -t cgroup2 none /sys/fs/cgroup
        image_runs"
}

image_runs() {
    local at rc
    at=$(image_name)
    image_run first "$at"
    same "the user" 999 "$(awk '/^Uid:/ { print $2 }' "/proc/$(podman inspect --format '{{.State.Pid}}' first)/status")"
    skopeo copy --quiet --dest-tls-verify=false "oci:$LAYOUT:single" docker://127.0.0.1:8200/from/image:1
    rc=$(podman stop --time 20 first >/dev/null && podman wait first)
    same "the exit code after SIGTERM" 0 "$rc"
    image_run second "$at"
    same "the digest after a restart" "$SINGLE" \
        "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://127.0.0.1:8200/from/image:1)"
    podman rm --force --time 5 first second
}

image_through_registry() {
    skopeo copy --quiet --preserve-digests "--dest-$(verify_word)" --dest-creds "$USER_NAME:$PASSWORD" \
        "oci-archive:$IMAGE" "docker://$E/image/warren-registry:1"
    same "the digest" "$(skopeo inspect --format '{{.Digest}}' "oci-archive:$IMAGE")" \
        "$(skopeo inspect "$VERIFY" --creds "$USER_NAME:$PASSWORD" --format '{{.Digest}}' "docker://$E/image/warren-registry:1")"
}
