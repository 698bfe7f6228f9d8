//! The webhook by which a cluster asks whether images may come in.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::body::Arriving;
use super::json::json;
use super::waiting::Waiting;
use crate::registry::admission::{ImageName, Judgement, Review, ReviewError, Rules};
use crate::registry::bodies::Arrival;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::reference::Reference;
use crate::registry::service::Registry;
use crate::registry::store::{Store, StoreError};

/// The largest review. An API server takes objects of at most 3 MiB, and a
/// review of a change holds two of them.
const LIMIT: usize = 8 << 20;

/// How long a review may take to arrive: API servers send it at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many bytes a review has that is read beside many others.
const SMALL: usize = 64 * 1024;

/// How many small reviews are read at the same time.
static READ_SMALL: Semaphore = Semaphore::const_new(16);

/// How many large reviews are read at the same time: that takes many times
/// their bytes.
static READ_LARGE: Semaphore = Semaphore::const_new(2);

/// How much of an object's name the log gets, in characters.
const LONGEST_NAME: usize = 300;

/// `POST /validate-image`. Nobody logs in here: API servers have no password
/// of ours, and the answer says nothing that the rules don't.
pub async fn validate<S: Store>(
    State(registry): State<Arc<Registry<S>>>,
    request: Request,
) -> Response {
    match review(&registry, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn review<S: Store>(
    registry: &Registry<S>,
    request: Request,
) -> Result<Response, RegistryError> {
    let (parts, body) = request.into_parts();
    // Nobody logs in for a review, so what all of them hold is limited, and
    // whoever takes long to send one gives way to others.
    let arrival = registry.reviews.begin();
    let arriving = Arriving::new(body, &registry.limits);
    let waits = parts.extensions.get::<Waiting>().map(Waiting::begin);
    let bytes = arrival.unless_ended(collect(arriving, &arrival)).await?;
    let turn = if bytes.len() > SMALL { &READ_LARGE } else { &READ_SMALL };
    let turn = async { turn.acquire().await.map_err(RegistryError::internal) };
    let _turn = arrival.unless_ended(turn).await?;
    drop(waits);
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
        tracing::info!(object, why, "not let in");
    }
    Ok(json(StatusCode::OK, &review.answer(denied.as_deref())))
}

/// All of a review.
async fn collect(mut body: Arriving, arrival: &Arrival<'_>) -> Result<Bytes, RegistryError> {
    let collected = async {
        let mut all = Vec::new();
        while let Some(bytes) = body.next().await? {
            let length = all.len() + bytes.len();
            if length > LIMIT {
                return Err(too_large());
            }
            arrival.grow(length);
            all.extend_from_slice(&bytes);
        }
        Ok(all.into())
    };
    tokio::time::timeout(PATIENCE, collected).await.map_err(|_| too_slow())?
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

fn too_large() -> RegistryError {
    let message = format!("an AdmissionReview has at most {LIMIT} bytes here");
    RegistryError::new(ErrorCode::SizeInvalid, message).with_status(413)
}

impl From<ReviewError> for RegistryError {
    fn from(error: ReviewError) -> Self {
        Self::new(ErrorCode::Unsupported, error.to_string()).with_status(400)
    }
}
