//! The data of the service that `top` shows. Nothing here asks for the time or draws.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cli::top::answers::Answers;
use crate::limits::MAX_SHOWN_RATES;

/// The lists that can be scrolled, in the order in which they are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum List {
    /// Partitions of the source.
    Partitions,
    /// Active alerts.
    Alerts,
    /// Dead letters.
    Letters,
}

impl List {
    /// Every list.
    pub const ALL: [Self; 3] = [Self::Partitions, Self::Alerts, Self::Letters];
}

/// Everything that is shown.
#[derive(Debug, Clone)]
pub struct View {
    /// Address of the endpoint.
    pub url: String,
    /// The newest answers.
    pub answers: Option<Answers>,
    /// Time of the answers, on the monotonic clock.
    pub answered: Duration,
    /// Now, on the same.
    pub now: Duration,
    /// Why the newest round gave none.
    pub away: Option<String>,
    /// Events a second between two rounds, oldest first: those of the last minute.
    pub rates: VecDeque<u64>,
    /// Rates that make a minute.
    pub most_rates: usize,
    /// True if no more is asked.
    pub is_paused: bool,
    /// Lines that each list is scrolled by.
    pub scrolled: [u16; List::ALL.len()],
    /// The list that is scrolled.
    pub chosen: List,
}

impl View {
    /// Nothing is known yet. `every` is the time between two rounds.
    #[must_use]
    pub fn new(url: &str, every: Duration) -> Self {
        let most_rates = Duration::from_secs(60).as_millis() / every.as_millis().max(1);
        Self {
            url: url.to_owned(),
            answers: None,
            answered: Duration::ZERO,
            now: Duration::ZERO,
            away: None,
            rates: VecDeque::new(),
            most_rates: usize::try_from(most_rates).unwrap_or(1).clamp(1, MAX_SHOWN_RATES),
            is_paused: false,
            scrolled: [0; List::ALL.len()],
            chosen: List::Partitions,
        }
    }

    /// Takes in what a round gave, answers or why there are none.
    pub fn take(&mut self, answers: Result<Answers, String>, now: Duration) {
        self.now = now;
        match answers {
            Ok(answers) => {
                if let Some(before) = &self.answers {
                    let read = answers.status.records.read;
                    // After a restore there may be fewer.
                    let more = read.saturating_sub(before.status.records.read);
                    let rate = a_second(more, now.saturating_sub(self.answered));
                    self.rates.push_back(rate);
                    while self.rates.len() > self.most_rates {
                        self.rates.pop_front();
                    }
                }
                (self.answers, self.answered, self.away) = (Some(answers), now, None);
            }
            Err(reason) => self.away = Some(reason),
        }
    }

    /// Chooses the next list, or the one before.
    pub fn choose(&mut self, forward: bool) {
        let step = if forward { 1 } else { List::ALL.len() - 1 };
        self.chosen = List::ALL[(self.chosen as usize + step) % List::ALL.len()];
    }

    /// Scrolls the chosen list.
    pub fn scroll(&mut self, down: bool, lines: u16) {
        let scrolled = &mut self.scrolled[self.chosen as usize];
        *scrolled =
            if down { scrolled.saturating_add(lines) } else { scrolled.saturating_sub(lines) };
    }

    /// Keeps a list within what it has: it is shown by so many lines at most.
    pub fn bound(&mut self, list: List, most: u16) {
        let scrolled = &mut self.scrolled[list as usize];
        *scrolled = (*scrolled).min(most);
    }
}

/// The rate per second, rounded; none if no time has passed.
fn a_second(count: u64, time: Duration) -> u64 {
    let rate = (u128::from(count) * 1_000).checked_div(time.as_millis()).unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
