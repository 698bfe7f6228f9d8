# shellcheck shell=bash
# regctl, of regclient: it works on single blobs, manifests, tags and referrers.
# shellcheck disable=SC2154

regctl() { timeout -k 5 120 regctl "$@"; }

regctl_cases() {
    export REGCTL_CONFIG=$tmp/regctl-$EP.json DOCKER_CONFIG=$tmp/regctl-$EP
    rm -f "$REGCTL_CONFIG"
    check "regctl $EP: how to reach the registry" regctl_reach "$tmp/ca/ca.crt"
    check "regctl $EP: a wrong password is refused" regctl_wrong_password
    check "regctl $EP: login" regctl_login
    check "regctl $EP: push, pull, compare" regctl_round_trip
    check "regctl $EP: one blob, up and down and away" regctl_blob
    check "regctl $EP: referrers, filtered by their type" regctl_referrers
    check "regctl $EP: a copy with its referrers" regctl_copy
    check "regctl $EP: list of tags and of repositories" regctl_lists
    check "regctl $EP: delete of a tag and of a manifest" regctl_delete
    check "regctl $EP: a manifest under more tags" regctl_tags
    if [[ $SCHEME == https ]]; then
        check "regctl $EP: a certificate by another authority is refused" regctl_untrusted
    fi
    check "regctl $EP: logout, and a pull is refused" regctl_logout
    unset REGCTL_CONFIG DOCKER_CONFIG
}

# regctl_reach AUTHORITY: tells regctl once how the registry is reached.
regctl_reach() {
    if [[ $SCHEME == http ]]; then
        regctl registry set "$E" --tls disabled --skip-check
    else
        regctl registry set "$E" --cacert "$(<"$1")" --skip-check
    fi
}

regctl_wrong_password() {
    refused "$DENIED" regctl registry login "$E" --user "$USER_NAME" --pass-stdin <<<"wrong"
}

regctl_login() {
    printf '%s' "$PASSWORD" | regctl registry login "$E" --user "$USER_NAME" --pass-stdin
}

regctl_round_trip() {
    local tag back=$tmp/work/regctl-back file
    for tag in single multi; do
        regctl image copy "ocidir://$LAYOUT:$tag" "$E/regctl-$EP/app:$tag"
    done
    same "the digest of the image" "$SINGLE" "$(regctl image digest --list "$E/regctl-$EP/app:single")"
    same "the digest of the index" "$MULTI" "$(regctl image digest --list "$E/regctl-$EP/app:multi")"
    rm -rf "$back"
    regctl image copy "$E/regctl-$EP/app:multi" "ocidir://$back:multi"
    for file in "$back"/blobs/sha256/*; do
        cmp "$file" "$LAYOUT/blobs/sha256/${file##*/}"
    done
    [[ -f $back/blobs/sha256/${BIG#sha256:} ]]
}

regctl_blob() {
    local digest
    digest=$(echo "a blob over $EP" | regctl blob put "$E/regctl-$EP/blobs")
    same "the blob" "a blob over $EP" "$(regctl blob get "$E/regctl-$EP/blobs" "$digest")"
    regctl blob delete "$E/regctl-$EP/blobs" "$digest"
    refused 'not found|404|unknown' regctl blob head "$E/regctl-$EP/blobs" "$digest"
}

regctl_referrers() {
    local kind
    for kind in sbom signature; do
        echo "a $kind over $EP" | regctl artifact put --artifact-type "application/vnd.example.$kind+text" \
            --subject "$E/regctl-$EP/app:single"
    done
    same "the referrers" 2 "$(regctl_count)"
    same "the referrers of one type" 1 \
        "$(regctl_count --filter-artifact-type application/vnd.example.sbom+text)"
    same "what the referrer holds" "a sbom over $EP" "$(regctl artifact get --subject "$E/regctl-$EP/app:single" \
        --filter-artifact-type application/vnd.example.sbom+text)"
}

# regctl_count [SWITCH VALUE]: how many referrers the image has.
regctl_count() {
    regctl artifact list "$E/regctl-$EP/app:single" "$@" --format '{{len .Descriptors}}'
}

regctl_copy() {
    regctl image copy --referrers "$E/regctl-$EP/app:single" "$E/regctl-$EP/copy:single"
    same "the digest in the second repository" "$SINGLE" "$(regctl image digest --list "$E/regctl-$EP/copy:single")"
    same "the referrers in the second repository" 2 \
        "$(regctl artifact list "$E/regctl-$EP/copy:single" --format '{{len .Descriptors}}')"
}

regctl_lists() {
    same "the tags" 'multi single' "$(regctl tag ls "$E/regctl-$EP/app" | grep -v '^sha256-' | sort | xargs)"
    matches "the repositories" "^regctl-$EP/copy\$" "$(regctl repo ls "$E")"
    [[ $KIND == warren ]] || return 0
    same "a page of the tags" multi "$(regctl tag ls --limit 1 "$E/regctl-$EP/app")"
}

regctl_delete() {
    regctl tag delete "$E/regctl-$EP/copy:single"
    refused 'not found|404|unknown' regctl manifest head "$E/regctl-$EP/copy:single"
    regctl manifest head "$E/regctl-$EP/copy@$SINGLE"
    regctl manifest delete "$E/regctl-$EP/copy@$SINGLE"
    refused 'not found|404|unknown' regctl manifest head "$E/regctl-$EP/copy@$SINGLE"
    regctl manifest head "$E/regctl-$EP/app@$SINGLE"
}

regctl_tags() {
    local name
    regctl manifest get --format raw-body "$E/regctl-$EP/app@$SINGLE" >"$tmp/work/manifest.json"
    for name in one two; do
        regctl manifest put --content-type application/vnd.oci.image.manifest.v1+json \
            "$E/regctl-$EP/app:$name" <"$tmp/work/manifest.json"
        same "the digest under the tag" "$SINGLE" "$(regctl image digest --list "$E/regctl-$EP/app:$name")"
    done
}

# regctl also believes the authorities that docker's folder holds.
regctl_untrusted() {
    local place=/etc/docker/certs.d/$E/ca.crt
    cp "$tmp/foreign-ca/ca.crt" "$place"
    regctl_reach "$tmp/foreign-ca/ca.crt"
    refused "$UNTRUSTED" regctl tag ls "$E/regctl-$EP/app"
    cp "$tmp/ca/ca.crt" "$place"
    regctl_reach "$tmp/ca/ca.crt"
}

regctl_logout() {
    regctl registry logout "$E"
    refused "$DENIED" regctl image export "$E/regctl-$EP/app:single" "$tmp/work/regctl.tar"
}
