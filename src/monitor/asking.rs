//! What handlers share: the service, and the places for questions that may wait for a disk.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::clock::thread_time;
use crate::limits::{
    MAX_BODIES, MAX_EXPORT_READS, MAX_EXPORTS, MAX_REQUESTS, MAX_STREAM_READS, MAX_STREAMS,
    PLACE_WAIT, REQUEST_TIMEOUT,
};
use crate::monitor::access::Access;
use crate::monitor::answer::{Problem, json_text};
use crate::monitor::json;
use crate::monitor::query::QueryError;
use crate::monitor::service::Service;
use crate::monitor::share::ReadShare;
use crate::monitor::watch::Watched;

/// How long a question waits before it looks again whether records still wait.
const SHARE_LOOK: Duration = Duration::from_millis(50);

/// What every handler has.
#[derive(Clone)]
pub struct App {
    /// Whom to ask.
    pub service: Arc<Service>,
    /// What is looked at all the time.
    pub watched: Watched,
    /// Who may do what.
    pub access: Arc<Access>,
    /// What readers may take of the processors.
    share: Arc<ReadShare>,
    /// One for each question that is being worked on, also when its asker has gone.
    places: Arc<Semaphore>,
    /// One for each body that is being read.
    pub bodies: Arc<Semaphore>,
    /// One for each stream of events that is open.
    pub streams: Arc<Semaphore>,
    /// One for each stream that reads a block now.
    pub stream_reads: Arc<Semaphore>,
    /// One for each export that is being sent.
    pub exports: Arc<Semaphore>,
    /// One for each export that reads the state now.
    pub export_reads: Arc<Semaphore>,
}

/// What a handler gives.
pub type Answer = Result<Response, Problem>;

impl App {
    /// For a service that is watched.
    pub fn new(service: Arc<Service>, watched: Watched, access: Arc<Access>) -> Self {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        let [places, bodies, streams, stream_reads, exports, export_reads] = [
            MAX_REQUESTS,
            MAX_BODIES,
            MAX_STREAMS,
            MAX_STREAM_READS,
            MAX_EXPORTS,
            MAX_EXPORT_READS,
        ]
        .map(semaphore);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let share = Arc::new(ReadShare::of(u32::try_from(processors).unwrap_or(u32::MAX)));
        Self {
            service,
            watched,
            access,
            share,
            places,
            bodies,
            streams,
            stream_reads,
            exports,
            export_reads,
        }
    }
}

/// Asks a question on a thread that may wait for a disk, within [`REQUEST_TIMEOUT`].
pub async fn ask<T: Send + 'static>(
    app: App,
    question: impl FnOnce(&Service) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, Problem> {
    let unavailable = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    let Ok(Some(place)) = timeout(PLACE_WAIT, place_and_share(&app)).await else {
        return Err(unavailable("too many requests at a time; try again"));
    };
    let work = tokio::task::spawn_blocking(move || {
        let began = thread_time();
        let answer = question(&app.service);
        let spent = thread_time().saturating_sub(began);
        app.share.take(spent, app.service.clock.monotonic());
        drop(place);
        answer
    });
    match timeout(REQUEST_TIMEOUT, work).await {
        Ok(Ok(answer)) => answer.map_err(Problem::from),
        Ok(Err(_)) => {
            let detail = "the question could not be worked on; the log says why";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
        }
        Err(_) => Err(unavailable("the answer took too long; ask for less at a time")),
    }
}

/// Waits for a place, and while records wait, for a share of the processors; `None` once nothing is
/// asked any more.
async fn place_and_share(app: &App) -> Option<OwnedSemaphorePermit> {
    let place = Arc::clone(&app.places).acquire_owned().await.ok()?;
    while app.service.status.queued_batches() > 0 {
        let wait = app.share.wait(app.service.clock.monotonic());
        if wait.is_zero() {
            break;
        }
        sleep(wait.min(SHARE_LOOK)).await;
    }
    Some(place)
}

/// Asks a question and writes what comes back as JSON.
pub async fn ask_json<T: Serialize>(
    app: App,
    question: impl FnOnce(&Service) -> Result<T, QueryError> + Send + 'static,
) -> Answer {
    ask(app, |service| question(service).map(|view| json::to_text(&view))).await.map(json_text)
}
