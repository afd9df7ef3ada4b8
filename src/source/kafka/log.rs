//! The client library's log lines, forwarded to ours.

use rdkafka::config::RDKafkaLogLevel;

/// Writes a line of the library at the level that fits.
pub(super) fn forward(level: RDKafkaLogLevel, facility: &str, message: &str) {
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
        RDKafkaLogLevel::Debug => tracing::debug!("librdkafka: {facility}: {message}"),
    }
}
