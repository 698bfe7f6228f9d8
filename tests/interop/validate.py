#!/usr/bin/env python3
"""Validates every rendered object with validators that are not ours.

Kinds of Kubernetes itself go through kubernetes-validate, strictly, by the
schemas of the version that the environment names. Custom resources go through
jsonschema, by the schemas that their projects publish with their Go modules,
made strict: a field that the schema doesn't name is an error. A kind that
neither knows fails; nothing is skipped.

Needs: kubernetes-validate, jsonschema and PyYAML; `go` for the module proxy.
Usage: validate.py [folder with environments/ and deploy/, default this one's]
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import tomllib

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate.utils import VersionNotSupportedError

# API group -> the Go module that publishes its CRDs, and where in it they are.
CRDS = {
    "cert-manager.io": ("github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds"),
    "metallb.io": ("go.universe.tf/metallb@v0.16.2", "config/crd/bases"),
}
# Groups without a dot, and those that end so, are Kubernetes' own.
BUILTIN_SUFFIX = ".k8s.io"
KUSTOMIZATION = "kustomization.yaml"


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice; the plain loader takes the last."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise ValueError(f"line {key.start_mark.line + 1}: the key {name!r} stands twice")
            seen.add(name)
        return super().construct_mapping(node, deep)


def load(path):
    documents = [d for d in yaml.load_all(path.read_bytes(), StrictLoader) if d is not None]
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ValueError(f"holds {len(documents)} documents; each file is one object")
    return documents[0]


def strict(schema):
    """The schema with `additionalProperties: false` wherever it names fields."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {}
    for key, value in schema.items():
        # Below `properties` the keys are names of fields, not words of the schema.
        named = key in ("properties", "patternProperties") and isinstance(value, dict)
        literal = key in ("default", "enum", "example")
        if named:
            out[key] = {name: strict(inner) for name, inner in value.items()}
        else:
            out[key] = value if literal else strict(value)
    opened = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not opened:
        out["additionalProperties"] = False
    return out


def module_folder(module):
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            ["go", "mod", "download", "-json", module],
            cwd=empty, capture_output=True, text=True, check=False, timeout=600,
        )
    if done.returncode != 0:
        raise SystemExit(f"cannot get {module}: {done.stderr.strip() or done.stdout.strip()}")
    return pathlib.Path(json.loads(done.stdout)["Dir"])


class Schemas:
    """The schemas of custom resources, fetched once a module."""

    def __init__(self):
        self.groups = {}

    def group(self, group):
        if group not in self.groups:
            module, folder = CRDS[group]
            kinds = {}
            for path in sorted((module_folder(module) / folder).glob("*.yaml")):
                for crd in yaml.safe_load_all(path.read_bytes()):
                    if not crd or crd.get("kind") != "CustomResourceDefinition":
                        continue
                    spec = crd["spec"]
                    for version in spec["versions"] if spec["group"] == group else []:
                        if version.get("served"):
                            schema = strict(version["schema"]["openAPIV3Schema"])
                            scope = spec["scope"]
                            kinds[spec["names"]["kind"], version["name"]] = (scope, schema)
            if not kinds:
                raise SystemExit(f"{module} has no CRD of {group} in {folder}")
            self.groups[group] = kinds
        return self.groups[group]


def validate(document, version, schemas):
    """The errors of one object."""
    api, kind = document.get("apiVersion"), document.get("kind")
    if not (isinstance(api, str) and isinstance(kind, str) and api and kind):
        return [f"apiVersion is {api!r} and kind is {kind!r}; both are texts in every object"]
    group, _, api_version = api.rpartition("/")
    if "." not in group or group.endswith(BUILTIN_SUFFIX):
        return builtin(document, version)
    if group not in CRDS:
        return [f"{kind} of {api}: no schema is known; add its module to CRDS"]
    known = schemas.group(group)
    if (kind, api_version) not in known:
        names = ", ".join(sorted(f"{k}/{v}" for k, v in known))
        return [f"{kind} is not served by {api}; {names} are"]
    scope, schema = known[kind, api_version]
    errors = [
        f"{error.json_path}: {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(document)
    ]
    metadata = document.get("metadata") or {}
    if (scope == "Namespaced") != ("namespace" in metadata):
        errors.append(f"{kind} is {scope}, and its namespace is {metadata.get('namespace')}")
    # A CRD says nothing of metadata: every object has the same.
    carrier = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return errors + builtin(carrier, version)


def builtin(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(str(part) for part in error.path) or "the object"
        return [f"{where}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [f"no schema for {document.get('kind')} in Kubernetes {version}: {error}"]
    except VersionNotSupportedError as error:
        return [error.message]
    return []


def kustomization(path):
    document = load(path)
    others = sorted(p.name for p in path.parent.iterdir() if p.name != path.name)
    errors = []
    if set(document) != {"apiVersion", "kind", "resources"}:
        errors.append(f"has {sorted(document)}; it holds apiVersion, kind and resources alone")
    if document.get("resources") != others:
        errors.append(f"lists {document.get('resources')}, and the folder holds {others}")
    return errors


def main():
    here = pathlib.Path(__file__).resolve().parents[2]
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    schemas, passed, failed = Schemas(), 0, 0
    environments = sorted((root / "environments").glob("*.toml"))
    rendered = {p.name for p in (root / "deploy").iterdir() if p.is_dir()}
    for name in sorted(rendered - {path.stem for path in environments}):
        print(f"FAIL deploy/{name}: there is no environments/{name}.toml")
        failed += 1
    for environment in environments:
        version = tomllib.loads(environment.read_text(encoding="utf-8"))["kubernetes"]
        folder = root / "deploy" / environment.stem
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        if folder / KUSTOMIZATION not in paths:
            print(f"FAIL deploy/{environment.stem}: no {KUSTOMIZATION}; render it first")
            failed += 1
        for path in paths:
            try:
                if path.name == KUSTOMIZATION:
                    errors = kustomization(path)
                else:
                    errors = validate(load(path), version, schemas)
            except (ValueError, yaml.YAMLError, kubernetes_validate.InvalidSchemaError) as error:
                errors = [str(error)]
            for error in errors:
                print(f"FAIL {path.relative_to(root)} (Kubernetes {version}): {error}")
            passed, failed = passed + (not errors), failed + bool(errors)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
