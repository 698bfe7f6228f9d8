# shellcheck shell=bash
# curl: the answers themselves, which the other clients hide.
# shellcheck disable=SC2154

curl_cases() {
    U=$SCHEME://$E
    TRUST=()
    [[ $SCHEME == https ]] && TRUST=(--cacert "$tmp/ca/ca.crt")
    CREDS=(--user "$USER_NAME:$PASSWORD")
    check "curl $EP: something to ask for" seed curl/app
    check "curl $EP: 401 without credentials, 200 with them" curl_basic
    check "curl $EP: a wrong password and a wrong user" curl_wrong
    check "curl $EP: a blob, in whole and by its head" curl_blob
    check "curl $EP: a range of a blob" curl_range
    check "curl $EP: bytes that don't match their digest are refused" curl_mismatch
    check "curl $EP: a path in the place of a digest is refused" curl_path
    check "curl $EP: an upload in chunks" curl_chunks
    if [[ $SCHEME == https ]]; then
        check "curl $EP: a certificate by another authority is refused" refused "$UNTRUSTED" \
            curl --cacert "$tmp/foreign-ca/ca.crt" "$U/v2/"
    fi
    [[ $KIND == warren ]] || return 0
    check "curl $EP: the welcome page" curl_welcome
    check "curl $EP: the probes" curl_probes
    check "curl $EP: the challenge names the login of this very address" curl_challenge
    check "curl $EP: a token by /login" curl_token
    check "curl $EP: /login with a wrong password" curl_token_wrong
    check "curl $EP: a forged token" curl_forged
}

# ask ARGS...: the body goes to $tmp/work/body, the headers to $tmp/work/head
# with plain line ends; prints the status.
ask() {
    curl "${TRUST[@]}" --output "$tmp/work/body" --dump-header "$tmp/work/raw" --write-out '%{http_code}' "$@"
    tr -d '\r' <"$tmp/work/raw" >"$tmp/work/head"
}

# header NAME: its value in the last answer.
header() { sed -n "s/^$1: *//Ip" "$tmp/work/head" | tail -n 1; }

curl_basic() {
    same "without credentials" 401 "$(ask "$U/v2/")"
    matches "the error's body" 'UNAUTHORIZED' "$(<"$tmp/work/body")"
    # `docker manifest` gives up with "unsupported registry version" without it.
    same "the version of the API" registry/2.0 "$(header docker-distribution-api-version)"
    same "with credentials" 200 "$(ask "${CREDS[@]}" "$U/v2/")"
    same "a blob without credentials" 401 "$(ask "$U/v2/curl/app/blobs/$BIG")"
    same "a tag list without credentials" 401 "$(ask "$U/v2/curl/app/tags/list")"
}

curl_wrong() {
    same "a wrong password" 401 "$(ask --user "$USER_NAME:wrong" "$U/v2/")"
    same "a password cut at its colon" 401 "$(ask --user "$USER_NAME:${PASSWORD%%:*}" "$U/v2/")"
    same "a wrong user" 401 "$(ask --user "nobody:$PASSWORD" "$U/v2/")"
    same "no user at all" 401 "$(ask --user ":" "$U/v2/")"
}

