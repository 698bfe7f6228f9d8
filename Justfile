# What people do with this repository, a line each. `just` alone lists it.

warren := "cargo run --release --quiet --"

_list:
    @{{ just_executable() }} --justfile '{{ justfile() }}' --list --unsorted

# Check the pin, compose an environment, run its registry on this machine
up environment="sandbox" *arguments:
    {{ warren }} up {{ environment }} {{ arguments }}

# Render, check and write deploy/<environment>, then apply it if its cluster is reachable
deploy environment *arguments:
    {{ warren }} deploy {{ environment }} {{ arguments }}

# Say what in the cluster differs from what was delivered
drift environment *arguments:
    {{ warren }} drift {{ environment }} {{ arguments }}

# Go back to an earlier delivery
rollback environment *arguments:
    {{ warren }} rollback {{ environment }} {{ arguments }}

# Look for what keeps an environment from working
doctor environment *arguments:
    {{ warren }} doctor {{ environment }} {{ arguments }}

# Test a deployed registry as a client does
smoke environment *arguments:
    {{ warren }} smoke {{ environment }} {{ arguments }}

# Open or update the pull request of an environment
propose environment *arguments:
    {{ warren }} propose {{ environment }} {{ arguments }}

# Print what an environment renders to
render environment:
    {{ warren }} render {{ environment }} --output -

# Show what a render would change, by object and field, with the risks
diff environment *arguments:
    {{ warren }} diff {{ environment }} {{ arguments }}

# Say where each value of an environment came from
explain environment *arguments:
    {{ warren }} explain {{ environment }} {{ arguments }}

# Check every environment, and that deploy/ is what renders
check:
    {{ warren }} check

# Make the Secrets that an environment's objects refer to
secret environment *arguments:
    {{ warren }} secret {{ environment }} {{ arguments }}

# Move the pin to a tag of the upstream and say what changed in what we rely on
pin tag:
    {{ warren }} upstream pin {{ tag }}

# Say what is pinned, and whether it was fetched and verified
status:
    {{ warren }} upstream status

# Fetch the pinned upstream and verify it against the lock
verify:
    {{ warren }} upstream verify

# Run the tests
test *arguments:
    cargo test {{ arguments }}

# Format, clippy, licences and bans
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo deny check bans licenses sources

# Build both binaries as they are released
build:
    cargo build --release

# Run the official conformance suite against the registry
conformance *rounds: build
    tests/conformance/run {{ rounds }}

# Compare the registry with its peers and nginx, and write docs/benchmarks.md (minutes)
bench-registry *arguments="--full":
    benches/registry/peers.sh
    cargo bench --bench registry -- {{ arguments }}

# Write an OCI image of the registry, static and without root, with no container engine
image output="target/warren-registry.tar" name="localhost/warren-registry:latest":
    # The build script runs once and shares no crate with the binary here: it is not optimised.
    CARGO_PROFILE_RELEASE_BUILD_OVERRIDE_OPT_LEVEL=0 RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' cargo build --release --locked --bin warren-registry --target {{ arch() }}-unknown-linux-gnu --target-dir target/static
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) {{ warren }} image --binary target/static/{{ arch() }}-unknown-linux-gnu/release/warren-registry --output {{ output }} --name {{ name }}

# Drive the registry with podman, skopeo, buildah, docker and nginx (needs root)
interop *clients: build
    tests/interop/run {{ clients }}

# Deliver to a real API server, built from its Go module (needs etcd and Go)
cluster: build
    tests/cluster/run

# What CI leaves out for its time: proposals to a real Gitea, syncs by Flux and Argo CD
e2e: cluster
    tests/forge/run
    tests/agents/run

# Everything that CI runs, or only the stages named (bash .ci/run --list)
ci *stages:
    bash .ci/run {{ stages }}
