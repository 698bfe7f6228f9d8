use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process opens beside connections: files that are read and written,
/// listeners, the log. A pull holds one file beside its connection.
const BESIDE: u64 = 64;

/// Lets this process open as many files as it may: shells and container
/// runtimes often set a low limit that a program is free to raise.
pub fn raise(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let Some(most) = limit.maximum else { return };
    if limit.current.is_some_and(|current| current < most) {
        // Where that fails the limit that there is holds.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) });
    }
    let wanted = (connections as u64).saturating_mul(2).saturating_add(BESIDE);
    if most < wanted {
        tracing::warn!(
            descriptors = most,
            connections,
            "this process may open fewer files than its connections can need; raise the limit \
             (`ulimit -Hn`) or lower --max-connections"
        );
    }
}
