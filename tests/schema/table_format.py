"""The table in memory, and its two files."""

import dataclasses
import re

FIRST, LAST = 25, 37
EVERY = range(FIRST, LAST + 1)


@dataclasses.dataclass(frozen=True)
class Field:
    type: str
    required: bool = False
    nullable: bool = False
    strategy: str = ""
    merge_key: str = ""
    list_type: str = ""
    list_keys: tuple = ()
    default: str | None = None
    enum: tuple = ()
    # Least and greatest, where there is one: of the number, of the text's
    # characters, of the list's elements or the mapping's keys.
    range: tuple = ()
    length: tuple = ()
    size: tuple = ()
    pattern: str = ""


@dataclasses.dataclass
class Type:
    # Whether fields that it does not list are kept.
    open: bool = False
    versions: set = dataclasses.field(default_factory=set)
    # Name to a list of (Field, the versions that have it so).
    fields: dict = dataclasses.field(default_factory=dict)

    def add(self, name, field, version):
        for known, versions in self.fields.setdefault(name, []):
            if known == field:
                versions.add(version)
                return
        self.fields[name].append((field, {version}))


@dataclasses.dataclass
class Kind:
    scope: str
    plural: str
    type: str
    versions: set = dataclasses.field(default_factory=set)
    custom: bool = False
    deprecated: int | None = None
    removed: int | None = None
    replacement: str = ""


@dataclasses.dataclass
class Table:
    # (apiVersion, kind) to Kind.
    kinds: dict = dataclasses.field(default_factory=dict)
    types: dict = dataclasses.field(default_factory=dict)

    def keep_reachable(self):
        open_ends = [kind.type for kind in self.kinds.values() if kind.type]
        reachable = set()
        while open_ends:
            name = open_ends.pop()
            if name in reachable or name not in self.types:
                continue
            reachable.add(name)
            for entries in self.types[name].fields.values():
                open_ends.extend(leaf(field.type) for field, _ in entries)
        self.types = {name: it for name, it in self.types.items() if name in reachable}


def leaf(type):
    return re.sub(r"^(\[\]|\{\})+", "", type)


def package(name):
    return name.rpartition(".")[0]


def ranges(versions, whole):
    """`^28-30` for each run of versions; one empty text where it is the whole."""
    if versions >= whole:
        return [""]
    runs = []
    for version in sorted(versions):
        if runs and version == runs[-1][1] + 1:
            runs[-1][1] = version
        else:
            runs.append([version, version])
    return [
        f" ^{'' if first == FIRST else first}-{'' if last == LAST else last}" for first, last in runs
    ]


def escape(text):
    return re.sub(r"[\s%|@]", lambda found: f"%{ord(found[0]):02x}", text)


def kinds(table):
    lines = []
    for (api_version, kind), it in table.kinds.items():
        line = f"{api_version} {kind} {it.plural or '-'} {it.scope} {it.type or '-'}"
        if it.custom:
            line += " custom"
        if it.deprecated is not None:
            line += f" deprecated={it.deprecated}"
        if it.removed is not None:
            line += f" removed={it.removed}"
        if it.replacement:
            line += f" use={it.replacement}"
        if it.type:
            (versions,) = ranges(it.versions, set(EVERY))
            line += versions
        lines.append(line)
    return "".join(f"{line}\n" for line in sorted(lines))


def patterns(table):
    """The patterns of all fields, each once and in order."""
    entries = (entry for it in table.types.values() for of in it.fields.values() for entry, _ in of)
    found = sorted({entry.pattern for entry in entries if entry.pattern})
    assert not any("\n" in pattern for pattern in found)
    return found


def types(table):
    places = {pattern: str(place) for place, pattern in enumerate(patterns(table))}
    out = []
    for name in sorted(table.types):
        it = table.types[name]
        out.append(f"@{name}{' open' if it.open else ''}\n")
        for field_name in sorted(it.fields):
            lines = []
            for field, versions in it.fields[field_name]:
                for run in ranges(versions, it.versions):
                    lines.append((min(versions), f"{escape(field_name)}{entry(field, package(name), places)}{run}\n"))
            out.extend(line for _, line in sorted(lines))
    return "".join(out)


def entry(field, here, places):
    of = leaf(field.type)
    short = of.rpartition(".")[2] if package(of) == here and here else of
    # A name of the same package starts with a dot: scalars have none.
    text = "!" if field.required else ""
    text += "?" if field.nullable else ""
    text += " " + field.type.removesuffix(of) + (f".{short}" if short != of else of)
    if field.strategy:
        text += f" ~{field.strategy}" + (f":{field.merge_key}" if field.merge_key else "")
    if field.list_type:
        text += f" #{field.list_type}" + (f":{','.join(field.list_keys)}" if field.list_keys else "")
    if field.default is not None:
        text += f" ={escape(field.default)}"
    if field.enum:
        text += " " + "".join(f"|{escape(value)}" for value in field.enum)
    for mark, bounds in (("<", field.range), ("*", field.length), ("+", field.size)):
        if bounds:
            text += f" {mark}{'..'.join('' if bound is None else str(bound) for bound in bounds)}"
    if field.pattern:
        text += f" /{places[field.pattern]}"
    return text
