"""The Go modules that schemas come from, and how to get them."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

# The API group of custom resources, the module with their CRDs, and where there.
CRDS = {
    "cert-manager.io": ("github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds/*.yaml"),
    "gateway.networking.k8s.io": ("sigs.k8s.io/gateway-api@v1.6.3", "config/crd/standard/*.yaml"),
    "metallb.io": ("go.universe.tf/metallb@v0.16.2", "config/crd/bases/*.yaml"),
    "monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/*.yaml",
    ),
    "external-secrets.io": (
        "github.com/external-secrets/external-secrets@v1.3.2",
        "config/crds/bases/*.yaml",
    ),
    "bitnami.com": (
        "github.com/bitnami-labs/sealed-secrets@v0.40.0",
        "helm/sealed-secrets/crds/*.yaml",
    ),
    "traefik.io": (
        "github.com/traefik/traefik/v3@v3.7.13",
        "docs/content/reference/dynamic-configuration/traefik.io_*.yaml",
    ),
    "argoproj.io": ("github.com/argoproj/argo-cd/v3@v3.5.7", "manifests/crds/*.yaml"),
    "kustomize.toolkit.fluxcd.io": (
        "github.com/fluxcd/kustomize-controller@v1.9.6",
        "config/crd/bases/*.yaml",
    ),
    "source.toolkit.fluxcd.io": (
        "github.com/fluxcd/source-controller@v1.9.6",
        "config/crd/bases/*.yaml",
    ),
}


def download(module):
    """The folder of a module, in Go's own cache."""
    # Outside of any module, so that no go.mod has a say.
    with tempfile.TemporaryDirectory() as empty:
        command = ["go", "mod", "download", "-json", module]
        environment = {**os.environ, "GO111MODULE": "on", "GOWORK": "off", "GOFLAGS": "-mod=mod"}
        try:
            done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
        except FileNotFoundError:
            print("cannot fetch the schemas: `go` is not installed", file=sys.stderr)
            raise SystemExit(2) from None
    answer = json.loads(done.stdout or "{}")
    if done.returncode or "Dir" not in answer:
        print(f"cannot fetch {module}: {answer.get('Error') or done.stderr}", file=sys.stderr)
        raise SystemExit(2)
    return pathlib.Path(answer["Dir"])
