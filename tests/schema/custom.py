"""Custom resources, from the CRDs in the Go modules of their projects."""

import yaml

import modules
from table_format import EVERY, Field, Kind, Type

PLAIN = {
    ("string", "byte"): "bytes",
    ("string", "date-time"): "time",
    ("integer", "int32"): "int32",
    ("number", ""): "number",
    ("boolean", ""): "bool",
}
WITHOUT_FORMAT = {"string": "string", "integer": "int64", "number": "number", "boolean": "bool"}


class Loader(yaml.CSafeLoader):
    """Takes `=` for the text that it is."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def read(table):
    shapes = Shapes(table)
    for module, where in modules.CRDS.values():
        for file in sorted(modules.download(module).glob(where)):
            for crd in yaml.load_all(file.read_text(), Loader):
                if crd and crd.get("kind") == "CustomResourceDefinition":
                    add(table, shapes, crd["spec"])


def add(table, shapes, spec):
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        api = f"{spec['group']}/{version['name']}"
        schema = version["schema"]["openAPIV3Schema"]
        schema.setdefault("properties", {})["metadata"] = {"$ref": "meta/v1.ObjectMeta"}
        kind = spec["names"]["kind"]
        table.kinds[api, kind] = Kind(
            scope=spec["scope"].lower(),
            plural=spec["names"]["plural"],
            type=shapes.type(schema, spec["group"], kind),
            versions=set(EVERY),
            custom=True,
            deprecated=0 if version.get("deprecated") else None,
        )


class Shapes:
    """The types of custom resources. CRDs have no names for them and repeat
    them: each shape is kept once, under the name of the field that had it
    first."""

    def __init__(self, table):
        self.table = table
        self.names = {}

    def type(self, schema, group, name):
        if "$ref" in schema:
            return schema["$ref"]
        if schema.get("x-kubernetes-int-or-string"):
            return "int-or-string"
        is_open = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        kind = schema.get("type")
        if kind == "array":
            return "[]" + self.type(schema["items"], group, name)
        if "properties" in schema:
            return self.struct(schema, is_open, group, name)
        if kind == "object":
            more = schema.get("additionalProperties")
            if isinstance(more, dict) and more:
                return "{}" + self.type(more, group, name)
            # What the schema doesn't name is dropped by the API server.
            is_open = is_open or bool(more) or schema.get("x-kubernetes-embedded-resource")
            return "object" if is_open else self.struct(schema, False, group, name)
        if kind is None:
            return "any"
        return PLAIN.get((kind, schema.get("format", "")), WITHOUT_FORMAT[kind])

    def struct(self, schema, is_open, group, name):
        required = schema.get("required", [])
        fields = {
            key: self.field(property, key in required, group, key[:1].upper() + key[1:])
            for key, property in schema.get("properties", {}).items()
        }
        shape = (is_open, tuple(sorted(fields.items(), key=lambda entry: entry[0])))
        if shape not in self.names:
            self.names[shape] = self.free(f"{group}.{name}")
            it = self.table.types[self.names[shape]] = Type(open=is_open, versions=set(EVERY))
            for key, field in fields.items():
                it.fields[key] = [(field, set(EVERY))]
        return self.names[shape]

    def free(self, wanted):
        name, count = wanted, 1
        while name in self.table.types:
            count += 1
            name = f"{wanted}{count}"
        return name

    def field(self, schema, required, group, name):
        leaf = schema
        while "items" in leaf or isinstance(leaf.get("additionalProperties"), dict):
            leaf = leaf.get("items") or leaf["additionalProperties"]
        default = schema.get("default")
        if isinstance(default, (list, dict)):
            default = "*"
        elif isinstance(default, bool):
            default = "true" if default else "false"
        elif default is not None:
            default = str(default)
        return Field(
            type=self.type(schema, group, name),
            # What has a default is there by the time that the server asks.
            required=required and default is None,
            nullable=bool(schema.get("nullable")),
            list_type=schema.get("x-kubernetes-list-type", "") if schema.get("type") == "array" else "",
            list_keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
            default=default,
            enum=tuple(str(value) for value in leaf.get("enum", ()) if value is not None),
            range=bounds(leaf, "minimum", "maximum"),
            length=bounds(leaf, "minLength", "maxLength"),
            size=bounds(schema, "minItems", "maxItems") or bounds(schema, "minProperties", "maxProperties"),
            pattern=leaf.get("pattern", ""),
        )


def bounds(schema, least, greatest):
    # The tables have no word for these, and no CRD of ours has them.
    assert not schema.get("exclusiveMinimum") and not schema.get("exclusiveMaximum")
    # At least nothing is no bound, but for numbers.
    least = schema.get(least) or (0 if least == "minimum" and least in schema else None)
    found = (least, schema.get(greatest))
    return () if found == (None, None) else found
