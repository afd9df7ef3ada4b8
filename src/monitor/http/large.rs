//! Large answers: a client that reads slowly makes them wait in memory, so only so many are sent at
//! a time.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};
use tokio::time::timeout;

use crate::limits::{ANSWER_SLICE_BYTES, LARGE_ANSWER_BYTES, PLACE_WAIT};
use crate::monitor::access::{Asker, Place};
use crate::monitor::http::answer::Problem;
use crate::monitor::http::asking::App;

/// The answer; one that is large holds a place until all of it was sent.
pub async fn paced(app: &App, asker: Asker, response: Response) -> Response {
    let size = response.body().size_hint().exact();
    if size.is_none_or(|bytes| bytes <= LARGE_ANSWER_BYTES) {
        return response;
    }
    match timeout(PLACE_WAIT, app.places.answers.take(asker)).await {
        Ok(Some(place)) => {
            response.map(|body| Body::new(Held { body, slices: Bytes::new(), _place: place }))
        }
        _ => {
            let detail = "too many large answers are being read slowly; try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response()
        }
    }
}

/// A body that holds a place. It is given out in slices: of a body in one piece, the connection would
/// take all at once, and the place would be free while the client still reads.
struct Held {
    body: Body,
    /// The part of the body that is not sent yet.
    slices: Bytes,
    _place: Place,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.slices.is_empty() {
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                other => return other,
            };
            match frame.into_data() {
                Ok(data) => self.slices = data,
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
        let end = self.slices.len().min(ANSWER_SLICE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.slices.split_to(end)))))
    }

    fn is_end_stream(&self) -> bool {
        self.slices.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let waiting = self.slices.len() as u64;
        let of_body = self.body.size_hint().exact();
        of_body.map_or_else(SizeHint::default, |bytes| SizeHint::with_exact(bytes + waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::access::{Places, Quota};
    use std::task::Waker;

    #[test]
    fn a_place_is_held_until_the_last_slice() {
        let places = Places::new(Quota { all: 1, kept: 0, per_client: 1 });
        let place = places.try_take(Asker::default()).unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * ANSWER_SLICE_BYTES + 7).collect();
        let body = Body::from(bytes.clone());
        let mut held = Box::pin(Held { body, slices: Bytes::new(), _place: place });
        let mut sent = Vec::new();
        while !held.is_end_stream() {
            let left = hyper::body::Body::size_hint(&*held).exact().unwrap();
            assert_eq!(left, (bytes.len() - sent.len()) as u64);
            let mut context = Context::from_waker(Waker::noop());
            let Poll::Ready(Some(Ok(frame))) = held.as_mut().poll_frame(&mut context) else {
                panic!("the body ends early");
            };
            let slice = frame.into_data().unwrap();
            assert!((1..=ANSWER_SLICE_BYTES).contains(&slice.len()));
            sent.extend_from_slice(&slice);
            assert!(places.try_take(Asker::default()).is_none());
        }
        assert_eq!(sent, bytes);
        drop(held);
        assert!(places.try_take(Asker::default()).is_some());
    }
}
