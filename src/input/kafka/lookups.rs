//! Partitions whose beginning is being asked for: when each is asked about, and which answers still
//! count. One partition that cannot be asked about holds up no other.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits::{
    KAFKA_BEHIND_WAIT, KAFKA_FIRST_TIMEOUT, KAFKA_REQUEST_TIMEOUT, KAFKA_RETRY_PAUSE,
};

/// Topic and number of a partition.
pub(super) type Name = (String, i32);

/// Why a partition is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// The group assigned it, and it has not begun.
    Assigned,
    /// It is being read, and its last record is to be compared again.
    Compare,
    /// Kafka called its position out of range, in these words.
    OutOfRange(String),
}

/// One question to the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) id: u64,
    pub(super) name: Name,
    /// Timeout of each request.
    pub(super) timeout: Duration,
}

/// A partition that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lookup {
    /// Counts lookups, so that the answer to an old one is known.
    id: u64,
    pub(super) name: Name,
    pub(super) reason: Reason,
    /// The position when it was asked about, where it is being read.
    pub(super) position: Option<u64>,
    /// Since when the topic has ended before the ledger's position.
    behind_since: Option<Duration>,
    due: Duration,
    attempts: u32,
    is_asked: bool,
}

impl Lookup {
    /// Notes an answer: whether the topic ends before the ledger's position, and that may pass. The
    /// restart of a broker leaves its end behind for a moment.
    pub(super) fn waits_for_end(&mut self, is_behind: bool, now: Duration) -> bool {
        if !is_behind {
            self.behind_since = None;
            return false;
        }
        let since = *self.behind_since.get_or_insert(now);
        now.saturating_sub(since) < KAFKA_BEHIND_WAIT
    }

    /// Notes that there was no answer: while nothing answers, nothing catches up either.
    pub(super) fn failed(&mut self) {
        self.behind_since = None;
    }
}

/// All that are asked about.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    lookups: BTreeMap<Name, Lookup>,
    last_id: u64,
}

impl Lookups {
    /// Asks about a partition at this time or later. Answers to former questions count no more.
    pub(super) fn want(&mut self, name: Name, reason: Reason, due: Duration) {
        let is_less = |known: &Lookup| {
            matches!(
                (&known.reason, &reason),
                (_, Reason::Assigned) | (Reason::Compare, Reason::OutOfRange(_))
            )
        };
        if self.lookups.get(&name).is_some_and(|known| !is_less(known)) {
            return;
        }
        self.last_id += 1;
        let lookup = Lookup {
            id: self.last_id,
            name: name.clone(),
            reason,
            position: None,
            behind_since: None,
            due,
            attempts: 0,
            is_asked: false,
        };
        self.lookups.insert(name, lookup);
    }

    /// Forgets a partition that is no longer ours.
    pub(super) fn forget(&mut self, name: &Name) {
        self.lookups.remove(name);
    }

    /// The questions that are due. `position` gives the offset that comes next in a partition that
    /// is being read.
    pub(super) fn due(
        &mut self,
        now: Duration,
        mut position: impl FnMut(&Name) -> Option<u64>,
    ) -> Vec<Question> {
        let is_due = |lookup: &&mut Lookup| !lookup.is_asked && lookup.due <= now;
        let ask = |lookup: &mut Lookup| {
            lookup.is_asked = true;
            lookup.position = position(&lookup.name);
            let timeout = KAFKA_FIRST_TIMEOUT.saturating_mul(1 << lookup.attempts.min(8));
            let timeout = timeout.min(KAFKA_REQUEST_TIMEOUT);
            lookup.attempts = lookup.attempts.saturating_add(1);
            Question { id: lookup.id, name: lookup.name.clone(), timeout }
        };
        self.lookups.values_mut().filter(is_due).map(ask).collect()
    }

    /// Takes out what a question was asked for; `None` where its answer counts no more.
    pub(super) fn take(&mut self, id: u64, name: &Name) -> Option<Lookup> {
        let is_same = self.lookups.get(name).is_some_and(|lookup| lookup.id == id);
        is_same.then(|| self.lookups.remove(name)).flatten()
    }

    /// Asks again after a pause.
    pub(super) fn put_off(&mut self, lookup: Lookup, now: Duration) {
        let due = now.saturating_add(KAFKA_RETRY_PAUSE);
        let later = Lookup { due, is_asked: false, ..lookup };
        self.lookups.insert(later.name.clone(), later);
    }

    /// The number of assigned partitions of a topic that have not started.
    pub(super) fn unbegun(&self, topic: &str) -> usize {
        let is_unbegun =
            |lookup: &&Lookup| lookup.name.0 == topic && lookup.reason == Reason::Assigned;
        self.lookups.values().filter(is_unbegun).count()
    }

    /// True if partitions of a topic are asked about.
    pub(super) fn has(&self, topic: &str) -> bool {
        self.lookups.keys().any(|(of, _)| of == topic)
    }

