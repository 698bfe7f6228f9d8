# shellcheck shell=bash
# `warren propose` to git servers that are no forge: OpenSSH's sshd with git-shell,
# and git's own http-backend behind nginx, which asks for a password. Who we are is
# known as git knows it: from keys and known hosts, from a credential helper.
# shellcheck disable=SC2154

WARREN_TOOL=${WARREN:-${CARGO_TARGET_DIR:-$root/target}/release/warren}

GIT_HOST=git.example
GIT_USER=anna

propose_cases() {
    [[ $EP == ingress ]] || return 0
    P=$tmp/propose
    SSH_URL=ssh://git@$GIT_HOST:$SSH_PORT$P/home/state.git
    export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
    unset SSH_AUTH_SOCK GIT_SSH GIT_SSH_COMMAND
    unset WARREN_FORGE WARREN_FORGE_API WARREN_FORGE_TOKEN
    printf '127.0.0.1 localhost %s\n' "$GIT_HOST" >/etc/hosts
    check "propose: a repository, and a clone of it" propose_setup
    sshd_start
    git_http_start
    check "propose: sshd answers" wait_until sshd_answers
    check "propose: git answers behind nginx" wait_until git_http_answers

    check "propose, ssh: a first proposal, by GIT_SSH_COMMAND" ssh_first
    check "propose, ssh: it holds this environment's files and nothing else" propose_own_files
    check "propose, ssh: a second run changes nothing" propose_again
    check "propose, ssh: another state updates it" propose_update
    check "propose, ssh: host:path, by the configuration of ssh" ssh_short
    check "propose, ssh: below the home of the user" ssh_home
    check "propose, ssh: the program that GIT_SSH names" ssh_program
    check "propose, ssh: core.sshCommand of the repository" ssh_configured
    check "propose, ssh: a branch that somebody else committed to is left alone" propose_edited
    check "propose, ssh: a branch that moves meanwhile is not overwritten" ssh_moved
    check "propose, ssh: a wrong host key is refused" ssh_host_key
    check "propose, ssh: an unknown host is refused, and nobody is asked" ssh_unknown_host
    check "propose, ssh: a key that is not let in" ssh_denied
    check "propose, ssh: a key that may only read" ssh_read_only
    check "propose, ssh: no such repository" ssh_nothing
    check "propose, ssh: nobody listens" ssh_away
    check "propose, ssh: a hook refuses the branch" propose_hook
    check "propose, ssh: what the hook says is told" propose_hook_says
    check "propose, ssh: a proposal that has become needless is withdrawn" propose_withdrawn

    # What this machine trusts, for us and for git.
    export SSL_CERT_FILE=$tmp/ca/ca.crt GIT_SSL_CAINFO=$tmp/ca/ca.crt
    check "propose, https: the credential helper of the repository" https_first
    check "propose, https: it holds this environment's files and nothing else" propose_own_files
    check "propose, https: a second run changes nothing" propose_again
    check "propose, https: another state updates it" propose_update
    check "propose, https: from another folder, with --root" https_elsewhere
    check "propose, https: a helper that is asked for the one repository" https_path
    check "propose, https: the user in the url, the password from the helper" https_user
    check "propose, https: an expired password is told" https_expired
    check "propose, https: no helper knows one" https_none
    check "propose, https: a renamed repository, 301" https_renamed
    check "propose, https: moved to another host, which is not followed" https_other_host
    check "propose, https: a password goes to no other port" https_other_port
    check "propose, https: no password over plain HTTP" http_plain
    check "propose, https: another authority is not trusted" https_untrusted
    check "propose, https: a branch that somebody else committed to is left alone" propose_edited
    check "propose, https: a hook refuses the branch" propose_hook
    check "propose, https: what the hook says is told" propose_hook_says
    check "propose, https: a proposal that has become needless is withdrawn" propose_withdrawn

    unset SSL_CERT_FILE GIT_SSL_CAINFO
    printf '127.0.0.1 localhost\n::1 %s\n' "$DOMAIN" >/etc/hosts
}

