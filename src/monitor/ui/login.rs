//! The login page. It works without script: a token goes in, a cookie comes out.

use axum::extract::Request;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::limits::MAX_REQUEST_HEAD_BYTES;
use crate::monitor::access::Caller;
use crate::monitor::http::answer::Problem;
use crate::monitor::http::asking::App;
use crate::monitor::http::body;
use crate::monitor::http::request::Parameters;
use crate::monitor::ui::parts::text;
use crate::monitor::ui::shell::{self, Content, Visitor};
use crate::monitor::ui::{HTML, turned_away};

/// Asks for a token.
pub async fn page(app: App, caller: Option<Caller>, uri: Uri) -> Response {
    let given = Parameters::of(&uri).and_then(|mut given| {
        let next = given.filled("next")?;
        given.finish().map(|()| next)
    });
    match given {
        Ok(next) => {
            let html = form(&app, caller, &local(next), None);
            ([(header::CONTENT_TYPE, HTML)], html).into_response()
        }
        Err(error) => turned_away(&app, &error.into()),
    }
}

/// Takes a token, and leads to where its sender was going.
pub async fn enter(app: App, request: Request) -> Response {
    let client = app.access.client(&request);
    let given = body::login_form(request).await.and_then(|mut given| {
        let (token, next) = (given.filled("token")?, given.filled("next")?);
        given.finish()?;
        Ok((token.unwrap_or_default(), local(next)))
    });
    let (token, next) = match given {
        Ok(given) => given,
        Err(problem) => return turned_away(&app, &problem),
    };
    match app.access.log_in(&client, token.trim()) {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response(),
        Err(refusal) => {
            let html = form(&app, None, &next, Some(refusal.problem()));
            let mut response = refusal.problem().answer(HTML, html);
            refusal.mark(&mut response);
            response
        }
    }
}

/// Forgets who a browser is of.
pub async fn leave(app: App, request: Request) -> Response {
    let client = app.access.client(&request);
    let cookie = app.access.log_out(&client, request.headers());
    let mut response = Redirect::to("/login").into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// The address to continue at. Only local ones are accepted: any other would be an open redirect.
fn local(next: Option<String>) -> String {
    let is_ours = |next: &String| {
        let mut letters = next.bytes();
        letters.next() == Some(b'/')
            && !matches!(letters.next(), Some(b'/' | b'\\'))
            && next.bytes().all(|letter| letter.is_ascii_graphic())
            && next.len() < MAX_REQUEST_HEAD_BYTES / 2
    };
    next.filter(is_ours).unwrap_or_else(|| "/".to_owned())
}

fn form(app: &App, caller: Option<Caller>, next: &str, problem: Option<&Problem>) -> String {
    let body = html! {
        @if let Some(problem) = problem {
            p.problem role="alert" { (text(problem.detail())) }
        }
        @match app.access.takes_tokens() {
            true => (token_form(next)),
            false => p {
                "Token login is not configured: your role is that of everyone, or that of your "
                "client certificate."
            },
        }
        // A browser keeps its login back from a link that another site has led here by.
        p { a href=(next) { "Continue without a token, or with this browser's existing login" } }
    };
    let content = Content { title: "Log in".to_owned(), is_live: false, body };
    let is_stranger = caller.is_none();
    let visitor = Visitor { is_stranger, caller, ..Visitor::of_error(app) };
    shell::page(&app.service, &visitor, &content)
}

fn token_form(next: &str) -> Markup {
    html! {
        form.search action="/login" method="post" {
            input type="hidden" name="next" value=(next);
            // Those who keep passwords want to know whose.
            input type="text" autocomplete="username" value="ledgerline" hidden readonly;
            label {
                "Token"
                input type="password" name="token" autocomplete="current-password" required autofocus;
            }
            button type="submit" { "Log in" }
        }
        p { "Tokens are created by the operator of this service, with " code { "ledgerline token" } "." }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_nowhere_else() {
        for (next, expected) in [
            ("/", "/"),
            ("/state/cold_chain?prefix=C%2F1", "/state/cold_chain?prefix=C%2F1"),
            ("", "/"),
            ("blocks", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example/", "/"),
            ("https://evil.example/", "/"),
            ("/a\r\nSet-Cookie: b", "/"),
            ("/\u{202e}", "/"),
        ] {
            assert_eq!(local(Some(next.to_owned())), expected, "{next}");
        }
        assert_eq!(local(None), "/");
    }
}
