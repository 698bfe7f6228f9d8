"""The Go modules that the tables come from."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile


def download(module):
    """The folder of a module, in Go's own cache."""
    # Outside of any module, so that no go.mod has a say.
    with tempfile.TemporaryDirectory() as empty:
        command = ["go", "mod", "download", "-json", module]
        environment = {**os.environ, "GO111MODULE": "on", "GOWORK": "off", "GOFLAGS": "-mod=mod"}
        try:
            done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
        except FileNotFoundError:
            print("cannot fetch the schemas: `go` is not installed", file=sys.stderr)
            raise SystemExit(2) from None
    answer = json.loads(done.stdout or "{}")
    if done.returncode or "Dir" not in answer:
        print(f"cannot fetch {module}: {answer.get('Error') or done.stderr}", file=sys.stderr)
        raise SystemExit(2)
    return pathlib.Path(answer["Dir"])