curl_blob() {
    local file=$LAYOUT/blobs/sha256/${BIG#sha256:}
    same "HEAD" 200 "$(ask "${CREDS[@]}" --head "$U/v2/curl/app/blobs/$BIG")"
    same "its length" "$(stat -c %s "$file")" "$(header content-length)"
    same "its digest" "$BIG" "$(header docker-content-digest)"
    same "GET" 200 "$(ask "${CREDS[@]}" "$U/v2/curl/app/blobs/$BIG")"
    cmp "$tmp/work/body" "$file"
}

curl_range() {
    local file=$LAYOUT/blobs/sha256/${BIG#sha256:} size
    size=$(stat -c %s "$file")
    same "from the middle" 206 "$(ask "${CREDS[@]}" --range 1000-1999 "$U/v2/curl/app/blobs/$BIG")"
    same "what it says" "bytes 1000-1999/$size" "$(header content-range)"
    cmp "$tmp/work/body" <(tail -c +1001 "$file" | head -c 1000)
    same "the last bytes" 206 "$(ask "${CREDS[@]}" --range -100 "$U/v2/curl/app/blobs/$BIG")"
    cmp "$tmp/work/body" <(tail -c 100 "$file")
    same "beyond the end" 416 "$(ask "${CREDS[@]}" --range "$size-" "$U/v2/curl/app/blobs/$BIG")"
}

# upload_start REPOSITORY: prints where the upload goes on, as a whole URL.
upload_start() {
    local location
    same "an upload starts" 202 "$(ask "${CREDS[@]}" --request POST --data-binary '' "$U/v2/$1/blobs/uploads/")" >&2
    location=$(header location)
    [[ $location == /* ]] && location=$U$location
    # A client behind a proxy must be able to follow it.
    matches "the location keeps to the client's address" "^$U/" "$location" >&2
    echo "$location"
}

# with_digest URL DIGEST: the URL with the parameter that ends an upload.
with_digest() {
    if [[ $1 == *\?* ]]; then echo "$1&digest=$2"; else echo "$1?digest=$2"; fi
}

curl_mismatch() {
    local at digest
    digest=sha256:$(printf 'other bytes %s' "$EP" | sha256sum | cut -d ' ' -f 1)
    at=$(upload_start curl/app)
    same "the wrong bytes" 400 "$(ask "${CREDS[@]}" --request PUT -H 'Content-Type: application/octet-stream' \
        --data-binary 'these bytes' "$(with_digest "$at" "$digest")")"
    matches "its error" DIGEST_INVALID "$(<"$tmp/work/body")"
    same "nothing is there" 404 "$(ask "${CREDS[@]}" --head "$U/v2/curl/app/blobs/$digest")"
}

curl_path() {
    local at digest status
    for digest in '../x' 'sha256:../../../../etc/passwd' '%2e%2e%2fx'; do
        at=$(upload_start curl/app)
        same "the digest $digest" 400 "$(ask "${CREDS[@]}" --request PUT -H 'Content-Type: application/octet-stream' \
            --data-binary 'x' "$(with_digest "$at" "$digest")")"
    done
    status=$(ask "${CREDS[@]}" --path-as-is "$U/v2/curl/app/blobs/../../../../../../etc/passwd")
    matches "a path that climbs out" '^(301|307|308|400|404)$' "$status"
    if grep -q root: "$tmp/work/body"; then return 1; fi
}

curl_chunks() {
    local at digest file=$tmp/work/chunked
    head -c 300000 /dev/urandom >"$file"
    digest=sha256:$(sha256sum "$file" | cut -d ' ' -f 1)
    at=$(upload_start curl/app)
    local from
    for from in 0 100000 200000; do
        dd if="$file" of="$tmp/work/chunk" bs=100000 skip="$((from / 100000))" count=1 status=none
        same "the chunk at $from" 202 "$(ask "${CREDS[@]}" --request PATCH \
            -H 'Content-Type: application/octet-stream' -H "Content-Range: $from-$((from + 99999))" \
            --data-binary "@$tmp/work/chunk" "$at")"
        same "what is there" "0-$((from + 99999))" "$(header range)"
        at=$(header location)
        [[ $at == /* ]] && at=$U$at
    done
    same "the end" 201 "$(ask "${CREDS[@]}" --request PUT --data-binary '' "$(with_digest "$at" "$digest")")"
    same "GET" 200 "$(ask "${CREDS[@]}" "$U/v2/curl/app/blobs/$digest")"
    cmp "$tmp/work/body" "$file"
}

curl_welcome() {
    same "the status" 200 "$(ask "$U/")"
    matches "the page" '<h1>Welcome to Trow, the cluster registry</h1>' "$(<"$tmp/work/body")"
}

curl_probes() {
    same "/healthz" 200 "$(ask "$U/healthz")"
    same "/healthz says" true "$(jq .is_healthy "$tmp/work/body")"
    same "/readiness" 200 "$(ask "$U/readiness")"
    same "/readiness says" true "$(jq .is_ready "$tmp/work/body")"
}

# The challenge, over each version of HTTP that this address speaks: over
# HTTP/2 there is no Host header, and Trow's realm lost its host there.
curl_challenge() {
    local version
    for version in --http1.1 --http2; do
        same "$version" 401 "$(ask "$version" "$U/v2/")"
        matches "$version: the challenge" \
            "^Bearer realm=\"$U/login\",service=\"trow_registry\"" "$(header www-authenticate)"
    done
    if [[ $SCHEME == https ]]; then
        same "HTTP/2 is spoken" 2 "$(curl "${TRUST[@]}" --http2 -o /dev/null -w '%{http_version}' "$U/v2/")"
    fi
}

curl_token() {
    local token
    same "/login" 200 "$(ask "${CREDS[@]}" "$U/login?service=trow_registry&scope=repository:curl/app:pull")"
    token=$(jq -r .token "$tmp/work/body")
    [[ $token != null ]]
    same "/v2/ with the token" 200 "$(ask -H "Authorization: Bearer $token" "$U/v2/")"
    same "a blob with the token" 200 "$(ask -H "Authorization: Bearer $token" "$U/v2/curl/app/blobs/$BIG")"
}

curl_token_wrong() {
    same "/login" 401 "$(ask --user "$USER_NAME:wrong" "$U/login")"
    same "/login without credentials" 401 "$(ask "$U/login")"
}

curl_forged() {
    local token forged
    ask "${CREDS[@]}" "$U/login" >/dev/null
    token=$(jq -r .token "$tmp/work/body")
    same "garbage" 401 "$(ask -H 'Authorization: Bearer garbage' "$U/v2/")"
    forged=${token:0:10}$(tr 'A-Ma-mN-Zn-z' 'N-Zn-zA-Ma-m' <<<"${token:10}")
    same "a changed token" 401 "$(ask -H "Authorization: Bearer $forged" "$U/v2/")"
}
