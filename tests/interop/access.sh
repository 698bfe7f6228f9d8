# shellcheck shell=bash
# Several users and a policy, on a server of its own: what each client does and
# says for whom it is allowed and for whom not, and both files changed while the
# server runs.
# shellcheck disable=SC2154

# shellcheck source=docker.sh
declare -F dockerd_start >/dev/null || source "$here/docker.sh"
# shellcheck source=crane.sh
declare -F crane >/dev/null || source "$here/crane.sh"
# shellcheck source=regctl.sh
declare -F regctl >/dev/null || source "$here/regctl.sh"
# shellcheck source=oras.sh
declare -F oras >/dev/null || source "$here/oras.sh"

ACCESS_CLIENTS=(skopeo podman docker crane regctl oras)

access_cases() {
    [[ $EP == tls && $KIND == warren ]] || return 0
    local client E=$DOMAIN:8643 LOGS=tls-access CRANE_SWITCH=
    local -x SSL_CERT_FILE=$tmp/ca/ca.crt DOCKER_HOST=unix://$tmp/docker/docker.sock
    # A small image, as it goes to and fro so often.
    local LAYOUT=$tmp/access/layout SINGLE MULTI ARM BIG
    A=$tmp/access
    trust "$E" "$tmp/ca"
    mkdir -p "$A"
    access_users writer reader stranger >"$A/users"
    access_policy '"pull"'
    if ! layout_make "$LAYOUT" 100000 ||
        ! registry_start tls-access 8643 --htpasswd "$A/users" --policy "$A/policy.toml" --reload-interval 1; then
        check "access: a server with users and a policy" false
        return
    fi
    [[ -n ${pids[dockerd]:-} ]] || dockerd_start
    storage_make access
    check "access: the owner's images" access_seed
    for client in "${ACCESS_CLIENTS[@]}"; do
        check "access $client: each logs in with their own password" access_logins "$client"
        check "access $client: the writer pushes to team/*, and not to public/*" access_writer "$client"
        check "access $client: the reader pulls, and is refused a push" access_reader "$client"
        check "access $client: who has no right is refused a pull" access_stranger "$client"
        check "access $client: nobody logged in pulls public/*, and no more" access_anonymous "$client"
    done
    check "access: what was refused left nothing behind" access_nothing_new
    check "access: the reader moves no tag" access_no_move
    check "access: * is one part of a name" access_one_part
    check "access: the catalog shows what may be pulled" access_catalog
    for client in skopeo crane regctl oras; do
        check "access $client: deleting takes a right of its own" access_delete "$client"
    done
    check "access: rights that are given hold without a restart" access_given
    check "access: a user that is added logs in" access_added
    check "access: a broken policy is refused, and the one before holds" access_broken
    check "access: on SIGHUP the next files hold, and what they take away is gone" access_repaired
    check "access: one process has answered all of it" access_one_process
    registry_stop tls-access
}

# access_users NAME...: lines of a file of users. A low cost, as many log in.
access_users() {
    local name
    for name in "$@"; do htpasswd -nbB -C 4 "$name" "password of $name" | sed '/^$/d'; done
}

# access_policy ACTIONS [LINE...]: a policy in which the reader may do these in
# team/*, with more lines at its end.
access_policy() {
    cat >"$A/policy.new" <<END
[[rule]]
users = ["anonymous"]
repositories = ["public/*"]
actions = ["pull"]

[[rule]]
users = ["$USER_NAME"]
repositories = ["**"]
actions = ["pull", "push", "delete"]

[[rule]]
users = ["writer"]
repositories = ["team/*"]
actions = ["pull", "push"]

[[rule]]
users = ["reader"]
repositories = ["team/*"]
actions = [$1]
END
    printf '%s\n' "${@:2}" >>"$A/policy.new"
    mv "$A/policy.new" "$A/policy.toml"
}

# access_seed: the owner is the user that the other cases have.
access_seed() {
    seed public/app
    seed secret/app
    skopeo copy --quiet "oci:$LAYOUT:single" "docker-archive:$A/image.tar:localhost/access:1"
}

