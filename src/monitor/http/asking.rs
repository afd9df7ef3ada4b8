//! State shared by handlers: the service, and the slots for queries that may wait for a disk.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::clock::thread_time;
use crate::limits::{
    KEPT_BODIES, KEPT_EXPORTS, KEPT_LARGE_ANSWERS, KEPT_REQUESTS, KEPT_STREAMS, MAX_BODIES,
    MAX_CLIENT_BODIES, MAX_CLIENT_EXPORTS, MAX_CLIENT_LARGE_ANSWERS, MAX_CLIENT_REQUESTS,
    MAX_CLIENT_STREAMS, MAX_EXPORT_READS, MAX_EXPORTS, MAX_LARGE_ANSWERS, MAX_REQUESTS,
    MAX_STREAM_READS, MAX_STREAMS, PLACE_WAIT, REQUEST_TIMEOUT,
};
use crate::monitor::access::{Access, Asker, Place, Places, Quota};
use crate::monitor::http::answer::{Problem, json_text};
use crate::monitor::http::route::Table;
use crate::monitor::http::share::ReadShare;
use crate::monitor::service::Service;
use crate::monitor::watch::Watched;
use crate::query::QueryError;
use crate::query::json;

/// Interval at which a waiting query checks the backlog of records again.
const SHARE_LOOK: Duration = Duration::from_millis(50);

/// The state that every handler has, for the sender of one request.
#[derive(Clone)]
pub struct App {
    /// The service to query.
    pub service: Arc<Service>,
    /// The monitored values.
    pub watched: Watched,
    /// Access control.
    pub access: Arc<Access>,
    /// The readers' share of the processors.
    share: Arc<ReadShare>,
    /// Places for work that waits or takes memory.
    pub places: Arc<Work>,
    /// The holder of the slots.
    pub asker: Asker,
    /// All routes.
    pub table: Arc<Table>,
    /// Address of the link of the navigation that the request's page belongs to.
    pub section: Option<&'static str>,
}

/// The places of each kind of work.
pub struct Work {
    /// One for each question that is being worked on, also when its asker has gone.
    questions: Places,
    /// One for each body that is being read.
    pub bodies: Places,
    /// One for each large answer that is being sent.
    pub answers: Places,
    /// One for each stream of events that is open.
    pub streams: Places,
    /// One for each stream that reads a block now.
    pub stream_reads: Semaphore,
    /// One for each export that is being sent.
    pub exports: Places,
    /// One for each export that reads the state now.
    pub export_reads: Semaphore,
}

impl Default for Work {
    fn default() -> Self {
        let places = |all, kept, per_client| Places::new(Quota { all, kept, per_client });
        Self {
            questions: places(MAX_REQUESTS, KEPT_REQUESTS, MAX_CLIENT_REQUESTS),
            bodies: places(MAX_BODIES, KEPT_BODIES, MAX_CLIENT_BODIES),
            answers: places(MAX_LARGE_ANSWERS, KEPT_LARGE_ANSWERS, MAX_CLIENT_LARGE_ANSWERS),
            streams: places(MAX_STREAMS, KEPT_STREAMS, MAX_CLIENT_STREAMS),
            stream_reads: Semaphore::new(MAX_STREAM_READS),
            exports: places(MAX_EXPORTS, KEPT_EXPORTS, MAX_CLIENT_EXPORTS),
            export_reads: Semaphore::new(MAX_EXPORT_READS),
        }
    }
}

/// The result of a handler.
pub type Answer = Result<Response, Problem>;

impl App {
    /// For the handlers of these routes, over a service that is watched.
    pub fn new(service: Arc<Service>, watched: Watched, access: Arc<Access>, table: Table) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let share = Arc::new(ReadShare::of(u32::try_from(processors).unwrap_or(u32::MAX)));
        Self {
            service,
            watched,
            access,
            share,
            places: Arc::default(),
            asker: Asker::default(),
            table: Arc::new(table),
            section: None,
        }
    }
}

/// Handlers take it as an argument, with the sender and the section of their request.
impl FromRequestParts<App> for App {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let asker = parts.extensions.get::<Asker>().copied().unwrap_or_default();
        let path = parts.extensions.get::<MatchedPath>();
        let section = path.and_then(|path| app.table.section(path.as_str()));
        Ok(Self { asker, section, ..app.clone() })
    }
}

/// Asks a question on a thread that may wait for a disk, within [`REQUEST_TIMEOUT`].
pub async fn ask<T: Send + 'static>(
    app: App,
    question: impl FnOnce(&Service) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, Problem> {
    let unavailable = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    let Ok(Some(place)) = timeout(PLACE_WAIT, place_and_share(&app)).await else {
        return Err(unavailable("too many concurrent requests; try again"));
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
            let detail = "the request failed; see the log";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
        }
        Err(_) => Err(unavailable("the answer took too long; request less at a time")),
    }
}

/// Waits for a place, and while records wait, for a share of the processors; `None` once nothing is
/// asked any more.
async fn place_and_share(app: &App) -> Option<Place> {
    let place = app.places.questions.take(app.asker).await?;
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