# A user for the server, its repository, and a clone that proposes.
propose_setup() {
    mkdir -p "$P/home" "$HOME/.ssh"
    echo "git:x:988:988::$P/home:$(command -v git-shell)" >>/etc/passwd
    echo 'git:x:988:' >>/etc/group
    echo 'git:*:1::::::' >>/etc/shadow
    # ssh looks into the home of /etc/passwd, whatever HOME says.
    sed -i "s|^\(root:[^:]*:[^:]*:[^:]*:[^:]*\):[^:]*|\1:$HOME|" /etc/passwd
    git config --global user.name Anna
    git config --global user.email anna@example.org
    chown 988:988 "$P/home"
    as_git git init --quiet --bare --initial-branch main "$P/home/state.git"
    mkdir "$P/clone"
    git -C "$root" ls-files -z environments vendor deploy | tar -C "$root" --null --files-from=- -cf - | tar -C "$P/clone" -xf -
    git_clone init --quiet --initial-branch main
    git_clone add .
    git_clone commit --quiet --message state
    git -c safe.directory='*' -C "$P/home/state.git" fetch --quiet "$P/clone" main:main
    chown -R 988:988 "$P/home"
    git_clone remote add origin "$P/home/state.git"
    # What differs beside the environment must not come along.
    echo note >"$P/clone/note"
    echo '# of nobody else' >>"$P/clone/environments/lapin.toml"
}

as_git() { setpriv --reuid 988 --regid 988 --clear-groups env HOME="$P/home" "$@"; }
git_clone() { git -C "$P/clone" "$@"; }
git_there() { as_git git -C "$P/home/state.git" "$@"; }

# As somebody does in the clone.
propose() { (cd "$P/clone" && timeout -k 5 60 "$WARREN_TOOL" propose sandbox --no-pull-request); }

# says PATTERN COMMAND...: the command must succeed, and say so.
says() {
    local output
    output=$("${@:2}" 2>&1) || { printf '%s\n' "$output"; return 1; }
    matches "what it says: ${*:2}" "$1" "$output"
}

# Of the environment's volume, so that there is something to propose.
size() { sed -i -E "s/^size = \"[0-9]+Gi\"/size = \"$1\"/" "$P/clone/environments/sandbox.toml"; }

origin() { git_clone remote set-url origin "$1"; }
# tip [BRANCH]: where the server has it.
tip() { git_there for-each-ref --format '%(objectname)' "refs/heads/${1:-warren/sandbox}"; }

# stays COMMAND...: the server's branch is where it was.
stays() {
    local before
    before=$(tip)
    "$@"
    same "the branch" "$before" "$(tip)"
}

# Whatever else differs in the clone stays there: another environment, a file that git
# does not know, what is staged.
propose_own_files() {
    same "the files" 'deploy/.provenance/sandbox.intoto.json
deploy/sandbox/*.yaml
environments/sandbox.toml' "$(git_there diff --name-only main warren/sandbox | sed 's|^deploy/sandbox/[^/]*\.yaml$|deploy/sandbox/*.yaml|' | sort -u)"
    matches "what is rendered" "$(sed -n 's/^size = "\([0-9]*Gi\)".*/storage: \1/p' "$P/clone/environments/sandbox.toml")" \
        "$(git_there grep --no-color 'storage:' warren/sandbox -- deploy/sandbox)"
    same "its parent" "$(tip main)" "$(git_there rev-parse warren/sandbox^)"
    same "what the clone has open" ' M environments/lapin.toml
 M environments/sandbox.toml
?? note' "$(git_clone status --porcelain)"
    same "the clone's branch" "$(tip main)" "$(git_clone rev-parse HEAD)"
    as_git git -C "$P/home/state.git" fsck --strict
}

propose_again() {
    stays says 'warren/sandbox is there already' propose
}

propose_update() {
    local before
    before=$(tip)
    size 30Gi
    says 'warren/sandbox updated' propose
    [[ $(tip) != "$before" ]]
    propose_own_files
}

# somebody: a commit of somebody else on our branch.
somebody() {
    local tree
    tree=$(git_there rev-parse 'warren/sandbox^{tree}')
    as_git git -C "$P/home/state.git" -c user.name=Berta -c user.email=berta@example.org \
        commit-tree -p warren/sandbox -m 'by hand' "$tree"
}

propose_edited() {
    local before
    before=$(tip)
    git_there update-ref refs/heads/warren/sandbox "$(somebody)"
    size 40Gi
    stays refused 'holds the commit [0-9a-f]{10} of Berta, which is not ours' propose
    git_there update-ref refs/heads/warren/sandbox "$before"
    propose
}

# refusing COMMAND...: while a hook of the server refuses every push.
refusing() {
    local hook=$P/home/state.git/hooks/pre-receive
    (
        trap 'rm "$hook"' EXIT
        printf '#!/bin/sh\necho "the freeze lasts until Monday" >&2\nexit 1\n' >"$hook"
        chmod 0755 "$hook"
        size 50Gi
        stays "$@"
    )
}

