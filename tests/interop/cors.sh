# shellcheck shell=bash
# Pages of other origins, in a headless Chromium, against servers that let in the
# pages of one: over TLS, where the browser speaks HTTP/2, and over plain HTTP.
# shellcheck disable=SC2154

cors_cases() {
    [[ $EP == tls && $KIND == warren ]] || return 0
    local allowed name LOGS='tls-cors http-cors'
    allowed=http://localhost:$(free_port)
    trust "$DOMAIN:8743" "$tmp/ca"
    if ! registry_start tls-cors 8743 --cors "$allowed" || ! registry_start http-cors 8700 --cors "$allowed"; then
        check "cors: two servers that let in one origin" false
        return
    fi
    check "cors: something to ask for" cors_seed
    check "cors: the page of the one origin may ask and read, no other may" \
        timeout -k 5 120 python3 -B "$here/cors.py" "$USER_NAME" "$PASSWORD" "$allowed" "$SINGLE" "$MULTI" \
        "$tmp/ca/ca.crt" "https://$DOMAIN:8743" http://localhost:8700
    for name in tls-cors http-cors; do
        check "cors: the server $name is still up" kill -0 "${pids[$name]}"
        registry_stop "$name"
    done
}

# Two repositories, so that there is a second page of their list.
cors_seed() {
    local image
    for E in "$DOMAIN:8743" localhost:8700; do
        [[ $E == localhost:* ]] && VERIFY=--tls-verify=false
        for image in app:single app:multi more:single; do
            skopeo copy --quiet --all --preserve-digests "--dest-$(verify_word)" \
                --dest-creds "$USER_NAME:$PASSWORD" "oci:$LAYOUT:${image#*:}" "docker://$E/cors/$image"
        done
    done
}
