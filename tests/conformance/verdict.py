#!/usr/bin/env python3
"""Judges one run of the conformance suite by the files that it wrote.

    verdict.py NAME FOLDER [DISABLED...]

Every test of junit.xml must have passed, and every API and every data set of
results.yaml too. A data set that the run has switched off on purpose is given
by its name, and must be off. Prints one line of counts; the exit code is 1
where something failed, was skipped, or is missing.
"""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree

# So many tests there are at least; fewer means that something did not run.
LEAST = 700


def main():
    name, folder, disabled = sys.argv[1], pathlib.Path(sys.argv[2]), set(sys.argv[3:])
    problems = []

    cases = list(xml.etree.ElementTree.parse(folder / "junit.xml").iter("testcase"))
    counts = collections.Counter(case.get("status") for case in cases)
    for case in cases:
        if case.get("status") != "passed":
            out = (case.findtext("system-out") or "").strip()
            problems.append(f"{case.get('status')}: {case.get('name')}: {out[:400]}")
    if len(cases) < LEAST:
        problems.append(f"only {len(cases)} tests ran, of at least {LEAST}")

    groups = statuses((folder / "results.yaml").read_text())
    for group in ("apis", "data"):
        if not groups.get(group):
            problems.append(f"results.yaml lists no {group}")
        for entry, status in groups.get(group, {}).items():
            expected = "Disabled" if entry in disabled else "Pass"
            if status != expected:
                problems.append(f"{group}: {entry} is {status}, not {expected}")

    for problem in problems:
        print(f"FAIL {name}: {problem}")
    passed, failed = counts["passed"], counts["failure"] + counts["error"]
    listed = ", ".join(f"{len(groups.get(group, {}))} {group}" for group in ("apis", "data"))
    print(f"{name}: {passed} passed, {failed} failed, {counts['skipped']} skipped ({listed} sets)")
    return 1 if problems else 0


def statuses(text):
    """The two flat lists at the end of results.yaml: name to status."""
    groups, group = {}, None
    for line in text.splitlines():
        if heading := re.fullmatch(r"(\w+):", line):
            group = groups.setdefault(heading[1], {})
        elif (entry := re.fullmatch(r"  (\S.*): (\w+)", line)) and group is not None:
            group[entry[1]] = entry[2]
    return groups


if __name__ == "__main__":
    sys.exit(main())