# access_as CLIENT USER: the client goes on as this user, who is anonymous until
# they have logged in. Each pair has a folder of its own.
access_as() {
    export DOCKER_CONFIG=$A/$1-$2
    export REGISTRY_AUTH_FILE=$DOCKER_CONFIG/auth.json REGCTL_CONFIG=$DOCKER_CONFIG/regctl.json
    mkdir -p "$DOCKER_CONFIG"
    [[ -f $REGISTRY_AUTH_FILE ]] || echo '{}' >"$REGISTRY_AUTH_FILE"
    ORAS_SWITCHES=(--ca-file "$tmp/ca/ca.crt")
}

# access_login CLIENT USER PASSWORD
access_login() {
    access_as "$1" "$2"
    case $1 in
    crane) printf '%s' "$3" | crane auth login --username "$2" --password-stdin "$E" ;;
    regctl) printf '%s' "$3" | regctl registry login "$E" --user "$2" --pass-stdin ;;
    *) printf '%s' "$3" | "$1" login --username "$2" --password-stdin "$E" ;;
    esac
}

# access_pull CLIENT IMAGE: pulls into nothing, prints the digest of what came.
access_pull() {
    local ORAS_SWITCHES=() # oras cp takes others, below
    rm -rf "$A/pulled"
    case $1 in
    skopeo) skopeo copy --quiet "docker://$E/$2" "oci:$A/pulled:it" ;;
    podman) podman rmi --all --force && podman pull --quiet "$E/$2" ;;
    docker) docker_empty && docker pull --quiet "$E/$2" ;;
    crane) crane pull --format oci "$E/$2" "$A/pulled" ;;
    regctl) regctl image copy "$E/$2" "ocidir://$A/pulled:it" ;;
    oras) oras cp --from-ca-file "$tmp/ca/ca.crt" "$E/$2" --to-oci-layout "$A/pulled:it" ;;
    esac >&2 || return
    case $1 in
    podman) podman image inspect --format '{{.Digest}}' "$E/$2" ;;
    docker) docker image inspect --format '{{index .RepoDigests 0}}' "$E/$2" | sed 's/.*@//' ;;
    *) jq -r '.manifests[0].digest' "$A/pulled/index.json" ;;
    esac
}

# access_push CLIENT IMAGE: pushes the image of the layout.
access_push() {
    local ORAS_SWITCHES=()
    case $1 in
    skopeo) skopeo copy --quiet "oci:$LAYOUT:single" "docker://$E/$2" ;;
    podman)
        podman image exists localhost/access:1 || podman load --quiet --input "$A/image.tar"
        podman push --quiet localhost/access:1 "$E/$2"
        ;;
    docker)
        [[ $(docker images --quiet localhost/access:1) ]] || docker load --quiet --input "$A/image.tar"
        docker tag localhost/access:1 "$E/$2"
        docker push "$E/$2"
        ;;
    crane) crane push "$A/image.tar" "$E/$2" ;;
    regctl) regctl image copy "ocidir://$LAYOUT:single" "$E/$2" ;;
    oras) oras cp --to-ca-file "$tmp/ca/ca.crt" --from-oci-layout "$LAYOUT:single" "$E/$2" ;;
    esac
}

# access_digest IMAGE: the digest of its manifest, as the owner sees it.
access_digest() {
    skopeo inspect --raw --creds "$USER_NAME:$PASSWORD" "docker://$E/$1" >"$tmp/work/raw.json" || return
    echo "sha256:$(sha256sum "$tmp/work/raw.json" | cut -d ' ' -f 1)"
}

# access_denied CLIENT USER SCOPE: what the client says to a user who logged in and
# may not do this: the registry's own words, as each client passes them on.
access_denied() {
    case $1 in
    regctl) echo "unauthorized \[http 403\].*DENIED.*the policy does not let $2 do this: $3\"" ;;
    *) echo "denied: the policy does not let $2 do this: $3" ;;
    esac
}

# access_no_login CLIENT: what it says where nobody logged in.
access_no_login() {
    case $1 in
    skopeo | podman | docker) echo 'denied: requested access to the resource is denied' ;;
    regctl) echo ': unauthorized$' ;;
    *) echo 'unauthorized: the token is not good for this' ;;
    esac
}

