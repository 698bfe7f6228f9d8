//! The webhook by which a cluster asks whether images may come in.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::body;
use super::json::json;
use crate::registry::admission::{ImageName, Judgement, Review, ReviewError, Rules};
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::reference::Reference;
use crate::registry::service::Registry;
use crate::registry::store::{Store, StoreError};

/// The largest review. An API server takes objects of at most 3 MiB, and a
/// review of a change holds two of them.
const LIMIT: usize = 8 << 20;

/// How long a review may take to arrive: API servers send it at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many reviews may arrive at the same time.
static ARRIVING: Semaphore = Semaphore::const_new(16);

/// How many reviews are read at the same time.
static READ: Semaphore = Semaphore::const_new(2);

/// How much of an object's name the log gets, in characters.
const LONGEST_NAME: usize = 300;

/// `POST /validate-image`. Nobody logs in here: API servers have no password
/// of ours, and the answer says nothing that the rules don't.
pub async fn validate<S: Store>(State(registry): State<Arc<Registry<S>>>, body: Body) -> Response {
    match review(&registry, body).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn review<S: Store>(registry: &Registry<S>, body: Body) -> Result<Response, RegistryError> {
    // Nobody logs in for a review, so what all of them hold is limited.
    let _place = ARRIVING.acquire().await.map_err(RegistryError::internal)?;
    let collected = tokio::time::timeout(PATIENCE, body::collect(body, LIMIT)).await;
    let bytes = collected.map_err(|_| too_slow())?.map_err(unread)?;
    // It takes many times its bytes to read.
    let _turn = READ.acquire().await.map_err(RegistryError::internal)?;
    let parsed = tokio::task::spawn_blocking(move || Review::parse(&bytes)).await;
    let review = parsed.map_err(RegistryError::internal)??;
    let rules = registry.admission.current();
    let mut denied = None;
    for image in &review.images {
        denied = deny(registry, &rules, image).await?;
        if denied.is_some() {
            break;
        }
    }
    if let Some(why) = &denied {
        let object: String = review.object.chars().take(LONGEST_NAME).collect();
        tracing::info!(object, "not let in: {why}");
    }
    Ok(json(StatusCode::OK, &review.answer(denied.as_deref())))
}

/// Why an image does not come in, if it does not.
async fn deny<S: Store>(
    registry: &Registry<S>,
    rules: &Rules,
    image: &str,
) -> Result<Option<String>, RegistryError> {
    match rules.judge(image) {
        (_, Judgement::Allowed) => Ok(None),
        (Some(image), Judgement::IfHeld(why)) => {
            Ok((!holds(&registry.store, &image).await?).then_some(why))
        }
        (_, Judgement::IfHeld(why) | Judgement::Denied(why)) => Ok(Some(why)),
    }
}

async fn holds<S: Store>(store: &S, image: &ImageName) -> Result<bool, StoreError> {
    match image.reference() {
        Some(Reference::Digest(digest)) => store.manifest_exists(&image.repository, &digest).await,
        Some(Reference::Tag(tag)) => Ok(store.tag_get(&image.repository, &tag).await?.is_some()),
        None => Ok(false),
    }
}

fn too_slow() -> RegistryError {
    RegistryError::new(ErrorCode::Unsupported, "the review did not arrive in time").with_status(408)
}

/// What is wrong with a body is said of manifests and uploads otherwise.
fn unread(error: RegistryError) -> RegistryError {
    if error.status() != 413 {
        return error;
    }
    let message = format!("an AdmissionReview has at most {LIMIT} bytes here");
    RegistryError::new(ErrorCode::SizeInvalid, message).with_status(413)
}

impl From<ReviewError> for RegistryError {
    fn from(error: ReviewError) -> Self {
        Self::new(ErrorCode::Unsupported, error.to_string()).with_status(400)
    }
}
