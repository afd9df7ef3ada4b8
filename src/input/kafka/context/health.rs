//! The context's part in the health of the source: refusals, and which partitions exist and are read.

use std::collections::BTreeMap;

use rdkafka::error::RDKafkaErrorCode;

use super::Context;
use crate::input::PartitionStatus;
use crate::input::health::Refusal;
use crate::input::kafka::begin::FetchRefused;
use crate::input::kafka::form::Start;

/// True if a broker says by this code that it understood and will not serve this client.
pub(in crate::input::kafka) fn refuses(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::InconsistentGroupProtocol
            | Code::InvalidGroupId
            | Code::InvalidSessionTimeout
            | Code::GroupMaxSizeReached
            | Code::PolicyViolation
    )
}

impl Context {
    /// Notes that the broker refuses this client.
    pub(in crate::input::kafka) fn refuse(&self, refusal: Refusal, message: &str) {
        let now = self.clock.monotonic();
        match &refusal {
            Refusal::Fetch => {
                let mut shared = self.shared();
                shared.fetch_refused = Some(FetchRefused::new(shared.topics(), now));
            }
            Refusal::Group => self.shared().group_refused_at = now,
            _ => {}
        }
        self.health.refuse(refusal, &self.redacted(message));
    }

    /// Notes that no connection comes about. With another broker connected, work goes on.
    pub(super) fn refuse_connection(&self, message: &str) {
        if !self.health.connected() {
            self.refuse(Refusal::Connection, message);
        }
    }

    /// Partitions of a topic that this process reads.
    pub(in crate::input::kafka) fn partitions_read(&self, topic: &str) -> Vec<u32> {
        self.assignments.assigned(topic, self.epoch(topic))
    }

    /// Partitions of a topic that exist and that this process does not read.
    pub(in crate::input::kafka) fn unassigned(&self, topic: &str) -> Vec<i32> {
        let epoch = self.epoch(topic);
        let is_wanted = |status: &PartitionStatus| {
            let partition = &status.partition;
            !status.assigned && &*partition.topic == topic && partition.epoch == epoch
        };
        let wanted = self.assignments.status().into_iter().filter(is_wanted);
        wanted.filter_map(|status| i32::try_from(status.partition.partition).ok()).collect()
    }

    /// Notes a partition that exists, whoever reads it, and its watermarks where they are known.
    pub(in crate::input::kafka) fn discover(
        &self,
        topic: &str,
        number: i32,
        watermarks: Option<(i64, i64)>,
    ) {
        let Some(partition) = self.partition(topic, number) else { return };
        let Some((low, high)) = watermarks else {
            return self.assignments.discover(&partition, None);
        };
        let is_from_low = self.start == Start::Earliest || self.is_younger(&partition);
        let first = if is_from_low { low } else { high };
        self.assignments.discover(&partition, u64::try_from(first).ok());
        if let Ok(end) = u64::try_from(high) {
            self.assignments.set_end(&partition, end);
        }
    }

    /// Tells the health which partitions are read and which could not begin.
    pub(super) fn tell_assigned(&self) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let topics = self.health.topics().into_iter();
        let unbegun = |topic: String| {
            let count = self.shared().lookups.unbegun(&topic);
            (topic, number(count))
        };
        let unbegun: BTreeMap<_, _> = topics.map(unbegun).collect();
        self.health.set_assigned(|topic| {
            let waiting = unbegun.get(topic).copied().unwrap_or(0);
            (number(self.partitions_read(topic).len()), waiting)
        });
    }
}