# A wrong password for one user by half of the clients and for another by the rest:
# after five in a row everyone has to wait.
access_logins() {
    local user=reader other=writer
    case $1 in skopeo | docker | regctl) user=writer other=reader ;; esac
    if [[ $1 == crane ]]; then
        # It keeps a password without asking whether it is right.
        access_login crane "$user" "password of $other"
        refused "$DENIED" crane ls "$E/public/app"
    else
        refused "$DENIED" access_login "$1" "$user" "password of $other"
    fi
    for user in writer reader stranger; do access_login "$1" "$user" "password of $user"; done
    access_login "$1" "$USER_NAME" "$PASSWORD"
}

access_writer() {
    access_as "$1" writer
    access_push "$1" "team/$1:1"
    access_digest "team/$1:1"
    refused "$(access_denied "$1" writer "repository:public/$1:pull,push")" access_push "$1" "public/$1:1"
}

access_reader() {
    access_as "$1" reader
    same "the digest that came" "$(access_digest "team/$1:1")" "$(access_pull "$1" "team/$1:1")"
    refused "$(access_denied "$1" reader "repository:team/new-$1:pull,push")" access_push "$1" "team/new-$1:1"
}

access_stranger() {
    access_as "$1" stranger
    refused "$(access_denied "$1" stranger "repository:team/$1:pull")" access_pull "$1" "team/$1:1"
}

access_anonymous() {
    access_as "$1" anonymous
    same "the digest that came" "$SINGLE" "$(access_pull "$1" public/app:single)"
    refused "$(access_no_login "$1")" access_push "$1" "public/$1:1"
    refused "$(access_no_login "$1")" access_pull "$1" "team/$1:1"
}

# access_repositories USER:PASSWORD: the catalog, as one line.
access_repositories() {
    local -a creds=()
    [[ $1 ]] && creds=(--user "$1")
    curl --fail --cacert "$tmp/ca/ca.crt" "${creds[@]}" "https://$E/v2/_catalog" | jq -r '.repositories | join(" ")'
}

# access_teams: what the writer pushed.
access_teams() { printf 'team/%s\n' "${ACCESS_CLIENTS[@]}" | sort | xargs; }

access_nothing_new() {
    same "all repositories" "public/app secret/app $(access_teams)" "$(access_repositories "$USER_NAME:$PASSWORD")"
    same "the tags of public/app" 'multi single' \
        "$(skopeo list-tags --creds "$USER_NAME:$PASSWORD" "docker://$E/public/app" | jq -r '.Tags | sort | join(" ")')"
}

# All of it is there, so nothing but the tag is asked for.
access_no_move() {
    local before
    access_as skopeo writer
    skopeo copy --quiet --all --preserve-digests "oci:$LAYOUT:multi" "docker://$E/team/skopeo:multi"
    before=$(access_digest team/skopeo:1)
    access_as skopeo reader
    refused "$(access_denied skopeo reader repository:team/skopeo:pull,push)" \
        skopeo copy --quiet --all --preserve-digests "oci:$LAYOUT:multi" "docker://$E/team/skopeo:1"
    same "where the tag leads" "$before" "$(access_digest team/skopeo:1)"
}

access_one_part() {
    access_as skopeo writer
    refused '403 \(Forbidden\)' access_push skopeo team/deeper/app:1
    refused '403 \(Forbidden\)' access_push skopeo team:1
}

access_catalog() {
    same "the reader's" "public/app $(access_teams)" "$(access_repositories 'reader:password of reader')"
    same "of who has no right" public/app "$(access_repositories 'stranger:password of stranger')"
    same "without a login" public/app "$(access_repositories '')"
}

# access_remove CLIENT IMAGE
access_remove() {
    case $1 in
    skopeo) skopeo delete "docker://$E/$2" ;;
    crane) crane delete "$E/$2" ;;
    regctl) regctl manifest delete --force-tag-dereference "$E/$2" ;;
    oras) oras manifest delete --force "$E/$2" ;;
    esac
}

