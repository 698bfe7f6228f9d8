# shellcheck shell=bash
# A real API server with its real controllers, over Debian's etcd, and a played node,
# for the suites that deliver to one. Beside tests/interop/lib.sh.
# shellcheck disable=SC2034,SC2154 # some are the suites'; tmp, root and python are set by them

etcd_port=$(free_port) peer_port=$(free_port) port=$(free_port) controllers_port=$(free_port)
server=https://127.0.0.1:$port
CONTEXT=kubernetes-admin@sandbox

etcd_start() {
    etcd --data-dir "$tmp/etcd" --listen-client-urls "http://127.0.0.1:$etcd_port" \
        --advertise-client-urls "http://127.0.0.1:$etcd_port" \
        --listen-peer-urls "http://127.0.0.1:$peer_port" \
        --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" \
        --initial-cluster "default=http://127.0.0.1:$peer_port" >"$tmp/etcd.log" 2>&1 &
    pids[etcd]=$!
}

api_start() {
    "$apiserver/kube-apiserver" --etcd-servers="http://127.0.0.1:$etcd_port" \
        --bind-address=127.0.0.1 --secure-port="$port" --cert-dir="$tmp/certs" \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file="$tmp/sa.key" --service-account-signing-key-file="$tmp/sa.key" \
        --token-auth-file="$tmp/tokens.csv" --authorization-mode=RBAC \
        --service-cluster-ip-range=10.0.0.0/24 \
        --endpoint-reconciler-type=none >"$tmp/api.log" 2>&1 &
    pids[api]=$!
    until_ok api api GET /readyz
}

# until_ok NAME COMMAND...: until the command says ok, or what was started under this
# name is gone, or a minute is over.
until_ok() {
    local name=$1 _
    shift
    for _ in $(seq 240); do
        [[ $("$@" 2>/dev/null) == ok ]] && return
        kill -0 "${pids[$name]}" 2>/dev/null || break
        sleep 0.25
    done
    echo "$name did not become ready" >&2
    tail -n 20 "$tmp/$name.log" >&2
    return 1
}

# api METHOD PATH [TYPE]: asks as the administrator; a body comes on stdin.
api() {
    local -a more=()
    [[ $# == 3 ]] && more=(-H "Content-Type: $3" --data-binary @-)
    command curl --silent --show-error --max-time 30 --cacert "$tmp/certs/apiserver.crt" \
        -H 'Authorization: Bearer admin' -X "$1" "${more[@]}" "$server$2"
}

# edit PATH JSON MANAGER: what a human does by kubectl edit.
edit() {
    printf '%s' "$2" | api PATCH "$1?fieldManager=$3" application/merge-patch+json >"$tmp/edited" &&
        [[ $(jq -r .kind "$tmp/edited") != Status ]]
}

# The controllers of what is delivered, and what they rely on. Nothing here is to
# age: no garbage of pods whose node is gone, no certificates, no tokens.
CONTROLLERS=statefulset-controller,disruption-controller,endpointslice-controller
CONTROLLERS+=,persistentvolume-binder-controller,persistentvolume-protection-controller
CONTROLLERS+=,persistentvolumeclaim-protection-controller,garbage-collector-controller
CONTROLLERS+=,namespace-controller,serviceaccount-controller

controllers_start() {
    "$manager/kube-controller-manager" --kubeconfig="$tmp/controllers.kubeconfig" \
        --bind-address=127.0.0.1 --secure-port="$controllers_port" --cert-dir="$tmp/controllers" \
        --leader-elect=false --use-service-account-credentials=false \
        --controllers="$CONTROLLERS" >"$tmp/controllers.log" 2>&1 &
    pids[controllers]=$!
    # Its certificate is one that it made for itself.
    until_ok controllers command curl --silent --insecure "https://127.0.0.1:$controllers_port/healthz"
}

# The group ids whose containers end at once, a line each.
BROKEN=$tmp/broken

node_start() {
    : >"$BROKEN"
    printf '{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1","labels":{"kubernetes.io/hostname":"n1"}}}' |
        api POST /api/v1/nodes application/json >/dev/null
    "$python" "$root/tests/cluster/node.py" "$server" "$tmp/certs/apiserver.crt" node trow "$BROKEN" >"$tmp/node.log" 2>&1 &
    pids[node]=$!
}

# issued: writes what cert-manager would write of its issuer.
issued() {
    api GET "$ISSUER" | jq '.status.conditions = [{type: "Ready", status: "True",
        lastTransitionTime: "2026-01-01T00:00:00Z"}]' |
        api PUT "$ISSUER/status" application/json >"$tmp/issued"
    same "the issuer" ClusterIssuer "$(jq -r .kind "$tmp/issued")"
}

