#!/usr/bin/env python3
"""Writes the tables of src/pipeline/schema from the published schemas.

    table.py            write kinds.txt, types.txt and patterns.txt
    table.py --check    say whether they are what the sources give

What a table holds, and in which form, is in docs/schema.md. The sources are Go
modules: the OpenAPI document and the generated Go definitions (which alone have
the enums) of each Kubernetes version, the life cycles in k8s.io/api, and the
CRDs of the projects whose resources an environment may use.

Needs Python 3.11, PyYAML, `go`, and about 2 GB of disk for its module cache. The exit
code of --check is 1 when a table differs.
"""

import argparse
import pathlib
import sys

import builtin
import custom
import table_format

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "src/pipeline/schema"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()

    table = builtin.read()
    custom.read(table)
    table.keep_reachable()
    different = 0
    tables = {
        "kinds.txt": table_format.kinds(table),
        "types.txt": table_format.types(table),
        "patterns.txt": "".join(f"{pattern}\n" for pattern in table_format.patterns(table)),
    }
    for name, text in tables.items():
        file = FOLDER / name
        same = file.exists() and file.read_text() == text
        if arguments.check:
            different += not same
        elif not same:
            file.write_text(text)
        print(f"{name}: {len(text)} bytes, {'as it was' if same else 'differs' if arguments.check else 'written'}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
