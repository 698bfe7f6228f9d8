//! Flow control over HTTP/2 (RFC 9113, section 5.2): what a client may send
//! before anybody reads it lies in memory, so all connections share a budget. How
//! much of it one gets is settled when it begins: who comes into a crowd gets
//! little, and is slower with a push.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the windows of all connections have together, in bytes, until each gets
/// the least.
const BUDGET: u64 = 64 << 20;
/// A connection gets one of so many parts of what is left of it.
const PARTS: u64 = 16;
/// The least window. HTTP/2 begins with a byte less, and knows no smaller one
/// for a connection (RFC 9113, section 6.9.2).
const LEAST: u32 = 1 << 16;
/// The largest window, which a push over a long line needs.
const MOST: u32 = 4 << 20;
/// The largest window of one request.
const MOST_OF_STREAM: u32 = 1 << 20;
/// Requests at the same time on a connection with the largest window. Their heads
/// lie in memory too.
const MOST_STREAMS: u32 = 128;
/// The same with the least: more than a client has layers on their way.
const LEAST_STREAMS: u32 = 16;

/// How much of the budget is given away.
#[derive(Debug, Default)]
pub struct Windows(Mutex<u64>);

impl Windows {
    /// What a connection gets that begins now.
    pub fn open(self: &Arc<Self>) -> Window {
        let mut given = self.given();
        let size = size(*given);
        *given += u64::from(size);
        Window { windows: Arc::clone(self), size }
    }

    fn given(&self) -> MutexGuard<'_, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The window of one more connection where so much is given away.
fn size(given: u64) -> u32 {
    let part = BUDGET.saturating_sub(given) / PARTS;
    u32::try_from(part).unwrap_or(MOST).clamp(LEAST, MOST)
}

/// What one connection got, for as long as this is there.
pub struct Window {
    windows: Arc<Windows>,
    size: u32,
}

impl Window {
    /// The bytes that may come on the connection before any is read.
    pub fn connection(&self) -> u32 {
        self.size
    }

    /// Those that may come of one request.
    pub fn stream(&self) -> u32 {
        self.size.min(MOST_OF_STREAM)
    }

    /// Requests at the same time.
    pub fn streams(&self) -> u32 {
        (self.size / (MOST / MOST_STREAMS)).max(LEAST_STREAMS)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let mut given = self.windows.given();
        *given = given.saturating_sub(u64::from(self.size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_shares_one_budget_and_the_first_ones_get_the_most() {
        const CROWD: u64 = 4096;
        let windows = Arc::new(Windows::default());
        let crowd: Vec<_> = (0..CROWD).map(|_| windows.open()).collect();
        let all = |window: &Window| (window.connection(), window.stream(), window.streams());
        assert_eq!(all(&crowd[0]), (4 << 20, 1 << 20, 128));
        assert_eq!(all(&crowd[4095]), (1 << 16, 1 << 16, 16));
        let sizes: Vec<_> = crowd.iter().map(Window::connection).collect();
        assert!(sizes.is_sorted_by(|one, next| one >= next), "{sizes:?}");
        let together: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
        assert_eq!(together, *windows.given());
        assert!(together <= BUDGET + CROWD * u64::from(LEAST), "{together}");
        assert!(crowd[10].connection() >= 2 << 20, "a few are no crowd");
    }

    #[test]
    fn what_a_connection_had_goes_to_the_next_one() {
        let windows = Arc::new(Windows::default());
        let crowd: Vec<_> = (0..200).map(|_| windows.open()).collect();
        assert_eq!(windows.open().connection(), LEAST);
        drop(crowd);
        assert_eq!(*windows.given(), 0);
        assert_eq!(windows.open().connection(), MOST);
    }
}
