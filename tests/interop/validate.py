#!/usr/bin/env python3
"""Validates the committed manifests against schemas which we did not write.

    validate.py [--root DIR] [--rendered DIR] [--toml]

Each object of deploy/<environment>/*.yaml is held against the Kubernetes
version of environments/<environment>.toml, strictly: a field that the schema
does not know is a failure, and so are a kind without a schema and a key that
stands twice. Custom resources are held against the CRDs in the Go modules of
their projects. The kustomization lists the other files of its folder, all of
them and nothing else.

With --toml, each environment is held against environments/schema.json as well.

Needs Python 3.11 and `pip install kubernetes-validate jsonschema pyyaml`, and
`go` for the CRDs. The exit code is 1 when an object failed, 2 when there was
nothing to validate or a tool is missing.
"""

import argparse
import copy
import functools
import json
import pathlib
import sys
import tomllib

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate.utils import VersionNotSupportedError

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/schema"))

import modules  # noqa: E402

KUSTOMIZATION = "kustomization.yaml"


class Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which the plain loader takes the last."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                problem = f"the key {name!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


class CrdLoader(yaml.CSafeLoader):
    """Takes `=` for the text that it is."""


CrdLoader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--rendered", type=pathlib.Path, help="instead of ROOT/deploy")
    parser.add_argument("--toml", action="store_true", help="validate the environments too")
    arguments = parser.parse_args()
    rendered = arguments.rendered or arguments.root / "deploy"

    passed = failed = 0
    for settings in sorted((arguments.root / "environments").glob("*.toml")):
        version = tomllib.loads(settings.read_text())["kubernetes"]
        if arguments.toml:
            reasons = check_settings(arguments.root, settings)
            for reason in reasons:
                print(f"FAIL {settings}: {reason}", file=sys.stderr)
            failed += bool(reasons)
            passed += not reasons
        files = sorted((rendered / settings.stem).glob("*.yaml"))
        files = [file for file in files if file.name != KUSTOMIZATION]
        if not files:
            print(f"FAIL {rendered / settings.stem}: no manifests", file=sys.stderr)
            failed += 1
        else:
            files.append(rendered / settings.stem / KUSTOMIZATION)
        for file in files:
            listing = file.name == KUSTOMIZATION
            reasons = check_listing(file) if listing else check(file, version)
            for reason in reasons:
                print(f"FAIL {file}: {reason}", file=sys.stderr)
            failed += bool(reasons)
            passed += not reasons
    print(f"{passed} passed, {failed} failed")
    if passed + failed == 0:
        return 2
    return 1 if failed else 0


def check_settings(root, file):
    """The reasons why an environment is none by the JSON Schema for editors."""
    schema = json.loads((root / "environments" / "schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    errors = jsonschema.Draft7Validator(schema).iter_errors(tomllib.loads(file.read_text()))
    return [f"{error.json_path}: {error.message}" for error in errors]


def check(file, version):
    """The reasons why a file of manifests is invalid, none if it is valid."""
    try:
        objects = list(yaml.load_all(file.read_text(), Loader))
    except yaml.YAMLError as error:
        return [f"not YAML: {error}"]
    objects = [it for it in objects if it is not None]
    if not objects:
        return ["holds no object"]
    return [reason for it in objects for reason in check_object(it, version)]


def check_listing(file):
    """The reasons why a folder's kustomization.yaml does not list the folder."""
    try:
        it = yaml.load(file.read_text(), Loader)
    except (OSError, yaml.YAMLError) as error:
        return [str(error)]
    there = sorted(other.name for other in file.parent.iterdir() if other != file)
    if not isinstance(it, dict) or set(it) != {"apiVersion", "kind", "resources"}:
        return ["holds something else than apiVersion, kind and resources"]
    return [] if it["resources"] == there else [f"lists {it['resources']}, there is {there}"]


def check_object(it, version):
    if not isinstance(it, dict) or not isinstance(it.get("apiVersion"), str):
        return ["not an object with an apiVersion"]
    group = it["apiVersion"].rpartition("/")[0]
    if group in modules.CRDS:
        return check_custom(it, group, version)
    return check_builtin(it, version)


def check_builtin(it, version):
    name = f"{it.get('kind')} {(it.get('metadata') or {}).get('name')}"
    if it.get("kind") == "Secret" and "sops" in it:
        # Flux decrypts it, and takes what SOPS added out, before the API server
        # sees it. The values are not base64 until then.
        it = {key: value for key, value in it.items() if key != "sops"}
    try:
        kubernetes_validate.validate(it, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{name}: {'.'.join(map(str, error.path))}: {error.message}"]
    except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError):
        return [f"{name}: no schema for {it['apiVersion']} in Kubernetes {version}"]
    except VersionNotSupportedError as error:
        return [error.message]
    return []


def check_custom(it, group, version):
    api_version, kind = it["apiVersion"], it.get("kind")
    schema, scope = custom_schemas(group).get((api_version, kind), (None, None))
    if schema is None:
        return [f"no schema for {api_version} {kind} in {modules.CRDS[group][0]}"]
    errors = jsonschema.Draft202012Validator(schema).iter_errors(it)
    reasons = [f"{kind}: {error.json_path}: {error.message}" for error in errors]
    # A CRD says nothing about metadata; a built-in kind does.
    bearer = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": it.get("metadata")}
    metadata = [reason.replace("ConfigMap", str(kind), 1) for reason in check_builtin(bearer, version)]
    namespace = (it.get("metadata") or {}).get("namespace")
    if (scope == "Namespaced") != (namespace is not None):
        metadata.append(f"{kind}: is {scope}, and its namespace is {namespace}")
    return reasons + metadata


@functools.cache
def custom_schemas(group):
    """The strict schema and the scope of a group's kinds, by (apiVersion, kind)."""
    module, files = modules.CRDS[group]
    schemas = {}
    for file in sorted(modules.download(module).glob(files)):
        for crd in yaml.load_all(file.read_text(), CrdLoader):
            if not crd or crd.get("kind") != "CustomResourceDefinition":
                continue
            spec = crd["spec"]
            for version in spec["versions"]:
                if version.get("served"):
                    schema = strict(copy.deepcopy(version["schema"]["openAPIV3Schema"]))
                    key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    schemas[key] = (schema, spec["scope"])
    return schemas


def strict(schema):
    """Closes every object that lists its fields, and turns OpenAPI's own words
    into JSON Schema's."""
    if not isinstance(schema, dict):
        return schema
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
        # The alternatives that CRDs repeat here say the same.
        schema.pop("anyOf", None)
        schema["type"] = ["integer", "string"]
    if schema.pop("nullable", False) and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields", False)
    if "properties" in schema and not open_ended:
        schema.setdefault("additionalProperties", False)
    for field in schema.get("properties", {}).values():
        strict(field)
    for word in ("items", "additionalProperties"):
        strict(schema.get(word))
    # allOf, anyOf, oneOf and not only narrow what `properties` above them lists
    # (Kubernetes calls such a schema structural): closing them would refuse it.
    return schema


if __name__ == "__main__":
    sys.exit(main())