propose_hook() { refusing refused 'refused the branch .warren/sandbox.*hook declined' propose; }
# As git does, behind `remote:`.
propose_hook_says() { refusing refused 'the freeze lasts until Monday' propose; }

propose_withdrawn() {
    size 10Gi
    propose
    same "the branch" '' "$(tip)"
}

# ---------------------------------------------------------------- SSH

SSH_PORT=2222

sshd_start() {
    local name
    for name in host_key other_host_key key stranger; do
        ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$P/$name"
    done
    # sshd takes no list of keys from below a folder that everybody may write to.
    mkdir -p /etc/ssh/keys /run/sshd
    cp "$P/key.pub" /etc/ssh/keys/git
    cp "$P/key.pub" /etc/ssh/keys/reader
    cat >"$P/sshd_config" <<CONFIG
ListenAddress 127.0.0.1:$SSH_PORT
HostKey $P/host_key
AuthorizedKeysFile /etc/ssh/keys/%u
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
CONFIG
    # A second name of the same user, who may only read.
    cat >"$P/reader-shell" <<'SHELL'
#!/bin/sh
case $2 in git-upload-pack*) exec git-shell -c "$2" ;; esac
echo 'ERROR: this key may only read' >&2
exit 1
SHELL
    chmod 0755 "$P/reader-shell"
    echo "reader:x:988:988::$P/home:$P/reader-shell" >>/etc/passwd
    echo 'reader:*:1::::::' >>/etc/shadow
    "$(command -v sshd)" -D -e -f "$P/sshd_config" >"$tmp/sshd.log" 2>&1 </dev/null &
    pids[sshd]=$!
    known_hosts host_key >"$P/known_hosts"
    known_hosts other_host_key >"$P/wrong_hosts"
    : >"$P/no_hosts"
}

sshd_answers() { GIT_SSH_COMMAND="$(ssh_words key known_hosts)" git ls-remote --exit-code "$SSH_URL" main; }

known_hosts() { printf '[%s]:%s %s\n' "$GIT_HOST" "$SSH_PORT" "$(cut -d ' ' -f 1,2 "$P/$1.pub")"; }

# ssh_words KEY HOSTS: an ssh with this key and these known hosts, and with nothing
# from any configuration.
ssh_words() { echo "ssh -F /dev/null -i $P/$1 -o IdentitiesOnly=yes -o UserKnownHostsFile=$P/$2 -o GlobalKnownHostsFile=/dev/null"; }

# with_ssh KEY HOSTS COMMAND...
with_ssh() { GIT_SSH_COMMAND="$(ssh_words "$1" "$2")" "${@:3}"; }

ssh_first() {
    size 20Gi
    origin "$SSH_URL"
    says 'warren/sandbox pushed' with_ssh key known_hosts propose
    # From here on, by the user's own configuration.
    cat >"$HOME/.ssh/config" <<CONFIG
Host paas $GIT_HOST
    HostName $GIT_HOST
    Port $SSH_PORT
    User git
    IdentityFile $P/key
    UserKnownHostsFile $P/known_hosts
CONFIG
}

ssh_short() {
    origin "git@paas:$P/home/state.git"
    stays says 'is there already' propose
    size 31Gi
    says 'warren/sandbox updated' propose
}

ssh_home() {
    local url
    for url in paas:state.git 'ssh://paas/~/state.git' 'paas:~git/state.git'; do
        origin "$url"
        stays says 'is there already' propose
    done
}

# without_config COMMAND...: while the user's own configuration of ssh is away.
without_config() {
    (
        trap 'mv "$HOME/.ssh/aside" "$HOME/.ssh/config"' EXIT
        mv "$HOME/.ssh/config" "$HOME/.ssh/aside"
        origin "$SSH_URL"
        "$@"
    )
}

ssh_program() {
    printf '#!/bin/sh\nexec %s "$@"\n' "$(ssh_words key known_hosts)" >"$P/ssh-program"
    chmod 0755 "$P/ssh-program"
    GIT_SSH=$P/ssh-program without_config stays says 'is there already' propose
}

ssh_configured() {
    (
        trap 'git_clone config --unset core.sshCommand' EXIT
        git_clone config core.sshCommand "$(ssh_words key known_hosts)"
        # By git, so that it is no fault of the case.
        without_config git_clone ls-remote origin
        without_config stays says 'is there already' propose
    )
}

# Between the look and the push, and again while the push is on its way.
ssh_moved() {
    local ours other hook=$P/home/state.git/hooks/pre-receive
    ours=$(tip)
    other=$(somebody)
    size 41Gi
    cat >"$P/ssh-moving" <<SHELL
#!/bin/sh
case "\$*" in *git-receive-pack*)
    setpriv --reuid 988 --regid 988 --clear-groups git -C "$P/home/state.git" update-ref refs/heads/warren/sandbox $other
