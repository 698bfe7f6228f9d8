# shellcheck shell=bash
# A real disk that is full, and one that is read-only: the client is told, the
# store stays whole, the server stays up, and readiness says so.
# shellcheck disable=SC2154

disk_cases() {
    # The peer answers as it likes.
    [[ $EP == http && $KIND == warren ]] || return 0
    local data=$tmp/data-disk
    mkdir -p "$data"
    mount -t tmpfs -o size=24m tmpfs "$data"
    disk_start || return
    head -c 1000 /dev/urandom >"$tmp/small"
    head -c 40000000 /dev/urandom >"$tmp/large"
    check "full disk: what doesn't fit is refused with 507, in every way to push" disk_too_large
    check "full disk: not one byte left, and the server says so" disk_full
    check "full disk: with room again all goes on" disk_room
    check "read-only disk: pulls go on, pushes get 503, and so does readiness" disk_read_only
    check "the server has been up all the while" kill -0 "${pids[disk]}"
    registry_stop disk
    mount -o remount,ro "$data"
    disk_start || return
    check "read-only disk: a server starts on it and goes on when it is writable" disk_read_only
    registry_stop disk
    dd if=/dev/zero of="$data/filler" bs=4k status=none 2>/dev/null || true
    disk_start || return
    check "full disk: a server starts on it, and makes room" disk_full
    check "full disk: with room again all goes on" disk_room
    registry_stop disk
    umount "$data"
}

# disk_start: a server on it; a case of its own where it does not start.
disk_start() {
    registry_start disk 8200 && return
    check "a server on the disk starts" false
    return 1
}

disk_digest() { printf 'sha256:%s' "$(sha256sum "$1" | cut -d ' ' -f 1)"; }

# disk_status METHOD PATH [FILE]: the status of an answer; its body is in $tmp/answer.
disk_status() {
    local -a body=()
    [[ ${3:-} ]] && body=(--data-binary "@$3" -H 'Content-Type: application/octet-stream')
    curl -o "$tmp/answer" -w '%{http_code}' -X "$1" -u "$USER_NAME:$PASSWORD" "${body[@]}" \
        "http://localhost:8200$2"
}

disk_ready() { curl -o "$tmp/answer" -w '%{http_code}' http://localhost:8200/readiness; }

disk_push() {
    disk_status POST "/v2/$1/blobs/uploads/?digest=$(disk_digest "$2")" "$2"
}

disk_pull() {
    same "a pull" 200 "$(disk_status GET "/v2/$1/blobs/$(disk_digest "$2")")"
    cmp "$2" "$tmp/answer"
}

disk_too_large() {
    local path
    same "a small push" 201 "$(disk_push disk/app "$tmp/small")"
    same "a large push" 507 "$(disk_push disk/app "$tmp/large")"
    matches "the answer" 'no space left' "$(cat "$tmp/answer")"
    path=$(curl -o /dev/null -D - -X POST -u "$USER_NAME:$PASSWORD" \
        http://localhost:8200/v2/disk/app/blobs/uploads/ | tr -d '\r' | sed -n 's/^location: //Ip')
    same "a large chunk" 507 "$(disk_status PATCH "$path" "$tmp/large")"
    same "its upload can be cancelled" 204 "$(disk_status DELETE "$path")"
    same "nothing is under the digest" 404 \
        "$(disk_status GET "/v2/disk/app/blobs/$(disk_digest "$tmp/large")")"
    same "nothing is left over" 0 "$(find "$tmp/data-disk/tmp" "$tmp/data-disk/uploads" -type f | wc -l)"
    disk_pull disk/app "$tmp/small"
    same "readiness" 200 "$(disk_ready)"
}

disk_full() {
    local status
    dd if=/dev/zero of="$tmp/data-disk/filler" bs=4k status=none 2>/dev/null || true
    same "readiness" 503 "$(disk_ready)"
    matches "its words" 'disk is full' "$(cat "$tmp/answer")"
    head -c 100 /dev/urandom >"$tmp/tiny"
    same "a push" 507 "$(disk_push disk/app "$tmp/tiny")"
    disk_pull disk/app "$tmp/small"
    # Room is made by deleting, so that must work on a full disk.
    status=$(disk_status DELETE "/v2/disk/app/blobs/$(disk_digest "$tmp/small")")
    same "a deletion" 202 "$status"
}

disk_room() {
    rm "$tmp/data-disk/filler"
    same "readiness" 200 "$(disk_ready)"
    same "the push that failed" 201 "$(disk_push disk/app "$tmp/tiny")"
    same "the blob that was deleted" 201 "$(disk_push disk/app "$tmp/small")"
    disk_pull disk/app "$tmp/tiny"
    disk_pull disk/app "$tmp/small"
}

disk_read_only() {
    mount -o remount,ro "$tmp/data-disk"
    same "readiness" 503 "$(disk_ready)"
    disk_pull disk/app "$tmp/small"
    same "a question" 200 "$(disk_status GET "/v2/disk/app/blobs/$(disk_digest "$tmp/tiny")")"
    same "a push" 503 "$(disk_push disk/other "$tmp/tiny")"
    matches "its words" 'read-only' "$(cat "$tmp/answer")"
    same "a deletion" 503 "$(disk_status DELETE "/v2/disk/app/blobs/$(disk_digest "$tmp/small")")"
    mount -o remount,rw "$tmp/data-disk"
    same "readiness" 200 "$(disk_ready)"
    same "the push that failed" 201 "$(disk_push disk/other "$tmp/tiny")"
    disk_pull disk/other "$tmp/tiny"
}
