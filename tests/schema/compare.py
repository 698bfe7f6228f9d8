#!/usr/bin/env python3
"""Compares the strict check with validators that are not ours.

    compare.py [--strict PROGRAM] [--versions 1.25,1.33,1.37] [--show N]

The manifests of tests/schema/manifests and of deploy/ are taken as they are,
and broken in every way that can be made up: each key renamed, each key removed,
each value turned into one of another type, and in custom resources into ones beyond
any limit. Each of these objects is judged by
`examples/strict.rs` and by kubernetes-validate (custom resources by jsonschema
with the CRD), and they have to agree.

Ours refuses more, and knows why: text that is no base64, quantity or time, null in
a list, namespaces, and of Kubernetes' own kinds the values that an enum does not
have. Those alone are no disagreement, and are counted.

Needs what tests/interop/validate.py needs. The exit code is 1 when the two
disagree.
"""

import argparse
import copy
import functools
import json
import multiprocessing
import pathlib
import subprocess
import sys
import tempfile

import kubernetes_validate.utils
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/interop"))

import custom  # noqa: E402
import modules  # noqa: E402
import validate  # noqa: E402

# What only ours looks at.
OURS = {"field-value", "repeated-element", "deprecated-field", "deprecated-api", "alpha-api", "namespace"}
OURS_WORDS = ("is no base64", "is no quantity", "is no time", "does not fit in", "is null")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strict", default=str(ROOT / "target/debug/examples/strict"))
    parser.add_argument("--versions", default="1.25,1.29,1.33,1.37")
    parser.add_argument("--show", type=int, default=20)
    arguments = parser.parse_args()

    # Read once what it reads for each object.
    kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
    # Faster, and it takes `=` for a text, as one of the CRDs wants it.
    yaml.safe_load_all = lambda text: yaml.load_all(text, custom.Loader)
    modules.CRDS.update(groups())

    documents = sorted((ROOT / "tests/schema/manifests").glob("*.yaml")) + sorted(ROOT.glob("deploy/*/*.yaml"))
    objects = [it for file in documents for it in yaml.safe_load_all(file.read_text()) if it]
    objects = [it for it in objects if not it["apiVersion"].startswith("kustomize.config")]
    cases = [(change, it) for whole in objects for change, it in mutants(whole)]
    versions = arguments.versions.split(",")
    # A process for each version, one for each core at a time, that have what is here.
    with multiprocessing.get_context("fork").Pool() as pool:
        compared = pool.map(functools.partial(compare, arguments.strict, cases), versions, chunksize=1)
    disagreements = [it for found, _ in compared for it in found]
    stricter = sum(count for _, count in compared)
    for version, change, it, errors, theirs in disagreements[: arguments.show]:
        print(f"{version} {it.get('kind')}: {change}\n  ours:   {errors}\n  theirs: {theirs}", file=sys.stderr)
    count = len(cases) * len(versions)
    print(f"{count} objects, {len(disagreements)} disagreements, {stricter} refused by ours alone")
    print(f"{count - len(disagreements)} passed, {len(disagreements)} failed")
    return 1 if disagreements else 0


def compare(program, cases, version):
    """The disagreements in one version, and how many objects ours alone refuses."""
    disagreements, stricter = [], 0
    verdicts = ours(program, version, [it for _, it in cases])
    for (change, it), faults in zip(cases, verdicts, strict=True):
        theirs = [reason for reason in validate.check_object(it, version) if not only_theirs(reason)]
        errors = [fault for fault in faults if not fault["warning"]]
        agreed = [fault for fault in errors if not only_ours(fault, is_custom(it))]
        stricter += bool(errors) and not agreed and not theirs
        if (theirs and not errors) or (agreed and not theirs):
            disagreements.append((version, change, it, errors, theirs))
    return disagreements, stricter


def only_theirs(reason):
    # No default is filled in before a `oneOf` is asked, as the API server does.
    return "is valid under each of" in reason


def only_ours(fault, custom):
    words = any(word in fault["message"] for word in OURS_WORDS)
    if fault["code"] == "field-value":
        return not custom
    return fault["code"] in OURS or (fault["code"] == "field-type" and words)


def is_custom(it):
    return it["apiVersion"].partition("/")[0] in modules.CRDS


def ours(program, version, objects):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        # JSON is YAML, and says what is a text.
        file.write("".join(f"---\n{json.dumps(it)}\n" for it in objects))
        file.flush()
        done = subprocess.run([program, version, file.name], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@functools.cache
def groups():
    """The module of each API group with a CRD, and where in it that is."""
    found = {}
    for module, where in modules.CRDS.values():
        for file in modules.download(module).glob(where):
            for crd in yaml.load_all(file.read_text(), custom.Loader):
                if crd and crd.get("kind") == "CustomResourceDefinition":
                    found[crd["spec"]["group"]] = (module, where)
    return found


def mutants(whole):
    """The object, and each way of breaking one of its fields."""
    yield "as it is", whole
    for path in paths(whole):
        name = ".".join(map(str, path))
        *parents, last = path
        for change, apply in changes(get(whole, path), last):
            it = copy.deepcopy(whole)
            apply(get(it, parents))
            yield f"{name}: {change}", it
        if is_custom(whole) and path[0] != "metadata":
            for other in beyond(get(whole, path)):
                it = copy.deepcopy(whole)
                get(it, parents)[last] = other
                yield f"{name}: {str(other)[:40]}", it


def changes(value, last):
    if isinstance(last, str):
        yield "removed", lambda parent: parent.pop(last)
        yield "renamed", lambda parent: parent.update({last + "X": parent.pop(last)})
    kinds = {"text": "text", "number": 7, "bool": True, "list": [{"a": "b"}], "mapping": {"a": {"b": "c"}}}
    for kind, other in kinds.items():
        if type(other) is not type(value) or kind == "text":
            yield f"a {kind}", lambda parent, other=other: parent.__setitem__(last, other)


def beyond(value):
    """Values of the same type that some limit may not allow."""
    if isinstance(value, bool):
        return []
    if isinstance(value, str):
        return ["", "x", "x" * 300, "a b", "10.0.0.0/8", "1h30m", "https://example.com/a"]
    if isinstance(value, int):
        return [-1, 0, 1, 70000]
    if isinstance(value, list):
        return [[], value * 70]
    return [{}]


def paths(value, path=()):
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        # Without them nobody knows what to hold it against.
        if path + (key,) in [("apiVersion",), ("kind",)]:
            continue
        if path + (key,) != ("metadata",):
            yield (*path, key)
        yield from paths(child, (*path, key))


def get(value, path):
    return functools.reduce(lambda value, key: value[key], path, value)


if __name__ == "__main__":
    sys.exit(main())
