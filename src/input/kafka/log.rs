//! The client library's log lines, forwarded to ours.

use rdkafka::config::RDKafkaLogLevel;

/// Facilities whose lines also come as errors, which say them once.
const TOLD_AS_ERRORS: [&str; 2] = ["FAIL", "ERROR"];

/// Writes a line of the library at the level that fits.
pub(super) fn forward(level: RDKafkaLogLevel, facility: &str, message: &str) {
    if TOLD_AS_ERRORS.contains(&facility) {
        tracing::debug!("librdkafka: {facility}: {message}");
        return;
    }
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!("librdkafka: {facility}: {message}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!("librdkafka: {facility}: {message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!("librdkafka: {facility}: {message}");
        }
        RDKafkaLogLevel::Debug => tracing::trace!("librdkafka: {facility}: {message}"),
    }
}

/// True if a line of this level goes to our log. The library logs more than a person reads.
pub(super) fn is_wanted(level: RDKafkaLogLevel) -> bool {
    !matches!(level, RDKafkaLogLevel::Debug) || tracing::enabled!(tracing::Level::TRACE)
}

/// A connection's failure without the library's counters, which make each repetition look new.
pub(super) fn without_state(reason: &str) -> &str {
    reason.rfind(" (after ").map_or(reason, |at| &reason[..at])
}