esac
exec ssh "\$@"
SHELL
    chmod 0755 "$P/ssh-moving"
    GIT_SSH=$P/ssh-moving refused 'moved while we worked: somebody else pushed' propose
    same "the branch" "$other" "$(tip)"
    git_there update-ref refs/heads/warren/sandbox "$ours"
    (
        trap 'rm "$hook"' EXIT
        printf '#!/bin/sh\nenv -u GIT_QUARANTINE_PATH git update-ref refs/heads/warren/sandbox %s\n' "$other" >"$hook"
        chmod 0755 "$hook"
        refused 'refused the branch .warren/sandbox' propose
        same "the branch" "$other" "$(tip)"
    )
    git_there update-ref refs/heads/warren/sandbox "$ours"
    propose
}

ssh_host_key() {
    size 42Gi
    stays with_ssh key wrong_hosts refused 'Host key for .* has changed' propose
    stays with_ssh key wrong_hosts refused "nothing was proposed: $SSH_URL can't be used" propose
}

ssh_unknown_host() {
    stays with_ssh key no_hosts refused 'Host key verification failed' propose
}

ssh_denied() {
    stays with_ssh stranger known_hosts refused 'Permission denied \(publickey\)' propose
}

ssh_read_only() {
    origin "ssh://reader@$GIT_HOST:$SSH_PORT$P/home/state.git"
    stays refused 'ERROR: this key may only read' propose
    origin "$SSH_URL"
}

ssh_nothing() {
    origin "ssh://git@$GIT_HOST:$SSH_PORT/srv/nothing.git"
    refused "'/srv/nothing.git' does not appear to be a git repository" propose
    origin "$SSH_URL"
}

ssh_away() {
    origin "ssh://git@$GIT_HOST:9$P/home/state.git"
    refused 'Connection refused' propose
    origin "$SSH_URL"
}

# ---------------------------------------------------------------- HTTP

HTTPS_URL=https://$GIT_HOST:9446/state.git

