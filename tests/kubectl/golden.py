#!/usr/bin/env python3
"""Asks a real kubectl what it reads, for tests/it/kubectl.rs.

    golden.py             write scalars.tsv and documents/*.json beside this file
    golden.py --check     exit code 1 when kubectl reads something else today

`kubectl patch --local` with an empty patch reads an object as every other
command does, asks no cluster, and prints as JSON what it read. The object is of
a kind that kubectl doesn't know, so that no type of a field has a say.

Inputs are our own: the scalars below, and documents/*.yaml. A text that kubectl
refuses has the answer `refused`.
"""

import argparse
import itertools
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEAD = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    answers = {HERE / "scalars.tsv": scalars()}
    for file in sorted((HERE / "documents").glob("*.yaml")):
        answers[file.with_suffix(".json")] = document(file.read_bytes())
    different = 0
    for file, text in answers.items():
        if file.exists() and file.read_text() == text:
            continue
        different += 1
        print(f"{file.relative_to(HERE)} differs")
        if not arguments.check:
            file.write_text(text)
    print(f"{len(answers) - different} as they were, {different} {'differ' if arguments.check else 'written'}")
    return 1 if arguments.check and different else 0


def kubectl(text):
    """What kubectl reads from a file, as JSON; nothing where it refuses."""
    command = ["kubectl", "patch", "--local", "--type=merge", "-p", "{}", "-o", "json", "-f", "-"]
    done = subprocess.run(command, input=text, capture_output=True)
    if done.returncode:
        return None
    decoder, objects, rest = json.JSONDecoder(), [], done.stdout.decode().lstrip()
    while rest:
        it, end = decoder.raw_decode(rest)
        objects.append(it)
        rest = rest[end:].lstrip()
    return objects


def document(text):
    objects = kubectl(text)
    return "refused\n" if objects is None else json.dumps(objects, indent=1, ensure_ascii=False) + "\n"


def scalars():
    """A line for each: as a value, a tab, what it is; `refused` for none."""
    lines = []
    whole = texts()
    for batch in (whole[start : start + 40] for start in range(0, len(whole), 40)):
        together = ask(batch)
        for index, text in enumerate(batch):
            one = together[index : index + 1] if together else ask([text])
            lines.append(f"{text}\t{json.dumps(one[0], ensure_ascii=False) if one else 'refused'}\n")
    return "".join(lines)


def ask(batch):
    lines = "".join(f"  - {text}\n" for text in batch)
    objects = kubectl(f"{HEAD}spec:\n{lines}".encode())
    return objects[0]["spec"] if objects else None


def texts():
    """Plain scalars with a taste for what YAML 1.1 and 1.2 give a type, and
    the same in quotes."""
    words = "y yes on true n no off false null nil none nan .nan inf .inf +.inf -.inf infinity".split()
    cases = lambda word: [word, word.upper(), word.capitalize(), word[:1] + word[1:].upper()]
    found = [case for word in words for case in cases(word)]
    found += ["~", "=", "<<", "-", "+", ".", "..", "...a", "_", "0", "-0", "+0", "00", "07", "08", "09", "010", "0777", "-0777"]
    digits = ["7", "10", "777", "888", "1_000", "_1", "1_", "1__0", "F", "1F", "ff", "102", "2147483648"]
    prefixes = ["", "+", "-", "0", "0x", "0X", "0o", "0O", "0b", "0B", "-0x", "+0o", "-0b", "0_", "0x_"]
    found += [prefix + digit for prefix in prefixes for digit in digits]
    found += "9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809".split()
    found += "18446744073709551615 18446744073709551616 +9223372036854775808 0x8000000000000000".split()
    wholes, fractions, exponents = ["", "1", "0", "01", "1_0"], ["", ".", ".5", ".50", ".5_0"], ["", "e3", "E3", "e+3", "e-3", "e", "e3_0"]
    for sign, whole, fraction, exponent in itertools.product(["", "-", "+"], wholes, fractions, exponents):
        if (whole or fraction) and (fraction or exponent):
            found.append(sign + whole + fraction + exponent)
    found += "1e308 1e309 -1e309 1e-400 0.1 0.30000000000000004 123456789012345678 1e23 100000000000000000000".split()
    found += "2026-11-23 2026-11-23T10:00:00Z 2026-11-23t10:00:00Z 2001-1-1 12:30 1:30 12:30:45 190:20:30 1:2:3:4 -1:30 0:0".split()
    found += "1.2.3 1.36 v1 10Gi 100m 5% 1k 0.5.1 192.168.1.1 ::1 a:b 1,000 1 2".split()
    found += ["a b", "a: b", "a #b", "#a", "a:", "é", "日本", "'on'", '"0777"', "'it''s'", '"a\\tb\\u00e9"', '"a\\x41"', "'a\\n'"]
    found += ["!!str 5", "!!int 5", "!!int '5'", "!!float 1", "!!bool yes", "!!bool 'yes'", "!!null ''", "! 5", "!!binary eA==", "!mine x"]
    found += ["[]", "{}", "[on, 08]", "{on: 1}", "{a: }", "[a, ]", "{a: 1, a: 2}", "[,]", "{a}", "{? a : b}"]
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    sys.exit(main())