    /// True if nothing is asked about.
    pub(super) fn is_empty(&self) -> bool {
        self.lookups.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn name(number: i32) -> Name {
        ("t".to_owned(), number)
    }

    fn asked(lookups: &mut Lookups, now: Duration) -> Vec<(i32, Duration)> {
        let questions = lookups.due(now, |_| None);
        questions.into_iter().map(|question| (question.name.1, question.timeout)).collect()
    }

    #[test]
    fn a_second_assignment_leaves_the_first_waiting() {
        let mut lookups = Lookups::default();
        lookups.want(name(0), Reason::Assigned, Duration::ZERO);
        lookups.want(name(1), Reason::Assigned, Duration::ZERO);
        lookups.want(name(2), Reason::Assigned, Duration::ZERO);
        assert_eq!(lookups.unbegun("t"), 3);
        let numbers: Vec<_> = asked(&mut lookups, SECOND).into_iter().map(|(n, _)| n).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(asked(&mut lookups, SECOND), [], "each is asked about once at a time");
        lookups.forget(&name(1));
        assert_eq!((lookups.unbegun("t"), lookups.unbegun("u")), (2, 0));
    }

    #[test]
    fn a_failure_puts_off_its_own_partition_alone_and_gives_it_more_time() {
        let mut lookups = Lookups::default();
        lookups.want(name(0), Reason::Assigned, Duration::ZERO);
        lookups.want(name(1), Reason::Assigned, Duration::ZERO);
        let [first, second] = &lookups.due(SECOND, |_| None)[..] else { panic!("two are due") };
        let failed = lookups.take(first.id, &first.name).unwrap();
        lookups.put_off(failed, SECOND);
        assert!(lookups.take(second.id, &second.name).is_some(), "the other one is answered");
        assert_eq!(asked(&mut lookups, SECOND), [], "the pause is not over");
        let mut now = SECOND;
        for timeout in [2, 4, 5, 5].map(Duration::from_secs) {
            now += KAFKA_RETRY_PAUSE;
            let [question] = &lookups.due(now, |_| None)[..] else { panic!("one is due") };
            assert_eq!((question.name.1, question.timeout), (0, timeout));
            let failed = lookups.take(question.id, &question.name).unwrap();
            lookups.put_off(failed, now);
        }
    }

    #[test]
    fn each_partition_that_is_behind_has_its_own_time_to_catch_up() {
        let mut lookups = Lookups::default();
        lookups.want(name(0), Reason::Assigned, Duration::ZERO);
        lookups.want(name(1), Reason::Assigned, Duration::ZERO);
        let questions = lookups.due(Duration::ZERO, |_| None);
        let mut taken = questions.iter().map(|one| lookups.take(one.id, &one.name).unwrap());
        let (mut first, mut second) = (taken.next().unwrap(), taken.next().unwrap());
        assert!(first.waits_for_end(true, SECOND));
        assert!(first.waits_for_end(true, KAFKA_BEHIND_WAIT));
        let late = SECOND + KAFKA_BEHIND_WAIT;
        assert!(second.waits_for_end(true, late), "the other one's time has not begun before");
        assert!(!first.waits_for_end(true, late), "its time is over");
        second.failed();
        assert!(second.waits_for_end(true, 2 * late), "there was no answer in between");
        assert!(!second.waits_for_end(false, 2 * late), "it caught up");
        assert!(second.waits_for_end(true, 3 * late), "and is behind anew");
    }

    #[test]
    fn an_answer_of_a_former_assignment_does_not_count() {
        let mut lookups = Lookups::default();
        lookups.want(name(0), Reason::Assigned, Duration::ZERO);
        let old = lookups.due(SECOND, |_| None).remove(0);
        lookups.forget(&name(0));
        assert_eq!(lookups.take(old.id, &old.name), None);
        lookups.want(name(0), Reason::Assigned, Duration::ZERO);
        assert_eq!(lookups.take(old.id, &old.name), None);
        let new = lookups.due(SECOND, |_| None).remove(0);
        assert!(lookups.take(new.id, &new.name).is_some());
        assert!(lookups.is_empty());
    }

    #[test]
    fn the_weightier_reason_stays() {
        let (assigned, compare) = (Reason::Assigned, Reason::Compare);
        let out = || Reason::OutOfRange("o".to_owned());
        let table = [
            (assigned.clone(), compare.clone(), assigned.clone()),
            (assigned.clone(), out(), assigned.clone()),
            (compare.clone(), out(), out()),
            (out(), compare.clone(), out()),
            (compare.clone(), assigned.clone(), assigned.clone()),
            (out(), assigned.clone(), assigned),
        ];
        for (first, second, expected) in table {
            let mut lookups = Lookups::default();
            lookups.want(name(0), first, Duration::ZERO);
            lookups.want(name(0), second, Duration::ZERO);
            let question = lookups.due(SECOND, |_| Some(7)).remove(0);
            let lookup = lookups.take(question.id, &question.name).unwrap();
            assert_eq!((lookup.reason, lookup.position), (expected, Some(7)));
        }
    }
}