access_delete() {
    local user said
    for user in writer reader; do
        access_as "$1" "$user"
        said=$(access_denied "$1" "$user" "repository:team/$1:delete")
        # It shows the answer as it came.
        [[ $1 == skopeo ]] && said="DENIED.*the policy does not let $user do this: repository:team/$1:delete.*\(403 Forbidden\)"
        refused "$said" access_remove "$1" "team/$1:1"
    done
    access_as "$1" anonymous
    refused "$DENIED" access_remove "$1" public/app:single
    same "what may not be deleted" "$SINGLE" "$(access_digest public/app:single)"
    access_digest "team/$1:1"
    access_as "$1" "$USER_NAME"
    access_remove "$1" "team/$1:1"
    refused 'manifest unknown|not found' access_digest "team/$1:1"
}

# access_said WORDS: how often the server has said so.
access_said() { grep -c -- "$1" "$tmp/tls-access.log" || true; }

# access_says_again WORDS TIMES
access_says_again() { (($(access_said "$1") > $2)); }

# access_change WORDS COMMAND...: changes files, and waits until the server says
# these words of it.
access_change() {
    local before
    before=$(access_said "$1")
    "${@:2}"
    wait_until access_says_again "$1" "$before"
}

ACCESS_TAKEN='are read again and hold from now on'
ACCESS_REFUSED='the new files are refused, and all that was there before still holds'

access_given() {
    local client
    access_change "$ACCESS_TAKEN" access_policy '"pull", "push"'
    for client in skopeo podman docker crane; do
        access_as "$client" reader
        access_push "$client" "team/new-$client:1"
        access_digest "team/new-$client:1"
    done
    # What nobody gave them is no part of it.
    access_as docker reader
    refused "$(access_denied docker reader repository:public/docker:pull,push)" access_push docker public/docker:1
}

access_add() { access_users "$1" >>"$A/users"; }

access_added() {
    local client
    for client in podman docker; do
        refused "$DENIED" access_login "$client" newcomer "password of newcomer"
    done
    access_change "$ACCESS_TAKEN" access_add newcomer
    for client in podman docker; do
        access_login "$client" newcomer "password of newcomer"
        refused "$(access_denied "$client" newcomer repository:team/new-skopeo:pull)" \
            access_pull "$client" team/new-skopeo:1
        access_pull "$client" public/app:single
    done
}

# It takes the reader's right to push and gives the stranger rights; its last line
# holds an action that is none.
access_broken() {
    local line client
    access_change "$ACCESS_REFUSED" access_policy '"pull"' '' '[[rule]]' 'users = ["stranger"]' \
        'repositories = ["team/*"]' 'actions = ["pull", "puhs"]'
    line=$(grep -n puhs "$A/policy.toml" | cut -d : -f 1)
    matches "the log" "ERROR .*$ACCESS_REFUSED: $A/policy.toml:$line:[0-9]+: .*puhs" "$(grep "$ACCESS_REFUSED" "$tmp/tls-access.log")"
    for client in skopeo docker; do
        access_as "$client" reader
        access_push "$client" "team/new-$client:2"
        access_as "$client" stranger
        refused "$(access_denied "$client" stranger "repository:team/new-$client:pull")" \
            access_pull "$client" "team/new-$client:2"
    done
}

# Both files at once: the reader pulls and no more, the newcomer is gone. The server is
# told, as who changes files may do.
access_as_before() {
    sed '/^newcomer:/d' "$A/users" >"$A/users.new"
    mv "$A/users.new" "$A/users"
    access_policy '"pull"'
    kill -HUP "${pids[tls-access]}"
}

access_repaired() {
    local client
    access_change "$ACCESS_TAKEN.*SIGHUP" access_as_before
    for client in skopeo docker; do
        access_as "$client" reader
        access_pull "$client" "team/new-$client:2"
        refused "$(access_denied "$client" reader "repository:team/new-$client:pull,push")" \
            access_push "$client" "team/new-$client:3"
        refused "$DENIED" access_login "$client" newcomer "password of newcomer"
    done
}

access_one_process() {
    kill -0 "${pids[tls-access]}"
    same "the starts in its log" 1 "$(access_said ' starting version=')"
    if grep -n 'panicked at' "$tmp/tls-access.log"; then return 1; fi
}
