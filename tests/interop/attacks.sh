# shellcheck shell=bash
# Clients who mean harm, in large numbers: the server stays up, answers others
# and stays small. tests/it/registry_attacks.rs has the same in small.
# shellcheck disable=SC2154

attacks_cases() {
    [[ $EP == http ]] || return 0
    check "attacks: 10,000 idle connections" attacks_idle
    check "attacks: 2,000 heads that never end" attacks_run slow-heads 2000
    check "attacks: 200 answers that nobody takes" attacks_run no-readers 200
    check "attacks: 300,000 streams that are reset at once" attacks_run rapid-reset 300000
    check "attacks: a gigabyte of continuations" attacks_run continuations 1000
}

# attacks_run KIND COUNT: with the server that the others use; while it lasts
# others get their answers within five seconds, and the server stays the same.
attacks_run() {
    local kind=$1 count=$2 pid=${pids[http]}
    ulimit -n 30000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    timeout 120 python3 "$here/attacks.py" "$kind" localhost 8000 "$count" "$USER_NAME" "$PASSWORD"
    kill -0 "$pid"
    same "the status after it" 200 \
        "$(curl -o /dev/null -w '%{http_code}' -u "$USER_NAME:$PASSWORD" http://localhost:8000/v2/)"
}

attacks_idle() {
    attacks_run idle 10000
    local peak
    peak=$(awk '/^VmHWM:/ { print int($2 / 1024) }' "/proc/${pids[http]}/status")
    echo "peak memory: $peak MiB"
    ((peak < 512))
}
