"""Kubernetes' own kinds and types, of every version."""

import json
import re

import modules
from table_format import EVERY, Field, Kind, Table, Type

# One release of each minor version. The last of them serve as well as the
# first: fields come with minor versions only.
RELEASES = (
    "v1.25.16 v1.26.15 v1.27.16 v1.28.15 v1.29.6 v1.30.14 v1.31.14 v1.32.13 v1.33.13 v1.34.4 "
    "v1.35.4 v1.36.3 v1.37.2"
).split()

# Where versions, and those that are gone, say how long they live.
LIFE_CYCLES = [
    "k8s.io/api@v0.22.17",
    "k8s.io/api@v0.25.16",
    "k8s.io/api@v0.31.14",
    "k8s.io/api@v0.37.2",
    "k8s.io/apiextensions-apiserver@v0.37.2",
    "k8s.io/kube-aggregator@v0.37.2",
]

# Types that are more than their schema says, by the last part of their name.
SCALARS = {
    "Quantity": "quantity",
    "IntOrString": "int-or-string",
    "Time": "time",
    "MicroTime": "time",
    "JSON": "any",
    "JSONSchemaPropsOrArray": "any",
    "JSONSchemaPropsOrBool": "any",
    "JSONSchemaPropsOrStringArray": "any",
    "FieldsV1": "object",
    "RawExtension": "object",
}
PLAIN = {
    ("string", ""): "string",
    ("string", "byte"): "bytes",
    ("string", "date-time"): "time",
    ("string", "int-or-string"): "int-or-string",
    ("integer", "int32"): "int32",
    ("integer", "int64"): "int64",
    ("integer", ""): "int64",
    ("number", "double"): "number",
    ("number", ""): "number",
    ("boolean", ""): "bool",
}


def read():
    table = Table()
    for version, release in zip(EVERY, RELEASES, strict=True):
        assert release.startswith(f"v1.{version}."), release
        folder = modules.download(f"k8s.io/kubernetes@{release}")
        document = json.loads((folder / "api/openapi-spec/swagger.json").read_text())
        generated = (folder / "pkg/generated/openapi/zz_generated.openapi.go").read_text()
        add_types(table, document["definitions"], go_facts(generated), version)
        add_kinds(table, document, version)
    for module in LIFE_CYCLES:
        add_life_cycles(table, modules.download(module))
    return table


def short(name):
    """`io.k8s.api.core.v1.Pod` is core/v1.Pod here."""
    *_, group, version, kind = name.split(".")
    return f"{group}/{version}.{kind}"


def add_types(table, definitions, facts, version):
    for name, schema in definitions.items():
        group, version_name, kind = name.split(".")[-3:]
        if kind in SCALARS or not re.fullmatch(r"v\d+((alpha|beta)\d+)?", version_name):
            continue
        it = table.types.setdefault(short(name), Type())
        it.versions.add(version)
        required = schema.get("required", [])
        for field, property in schema.get("properties", {}).items():
            default, enum = facts.get((group, version_name, kind, field), (None, ()))
            it.add(field, read_field(property, field in required, default, enum), version)


def read_field(property, required, default, enum):
    strategies = property.get("x-kubernetes-patch-strategy", "")
    return Field(
        type=read_type(property),
        required=required,
        strategy=strategies,
        merge_key=property.get("x-kubernetes-patch-merge-key", "") if "merge" in strategies else "",
        list_type=property.get("x-kubernetes-list-type", ""),
        list_keys=tuple(property.get("x-kubernetes-list-map-keys", ())),
        default=default,
        enum=enum,
    )


def read_type(schema):
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return SCALARS.get(name.rpartition(".")[2]) or short(name)
    if schema.get("type") == "array":
        return "[]" + read_type(schema["items"])
    if schema.get("type") == "object":
        more = schema.get("additionalProperties")
        return "{}" + read_type(more) if more else "object"
    if "type" not in schema:
        return "any"
    return PLAIN[schema["type"], schema.get("format", "")]


def add_kinds(table, document, version):
    for path, operations in document["paths"].items():
        post = operations.get("post", {})
        named = post.get("x-kubernetes-group-version-kind")
        # Objects are made by a POST to the list of their kind, not of another's name.
        if not named or "{name}" in path:
            continue
        group, api, kind = named["group"], named["version"], named["kind"]
        body = next((it for it in post.get("parameters", []) if it["in"] == "body"), None)
        if body is None:
            continue
        it = table.kinds.setdefault(
            (f"{group}/{api}" if group else api, kind),
            Kind(
                scope="namespaced" if "/{namespace}/" in path else "cluster",
                plural=path.rpartition("/")[2],
                type=read_type(body["schema"]),
            ),
        )
        it.versions.add(version)


def go_facts(source):
    """Default and enum of each field, from the generated Go definitions, by
    group, version, type and field."""
    facts = {}
    function = field = None
    for line in source.splitlines():
        if line.startswith("func schema_"):
            name = line[len("func schema_") : line.index("(")]
            parts = name.split("_")
            function = tuple(parts[-3:]) if len(parts) >= 3 else None
            field = None
        elif found := re.match(r'\t{5}"([^"]+)": \{$', line):
            field = found[1]
        elif function and field:
            if found := re.match(r"\t{7}Default:\s+(.+),$", line):
                default = scalar(found[1])
                if default is not None:
                    enum = facts.get((*function, field), (None, ()))[1]
                    facts[(*function, field)] = (default, enum)
            elif found := re.match(r"\t{7,}Enum:\s+\[\]interface\{\}\{([^}]*)\}\}?,$", line):
                enum = tuple(dict.fromkeys(json.loads(f"[{found[1]}]")))
                default = facts.get((*function, field), (None, ()))[0]
                facts[(*function, field)] = (default, enum)
    return facts


def scalar(literal):
    """A default that says something: zero values and whole objects do not."""
    try:
        value = json.loads(literal)
    except ValueError:
        return None
    if value in ("", 0, False) or isinstance(value, (list, dict)):
        return None
    return "true" if value is True else str(value)


def add_life_cycles(table, folder):
    lives = {}
    generated = folder.rglob("zz_generated.prerelease-lifecycle.go")
    # The core's oldest kinds say it by hand.
    for file in sorted([*generated, *folder.rglob("lifecycle.go")]):
        register = (file.parent / "register.go").read_text()
        group = re.search(r'GroupName\s*=\s*"([^"]*)"', register)[1]
        api = f"{group}/{file.parent.name}" if group else file.parent.name
        pattern = r"func \(in \*(\w+)\) APILifecycle(\w+)\(\) .*\{\n\treturn (.*)\n\}"
        for kind, what, value in re.findall(pattern, file.read_text()):
            lives.setdefault((api, kind), {})[what] = value
    for (api, kind), life in lives.items():
        add_life(table, api, kind, life)


def add_life(table, api, kind, life):
    minor = lambda word: int(life[word].split(",")[1]) if word in life else None
    it = table.kinds.get((api, kind))
    if it is None:
        # Of what was gone before our first version we say no more than that.
        removed = minor("Removed")
        if kind.endswith(("List", "Options")) or removed is None or removed > EVERY[0]:
            return
        it = table.kinds[api, kind] = Kind(scope="-", plural="", type="")
    it.deprecated, it.removed = minor("Deprecated"), minor("Removed")
    if "Replacement" in life:
        found = dict(re.findall(r'(\w+): "([^"]*)"', life["Replacement"]))
        version = f"{found['Group']}/{found['Version']}" if found.get("Group") else found["Version"]
        # One of them names the list of the kind instead.
        it.replacement = f"{version}/{found['Kind'].removesuffix('List')}"