git_http_start() {
    local base=$P/http
    mkdir -p "$base"
    printf '%s:%s\n' "$GIT_USER" "$(openssl passwd -apr1 "$PASSWORD")" >"$base/htpasswd"
    chown 988:988 "$base"
    (umask 0 && exec setpriv --reuid 988 --regid 988 --clear-groups env HOME="$P/home" \
        fcgiwrap -s "unix:$base/socket") >"$tmp/fcgiwrap.log" 2>&1 </dev/null &
    pids[fcgiwrap]=$!
    cat >"$base/git.conf" <<CONFIG
location / {
    auth_basic git;
    auth_basic_user_file $base/htpasswd;
    client_max_body_size 0;
    fastcgi_pass unix:$base/socket;
    fastcgi_param SCRIPT_FILENAME $(git --exec-path)/git-http-backend;
    fastcgi_param GIT_HTTP_EXPORT_ALL "";
    fastcgi_param GIT_PROJECT_ROOT $P/home;
    fastcgi_param PATH_INFO \$uri;
    fastcgi_param QUERY_STRING \$query_string;
    fastcgi_param REMOTE_USER \$remote_user;
    fastcgi_param REQUEST_METHOD \$request_method;
    fastcgi_param CONTENT_TYPE \$content_type;
    fastcgi_param CONTENT_LENGTH \$content_length;
}
CONFIG
    cat >"$base/nginx.conf" <<CONFIG
daemon off;
user git git;
worker_processes 1;
pid $base/pid;
error_log stderr warn;
events {}
http {
    log_format who '\$server_port \$request_uri "\$http_authorization"';
    access_log $base/access.log who;
    client_body_temp_path $base/body;
    proxy_temp_path $base/proxy;
    fastcgi_temp_path $base/fastcgi;
    uwsgi_temp_path $base/uwsgi;
    scgi_temp_path $base/scgi;
    ssl_certificate $tmp/cert.pem;
    ssl_certificate_key $tmp/key.pem;
    server {
        listen 127.0.0.1:9446 ssl;
        server_name $GIT_HOST;
        location /renamed.git/ { rewrite ^/renamed.git/(.*)$ /state.git/\$1 permanent; }
        location /moved.git/ { rewrite ^/moved.git/(.*)$ https://localhost:9446/state.git/\$1 permanent; }
        location /port.git/ { rewrite ^/port.git/(.*)$ https://$GIT_HOST:9447/state.git/\$1 permanent; }
        include $base/git.conf;
    }
    server {
        listen 127.0.0.1:9447 ssl;
        server_name $GIT_HOST;
        return 404;
    }
    server {
        listen 127.0.0.1:9480;
        server_name $GIT_HOST;
        include $base/git.conf;
    }
}
CONFIG
    nginx -c "$base/nginx.conf" >"$tmp/git-nginx.log" 2>&1 </dev/null &
    pids[git-nginx]=$!
}

git_http_answers() {
    curl --fail --cacert "$tmp/ca/ca.crt" --user "$GIT_USER:$PASSWORD" \
        "$HTTPS_URL/info/refs?service=git-upload-pack" --output "$tmp/work/refs"
}

# knows PASSWORD: the helper of the clone's own configuration knows this one. Its
# file is written as `git credential-store` writes it.
knows() {
    printf 'https://%s:%s@%s\n' "$GIT_USER" "$(jq -rn --arg text "$1" '$text | @uri')" "$GIT_HOST%3a9446" >"$P/credentials"
    git_clone config credential.helper "store --file=$P/credentials"
}

https_first() {
    origin "$HTTPS_URL"
    knows "$PASSWORD"
    size 20Gi
    git_clone ls-remote origin
    says 'warren/sandbox pushed' propose
}

https_elsewhere() {
    (
        cd /
        stays says 'is there already' timeout -k 5 60 "$WARREN_TOOL" --root "$P/clone" propose sandbox --no-pull-request
    )
}

# git names the path of the repository to a helper where it is told to.
https_path() {
    (
        trap 'git_clone config --unset credential.useHttpPath; knows "$PASSWORD"' EXIT
        git_clone config credential.useHttpPath true
        printf 'https://%s:%s@%s/state.git\n' "$GIT_USER" "$(jq -rn --arg text "$PASSWORD" '$text | @uri')" "$GIT_HOST%3a9446" >"$P/credentials"
        stays says 'is there already' propose
    )
}

https_user() {
    (
        trap 'origin "$HTTPS_URL"' EXIT
        origin "https://$GIT_USER@$GIT_HOST:9446/state.git"
        git_clone ls-remote origin
        stays says 'is there already' propose
    )
}

https_expired() {
    (
        trap 'knows "$PASSWORD"' EXIT
        knows "no-longer-$PASSWORD"
        stays refused 'answered 401' propose
        stays refused 'wrong or has expired' propose
        if propose 2>&1 | grep -F "no-longer"; then return 1; fi
    )
}

https_none() {
    (
        trap 'knows "$PASSWORD"' EXIT
        git_clone config --unset credential.helper
        stays refused 'the token is missing' propose
    )
}

https_renamed() {
    (
        trap 'origin "$HTTPS_URL"' EXIT
        origin "https://$GIT_HOST:9446/renamed.git"
        stays says 'is there already' propose
        size 32Gi
        says 'warren/sandbox updated' propose
        propose_own_files
    )
}

# It is the remote's url that has to change, and nothing of the upstream.
https_other_host() {
    local said
    (
        trap 'origin "$HTTPS_URL"' EXIT
        origin "https://$GIT_HOST:9446/moved.git"
        stays refused "redirects to another host, localhost, which is not followed" propose
        said=$(propose 2>&1 || true)
        if grep -F 'trow.contract.toml' <<<"$said"; then return 1; fi
    )
}

# Whoever has another port of the host is somebody else.
https_other_port() {
    (
        trap 'origin "$HTTPS_URL"' EXIT
        origin "https://$GIT_HOST:9446/port.git"
        stays refused "$GIT_HOST" propose
        same "what port 9447 was told" '' "$(grep '^9447 .*Basic' "$P/http/access.log")"
    )
}

http_plain() {
    (
        trap 'origin "$HTTPS_URL"; knows "$PASSWORD"' EXIT
        origin "http://$GIT_HOST:9480/state.git"
        git_clone config credential.helper "!f() { echo asked >>$P/asked; echo username=$GIT_USER; echo password=$PASSWORD; }; f"
        stays refused 'not sent over plain HTTP' propose
        same "what went over plain HTTP" '' "$(grep '^9480 .*Basic' "$P/http/access.log")"
        if [[ -e $P/asked ]]; then echo "the helper was asked"; return 1; fi
        refused 'plain HTTP' propose
    )
}

https_untrusted() {
    SSL_CERT_FILE=$tmp/foreign-ca/ca.crt stays refused 'UnknownIssuer|certificate' propose
}
