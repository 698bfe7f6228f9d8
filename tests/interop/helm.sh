# shellcheck shell=bash
# helm: charts as artifacts.
# shellcheck disable=SC2154

helm() { timeout -k 5 120 helm "$@"; }

helm_cases() {
    export HELM_CACHE_HOME=$tmp/helm/cache HELM_CONFIG_HOME=$tmp/helm/config-$EP HELM_DATA_HOME=$tmp/helm/data
    HELM_SWITCHES=(--ca-file "$tmp/ca/ca.crt")
    [[ $SCHEME == http ]] && HELM_SWITCHES=(--plain-http)
    check "helm $EP: a wrong password is refused" helm_wrong_password
    check "helm $EP: login" helm_login
    check "helm $EP: push, pull, compare" helm_round_trip
    check "helm $EP: a chart rendered right from the registry" helm_template
    check "helm $EP: the newest version that fits" helm_versions
    check "helm $EP: delete, and a pull of it fails" helm_delete
    if [[ $SCHEME == https ]]; then
        check "helm $EP: a certificate by another authority is refused" refused "$UNTRUSTED" \
            helm pull "oci://$E/helm/notes" --version 0.1.0 --ca-file "$tmp/foreign-ca/ca.crt"
    fi
    check "helm $EP: logout, and a pull is refused" helm_logout
    unset HELM_CACHE_HOME HELM_CONFIG_HOME HELM_DATA_HOME
}

helm_wrong_password() {
    refused "$DENIED" helm registry login --username "$USER_NAME" --password-stdin "${HELM_SWITCHES[@]}" "$E" <<<"wrong"
}

helm_login() {
    printf '%s' "$PASSWORD" |
        helm registry login --username "$USER_NAME" --password-stdin "${HELM_SWITCHES[@]}" "$E"
}

# helm_push VERSION: makes a chart of the version, and pushes it.
helm_push() {
    local folder=$tmp/work/helm
    mkdir -p "$folder/notes/templates"
    printf 'apiVersion: v2\nname: notes\nversion: %s\n' "$1" >"$folder/notes/Chart.yaml"
    cat >"$folder/notes/templates/note.yaml" <<EOF
apiVersion: v1
kind: ConfigMap
metadata: { name: note }
data: { note: "{{ .Chart.Version }} over $EP" }
EOF
    helm package --destination "$folder" "$folder/notes"
    helm push "$folder/notes-$1.tgz" "oci://$E/helm" "${HELM_SWITCHES[@]}"
}

helm_round_trip() {
    local back=$tmp/work/helm/back
    helm_push 0.1.0
    rm -rf "$back"
    mkdir "$back"
    helm pull "oci://$E/helm/notes" --version 0.1.0 --destination "$back" "${HELM_SWITCHES[@]}"
    cmp "$tmp/work/helm/notes-0.1.0.tgz" "$back/notes-0.1.0.tgz"
}

helm_template() {
    matches "what the chart renders to" "0.1.0 over $EP" \
        "$(helm template "oci://$E/helm/notes" --version 0.1.0 "${HELM_SWITCHES[@]}")"
}

# helm lists the tags and chooses.
helm_versions() {
    helm_push 0.1.5
    helm_push 0.2.0
    matches "the chart" 'version: 0.1.5' \
        "$(helm show chart "oci://$E/helm/notes" --version '~0.1' "${HELM_SWITCHES[@]}")"
}

# helm has no command that deletes.
helm_delete() {
    skopeo delete "$VERIFY" --creds "$USER_NAME:$PASSWORD" "docker://$E/helm/notes:0.2.0"
    refused 'not found|404' helm show chart "oci://$E/helm/notes" --version 0.2.0 "${HELM_SWITCHES[@]}"
}

helm_logout() {
    helm registry logout "$E"
    refused "$DENIED" helm show chart "oci://$E/helm/notes" --version 0.1.0 "${HELM_SWITCHES[@]}"
}
