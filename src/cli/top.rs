//! `ledgerline top`: the overview of a running service, in a terminal.

mod answers;
mod client;
mod draw;
mod lists;
mod view;

pub use client::AwayError;

use std::io::{IsTerminal, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Terminal};

use crate::cli::ExitStatus;
use crate::cli::exit::UsageError;
use crate::cli::run::watch_signals;
use crate::cli::top::answers::Answers;
use crate::cli::top::client::Client;
use crate::cli::top::draw::{draw, whole_height};
use crate::cli::top::view::{List, View};
use crate::clock::{Clock, SystemClock};
use crate::command::output::{line, safe};
use crate::config::environment;
use crate::diagnostic::chain;
use crate::monitor::access::kept;
use crate::outbound::Trust;
use crate::outbound::tls::Identity;
use crate::pipeline::Stop;
use crate::query::json::to_text;

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// The endpoint: `monitor.listen` of the service's configuration.
    #[arg(long, default_value = "http://127.0.0.1:8780", value_name = "URL")]
    url: String,
    /// PEM file of the authorities of an https endpoint; the system's where not given.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of a client certificate, for an endpoint that takes these.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM file of its private key.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// File with a token that says who asks; where not given, the variable LEDGERLINE_TOKEN.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 1, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
    /// Print one picture as plain text and end: 69 where the endpoint does not answer. It takes two
    /// looks, for a rate lies between them.
    #[arg(long)]
    once: bool,
    /// With `--once`: print one JSON object after a single look.
    #[arg(long, requires = "once")]
    json: bool,
}

/// Time to wait for a key before redrawing.
const KEY_WAIT: Duration = Duration::from_millis(200);
/// Columns of a picture as text.
const TEXT_WIDTH: u16 = 120;
/// Lines of a page of a list.
const PAGE: u16 = 10;

/// Environment variable with a bearer token.
const TOKEN: &str = "LEDGERLINE_TOKEN";

/// Shows the overview.
pub fn top(args: &TopArgs) -> anyhow::Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the client runtime")?;
    let identity = args.certificate.clone().zip(args.key.clone());
    let trust = Trust {
        authorities: args.ca.clone(),
        identity: identity.map(|(certificate, key)| Identity { certificate, key }),
    };
    let usage = |reason| UsageError(format!("`--url {}`: {reason}", safe(&args.url)));
    let mut client = Client::new(&args.url, &trust, runtime).map_err(usage)?;
    if let Some(token) = token(args.token_file.as_deref())? {
        client = client.with_token(&token).map_err(usage)?;
    }
    let every = Duration::from_secs(args.every);
    let clock = SystemClock::new();
    if args.json {
        line(to_text(&client.ask()?))?;
        return Ok(ExitStatus::Ok);
    }
    match args.once {
        true => print_once(&client, every, &clock),
        false => watch(client, every, &clock),
    }
}

/// The token of a file, or else of the environment.
fn token(file: Option<&Path>) -> Result<Option<String>, UsageError> {
    let Some(file) = file else { return Ok(environment(TOKEN)) };
    let absent = || "file not found".to_owned();
    let bytes = kept::read(file).and_then(|bytes| bytes.ok_or_else(absent));
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    text.map(Some)
        .map_err(|reason| UsageError(format!("`--token-file {}`: {reason}", file.display())))
}

fn print_once(client: &Client, every: Duration, clock: &dyn Clock) -> anyhow::Result<ExitStatus> {
    let mut view = View::new(client.url(), every);
    view.take(Ok(client.ask()?), clock.monotonic());
    clock.sleep(every);
    view.take(Ok(client.ask()?), clock.monotonic());
    as_text(&view)?.into_iter().try_for_each(line)?;
    Ok(ExitStatus::Ok)
}

/// A picture without colours, as high as it has to be.
fn as_text(view: &View) -> anyhow::Result<Vec<String>> {
    let (width, height) = (TEXT_WIDTH, whole_height(view, TEXT_WIDTH));
    let mut terminal = Terminal::new(TestBackend::new(width, height))?;
    let drawn = terminal.draw(|frame| _ = draw(frame, view))?;
    let row = |y: u16| {
        let cells = (0..width).filter_map(|x| drawn.buffer.cell((x, y)));
        cells.map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()
    };
    // The last line is of keys.
    Ok((0..height.saturating_sub(1)).map(row).collect())
}

/// A terminal that is given back as it was, whichever way this ends.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> anyhow::Result<Self> {
        // On a panic it is given back too, before the message.
        let opened = ratatui::try_init().inspect_err(|_| drop(ratatui::try_restore()));
        opened.map(Self).context("cannot draw on this terminal")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing back.
        let _ = ratatui::try_restore();
    }
}

fn watch(client: Client, every: Duration, clock: &dyn Clock) -> anyhow::Result<ExitStatus> {
    if !stdin().is_terminal() || !stdout().is_terminal() {
        let help = "`top` needs a terminal; `top --once` prints one picture as text";
        return Err(UsageError(help.to_owned()).into());
    }
    let stop = Stop::default();
    let _signals = watch_signals(stop.clone())?;
    let mut view = View::new(client.url(), every);
    let asking = Asking::start(client)?;
    let mut screen = Screen::open()?;
    let mut asked: Option<Duration> = None;
    let mut is_waiting = false;
    while !stop.is_asked() {
        view.now = clock.monotonic();
        let is_due = asked.is_none_or(|asked| view.now.saturating_sub(asked) >= every);
        if is_due && !is_waiting && !view.is_paused {
            asking.ask()?;
            (asked, is_waiting) = (Some(view.now), true);
        }
        if let Ok(answers) = asking.answers.try_recv() {
            view.take(answers, clock.monotonic());
            is_waiting = false;
        }
        let mut bounds = draw::Bounds::default();
        screen.0.draw(|frame| bounds = draw(frame, &view)).context("drawing")?;
        List::ALL.into_iter().zip(bounds).for_each(|(list, most)| view.bound(list, most));
        if event::poll(KEY_WAIT).context("waiting for a key")?
            && let Event::Key(key) = event::read().context("reading a key")?
            && press(&mut view, key)
        {
            break;
        }
    }
    Ok(ExitStatus::Ok)
}

/// Does what a key asks for; whether it asks for the end.
fn press(view: &mut View, key: KeyEvent) -> bool {
    if key.kind == KeyEventKind::Release {
        return false;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Char('p') => view.is_paused = !view.is_paused,
        KeyCode::Left | KeyCode::BackTab => view.choose(false),
        KeyCode::Right | KeyCode::Tab => view.choose(true),
        KeyCode::Up => view.scroll(false, 1),
        KeyCode::Down => view.scroll(true, 1),
        KeyCode::PageUp => view.scroll(false, PAGE),
        KeyCode::PageDown => view.scroll(true, PAGE),
        _ => {}
    }
    false
}

/// A thread that asks when it is told to: an endpoint that hangs must not hold up the keys.
struct Asking {
    ask: Sender<()>,
    answers: Receiver<Result<Answers, String>>,
}

impl Asking {
    fn start(client: Client) -> anyhow::Result<Self> {
        let (ask, asked) = channel();
        let (answer, answers) = channel();
        let work = move || {
            for () in asked {
                let answers = client.ask().map_err(|error| safe(&chain(&error)));
                if answer.send(answers).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("asking".to_owned());
        thread.spawn(work).context("cannot start the client thread")?;
        Ok(Self { ask, answers })
    }

    fn ask(&self) -> anyhow::Result<()> {
        self.ask.send(()).context("the client thread has stopped")
    }
}
