"""Holds the workflows and Renovate's settings against their schemas, and the custom
manager of Renovate against the lock that it is to change.

    python tests/workflows/check.py      with check-jsonschema installed
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def schema(builtin, files):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", builtin]
    subprocess.run([*command, *map(str, files)], check=True)


def main():
    workflows = sorted((ROOT / ".github/workflows").glob("*.yml"))
    assert workflows, "there are no workflows"
    schema("vendor.github-workflows", workflows)
    schema("vendor.renovate", [ROOT / "renovate.json"])

    settings = json.loads((ROOT / "renovate.json").read_text())
    lock = (ROOT / "vendor/trow.lock.toml").read_text()
    [manager] = settings["customManagers"]
    [pattern] = manager["matchStrings"]
    found = re.findall(pattern.replace("(?<", "(?P<"), lock)
    tag = re.search(r'^tag = "(.*)"$', lock, re.MULTILINE).group(1)
    assert found == [tag], f"Renovate would find {found} in a lock that pins {tag}"
    [files] = manager["managerFilePatterns"]
    assert re.search(files.strip("/"), "vendor/trow.lock.toml"), files

    # Every command in them is one that warren has.
    known = subprocess.run(
        [sys.argv[1], "--help"], check=True, capture_output=True, text=True
    ).stdout
    for file in workflows:
        for word in re.findall(r"(?:release/warren|--bin warren --) ([a-z]+)", file.read_text()):
            assert f"\n  {word}" in known, f"{file.name} runs warren {word}, which there is not"
    print(f"{len(workflows)} workflows and renovate.json are what their readers take")


if __name__ == "__main__":
    main()