# until_is WHAT EXPECTED COMMAND...: until the command says so, for 30 s.
until_is() {
    local what=$1 expected=$2 found _
    shift 2
    for _ in $(seq 150); do
        found=$("$@" 2>/dev/null) || true
        [[ $found == "$expected" ]] && return
        sleep 0.2
    done
    same "$what" "$expected" "$found"
}

# field FILTER PATH: what jq finds in an object.
field() { api GET "$2" | jq -r "$1"; }

SET=/apis/apps/v1/namespaces/trow/statefulsets/trow-set
SERVICE=/api/v1/namespaces/trow/services/trow-svc
POD=/api/v1/namespaces/trow/pods/trow-set-0
CLAIM=/api/v1/namespaces/trow/persistentvolumeclaims/data-vol-trow-set-0
VOLUME=/api/v1/persistentvolumes/trow-data-hostpath-pv
LOCAL=/api/v1/persistentvolumes/trow-data-local-pv
LEASE=/apis/coordination.k8s.io/v1/namespaces/trow/leases/warren-sandbox
ISSUER=/apis/cert-manager.io/v1/clusterissuers/ca-issuer
POOL=/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/trow
L2=/apis/metallb.io/v1beta1/namespaces/metallb-system/l2advertisements/trow
ACCOUNT=/api/v1/namespaces/trow/serviceaccounts/trow
INGRESS=/apis/networking.k8s.io/v1/namespaces/trow/ingresses/trow-ingress

# module PACKAGE@VERSION: the folder of a Go module.
module() { (cd "$tmp" && GOFLAGS=-mod=mod GO111MODULE=on go mod download -json "$1" | jq -r .Dir); }

definitions() {
    local group row folder
    for group in cert-manager.io metallb.io argoproj.io source.toolkit.fluxcd.io kustomize.toolkit.fluxcd.io; do
        row=$(cd "$root/tests/schema" && "$python" -c "
import modules
print(*modules.CRDS['$group'])") || return 1
        folder=$(module "${row%% *}") || return 1
        "$python" -c '
import glob, json, sys, yaml
for file in sorted(glob.glob(sys.argv[1])):
    for crd in yaml.load_all(open(file), yaml.SafeLoader):
        if crd and crd.get("kind") == "CustomResourceDefinition":
            print(json.dumps(crd))' "$folder/${row##* }" >"$tmp/crds" || return 1
        while IFS= read -r crd; do
            name=$(jq -r .metadata.name <<<"$crd")
            path=/apis/apiextensions.k8s.io/v1/customresourcedefinitions/$name
            printf '%s' "$crd" | api PATCH "$path?fieldManager=suite&force=true" application/apply-patch+yaml >"$tmp/crd"
            [[ $(jq -r .kind "$tmp/crd") == CustomResourceDefinition ]] || { head -c 2000 "$tmp/crd"; return 1; }
        done <"$tmp/crds"
    done
    for name in cert-manager metallb-system argocd flux-system; do
        printf '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"%s"}}' "$name" |
            api POST /api/v1/namespaces application/json >/dev/null
    done
}

start() {
    set -e
    openssl genrsa -out "$tmp/sa.key" 2048 2>/dev/null
    printf '%s\n' 'admin,admin,1,"system:masters"' 'dev,dev,2,"devs"' 'ops,ops,3,"ops"' \
        'node,system:node:n1,4,"system:masters"' \
        'controllers,system:kube-controller-manager,5,"system:masters"' >"$tmp/tokens.csv"
    cat >"$tmp/kubeconfig" <<EOF
apiVersion: v1
kind: Config
current-context: nowhere
clusters: [{name: c, cluster: {server: "$server", certificate-authority: $tmp/certs/apiserver.crt}}]
users:
- {name: admin, user: {token: admin}}
- {name: dev, user: {token: dev}}
- {name: ops, user: {token: ops}}
- {name: old, user: {token: expired}}
- {name: controllers, user: {token: controllers}}
contexts:
- {name: $CONTEXT, context: {cluster: c, user: admin}}
- {name: dev, context: {cluster: c, user: dev}}
- {name: ops, context: {cluster: c, user: ops}}
- {name: controllers, context: {cluster: c, user: controllers}}
- {name: old, context: {cluster: c, user: old}}
EOF
    sed 's/^current-context: .*/current-context: controllers/' "$tmp/kubeconfig" >"$tmp/controllers.kubeconfig"
    mkdir -p "$tmp/repo"
    cp -r "$root/environments" "$root/vendor" "$tmp/repo/"
    set +e
}

# cluster_build: builds what it is made of; cluster_start: starts it all.
cluster_build() {
    apiserver=$("$root/tests/go-tool" kube-apiserver) && manager=$("$root/tests/go-tool" kube-controller-manager)
}
cluster_start() {
    start || return
    etcd_start
    api_start && definitions && controllers_start && node_start
}
