//! Sends an export piece by piece, each made when the one before has room, within a time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::limits::{EXPORT_LIFETIME, MAX_QUEUED_EXPORT_PIECES};
use crate::monitor::access::Place;
use crate::monitor::http::answer::Problem;
use crate::monitor::http::asking::{Answer, App, ask};
use crate::monitor::service::Service;
use crate::query::QueryError;

/// Blocks that the state held when the export began.
pub const HEIGHT: HeaderName = HeaderName::from_static("ledgerline-height");
/// Entries of the ledger then: what has a lower version was not changed since.
pub const ENTRIES: HeaderName = HeaderName::from_static("ledgerline-entries");
/// Blocks that the state held when the export ended; behind the file, as a trailer.
pub const HEIGHT_AT_END: HeaderName = HeaderName::from_static("ledgerline-height-at-end");
/// Pause before a piece is asked for again when all places were taken.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// Makes an export, piece by piece.
pub trait Pieces: Clone + Send + Sync + 'static {
    /// The start of the next piece.
    type Place: Clone + Send + Sync + 'static;

    /// A piece from a place on, and where the next one begins; `None` at the end.
    fn piece(
        &self,
        service: &Service,
        place: Self::Place,
    ) -> Result<(Vec<u8>, Option<Self::Place>), QueryError>;
}

/// The headers of an export.
pub struct Head {
    /// Its media type.
    pub kind: &'static str,
    /// Its name as a file.
    pub disposition: String,
    /// Blocks that the state holds, and the entries up to there.
    pub standing: (u64, u64),
    /// The first lines of the file.
    pub beginning: Vec<u8>,
}

/// Answers with an export from a place on. What is wrong with the question is said before it begins.
pub async fn send<P: Pieces>(app: App, pieces: P, from: P::Place, head: Head) -> Answer {
    let place = app.places.exports.try_take(app.asker).ok_or_else(|| {
        let detail = "too many concurrent exports; try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let first = read(&app, &pieces, from).await?;
    let (sender, receiver) = mpsc::channel(MAX_QUEUED_EXPORT_PIECES);
    let sending = Sending { app, pieces, sender };
    tokio::spawn(sending.run(head.beginning, first, place));
    let mut response = Body::new(File { receiver, is_whole: false }).into_response();
    let headers = response.headers_mut();
    let number = |number: u64| HeaderValue::from(number);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(head.kind));
    if let Ok(disposition) = HeaderValue::from_str(&head.disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    headers.insert(HEIGHT, number(head.standing.0));
    headers.insert(ENTRIES, number(head.standing.1));
    headers.insert(header::TRAILER, HeaderValue::from_static("ledgerline-height-at-end"));
    Ok(response)
}

type Piece<P> = (Vec<u8>, Option<<P as Pieces>::Place>);

async fn read<P: Pieces>(app: &App, pieces: &P, place: P::Place) -> Result<Piece<P>, Problem> {
    let pieces = pieces.clone();
    let _turn = app.places.export_reads.acquire().await;
    ask(app.clone(), move |service| pieces.piece(service, place)).await
}

/// A part sent to the reader.
enum Part {
    Bytes(Bytes),
    /// All was sent; the state held so many blocks then.
    End(u64),
}

/// Sends one export.
struct Sending<P> {
    app: App,
    pieces: P,
    sender: mpsc::Sender<Part>,
}

impl<P: Pieces> Sending<P> {
    async fn run(self, beginning: Vec<u8>, first: Piece<P>, held: Place) {
        if timeout(EXPORT_LIFETIME, self.all(beginning, first)).await.is_err() {
            tracing::info!("an export took too long and was cut off");
        }
        drop(held);
    }

    /// Ends early where the reader went away or a piece cannot be made.
    async fn all(&self, mut bytes: Vec<u8>, first: Piece<P>) {
        bytes.extend(first.0);
        let mut next = first.1;
        loop {
            if !bytes.is_empty() && self.sender.send(Part::Bytes(bytes.into())).await.is_err() {
                return;
            }
            let Some(place) = next else { break };
            match self.piece(place).await {
                Some(piece) => (bytes, next) = piece,
                None => return,
            }
        }
        let height = standing(&self.app.service).0;
        let _ = self.sender.send(Part::End(height)).await;
    }

    async fn piece(&self, place: P::Place) -> Option<Piece<P>> {
        loop {
            match read(&self.app, &self.pieces, place.clone()).await {
                Ok(piece) => return Some(piece),
                // Who waits for a file can wait a little longer than who waits for a page.
                Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
                    sleep(BUSY_PAUSE).await;
                }
                Err(_) => return None,
            }
        }
    }
}

/// Blocks that the state holds, and the entries of the ledger up to there.
pub fn standing(service: &Service) -> (u64, u64) {
    use crate::follower::Follower as _;
    use crate::ledger::LedgerReader as _;
    let (ledger, height) = (service.queries.ledger(), service.queries.world().next_block());
    let newest = height.checked_sub(1).and_then(|newest| ledger.block(newest).ok());
    (height, newest.map_or(0, |block| block.header.entries_end))
}

/// The body of the answer: an error where it ends before all was sent.
struct File {
    receiver: mpsc::Receiver<Part>,
    is_whole: bool,
}

impl hyper::body::Body for File {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.receiver.poll_recv(context).map(|part| match part {
            Some(Part::Bytes(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Part::End(height)) => {
                self.is_whole = true;
                let trailer = [(HEIGHT_AT_END, HeaderValue::from(height))];
                Some(Ok(Frame::trailers(HeaderMap::from_iter(trailer))))
            }
            None if self.is_whole => None,
            None => Some(Err(std::io::Error::other("the export was cut off"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use hyper::body::Body as _;

    use super::*;

    #[test]
    fn only_what_came_to_its_end_ends_well() {
        for is_whole in [true, false] {
            let (sender, receiver) = mpsc::channel(2);
            let mut file = Box::pin(File { receiver, is_whole: false });
            let mut poll = || file.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()));
            assert!(poll().is_pending());
            sender.try_send(Part::Bytes(Bytes::from_static(b"line\n"))).ok().unwrap();
            assert!(matches!(poll(), Poll::Ready(Some(Ok(frame))) if frame.is_data()));
            if is_whole {
                sender.try_send(Part::End(7)).ok().unwrap();
                let Poll::Ready(Some(Ok(frame))) = poll() else { panic!("no trailers") };
                assert_eq!(frame.trailers_ref().unwrap()[HEIGHT_AT_END], "7");
            }
            drop(sender);
            let end = poll();
            assert_eq!(matches!(end, Poll::Ready(None)), is_whole);
            assert_eq!(matches!(end, Poll::Ready(Some(Err(_)))), !is_whole);
        }
    }
}
