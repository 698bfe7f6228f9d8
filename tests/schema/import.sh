#!/usr/bin/env bash
# Holds tests/it/fixtures/import/expected.yaml against what kubectl makes of the
# overlay beside it, without the remarks of the notes, which are no YAML.
set -euo pipefail
cd "$(dirname "$0")/../it/fixtures/import"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r install "$work/"
overlay="$work/install/overlays/paas-sandbox"
sed -i -E '1{/^cat /d}; s/[[:space:]]+<<<.*$//' "$overlay/kustomization.yaml"
# Secrets aside: whatever is in them is not for a fixture.
kubectl kustomize "$overlay" 2>/dev/null | awk 'BEGIN { RS = "---\n" } !/\nkind: Secret\n/ { print > "/dev/stdout" }' \
    | grep -v '^$' > "$work/found"
grep -v -e '^#' -e '^---$' expected.yaml > "$work/wanted"
diff "$work/wanted" "$work/found"
echo "expected.yaml is what kubectl kustomize makes"
