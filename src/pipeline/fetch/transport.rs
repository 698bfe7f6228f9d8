//! Teaches libgit2, which is built without a TLS library of its own, to speak
//! HTTP through [`Session`].

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::sync::{Arc, Once};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};

use super::session::{Answer, Session, Step};

thread_local! {
    /// The session of the fetch under way in this thread. libgit2 makes its
    /// transports in the thread that asks, and has no way to hand them data.
    static CURRENT: RefCell<Option<Arc<Session>>> = const { RefCell::new(None) };
}

/// Runs `work`, whose HTTP transports use this session.
pub(super) fn with_session<T>(session: &Arc<Session>, work: impl FnOnce() -> T) -> T {
    /// Clears the session also when `work` unwinds.
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            CURRENT.with(|current| current.borrow_mut().take());
        }
    }
    register();
    CURRENT.with(|current| *current.borrow_mut() = Some(Arc::clone(session)));
    let _clear = Clear;
    work()
}

/// What stands before the url of a remote that is to use this transport. With
/// schemes of our own, `insteadOf` in someone's git settings cannot send a fetch
/// elsewhere, and what else uses libgit2 in this process keeps its `https`.
pub(super) const PREFIX: &str = "warren+";

/// Registers the transport, once per process.
#[allow(unsafe_code, reason = "libgit2's list of transports is a global")]
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for scheme in ["warren+http", "warren+https"] {
            // SAFETY: the list must not change while another thread reads it.
            // Every fetch of this crate passes through `with_session`, which
            // waits for this `Once` before it lets libgit2 look at the list.
            let registered = unsafe { git2::transport::register(scheme, transport) };
            // It fails only for a scheme that is registered already, and then
            // a fetch says that it does not know the scheme or uses that one.
            drop(registered);
        }
    });
}

fn transport(remote: &git2::Remote<'_>) -> Result<Transport, git2::Error> {
    let Some(session) = CURRENT.with(|current| current.borrow().clone()) else {
        return Err(git2::Error::from_str("no fetch of this crate is under way"));
    };
    Transport::smart(remote, true, Http { session })
}

struct Http {
    session: Arc<Session>,
}

impl SmartSubtransport for Http {
    fn action(
        &self,
        _url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let step = match service {
            Service::UploadPackLs => Step::Refs,
            Service::UploadPack => Step::Pack,
            Service::ReceivePackLs => Step::PushRefs,
            Service::ReceivePack => Step::Push,
        };
        let session = Arc::clone(&self.session);
        Ok(Box::new(Exchange { session, step, request: Vec::new(), answer: None }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request, collected until libgit2 wants to read, and its answer.
struct Exchange {
    session: Arc<Session>,
    step: Step,
    request: Vec<u8>,
    answer: Option<Answer>,
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.request.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let answer = match &mut self.answer {
            Some(answer) => answer,
            none => none.insert(self.session.open(self.step, &self.request)?),
        };
        answer.read(buffer)
    }
}
