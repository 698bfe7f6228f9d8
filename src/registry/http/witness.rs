//! Who writes down what became of a write.

use std::sync::Arc;

use axum::response::Response;

/// Is told the answer to a write by the task that does it: that goes on when
/// the client has gone away, and with the client all that waits for the answer.
/// It is among the extensions of a request that [writes](super::reads).
#[derive(Clone)]
pub struct Witness(Arc<dyn Fn(&Response) + Send + Sync>);

impl Witness {
    /// A witness that does this with the answer.
    pub fn new(tell: impl Fn(&Response) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(super) fn tell(&self, answer: &Response) {
        (self.0)(answer);
    }
}
