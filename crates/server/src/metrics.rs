//! What is counted. Every metric is declared in [`METRICS`], from which its documentation is made. Labels hold no names
//! of modules, versions or users, so that the number of series is bounded.

mod kinds;
mod times;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use depot::{CleanTotals, ScrubTotals};
use fault::Label;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use store::Space;
use upstream::{Event, Observer, Outcome};

use times::Times;

pub(crate) use kinds::{Endpoint, Served};

/// What is said of a metric in the documentation and on `/metrics`.
#[derive(Clone, Copy, Debug)]
pub struct MetricDoc {
    /// The name as scraped.
    pub name: &'static str,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts, and in which unit.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident: $kind:literal $name:literal $labels:tt = $help:literal;)+) => {
        $(const $constant: MetricDoc =
            MetricDoc { name: $name, kind: $kind, labels: &$labels, help: $help };)+
        /// Every metric, in the order of the documentation.
        pub const METRICS: &[MetricDoc] = &[$($constant),+];
    };
}

metrics! {
    BUILD: "info" "modkeep_build_info" ["version"] = "The running version";
    REQUESTS: "counter" "modkeep_requests_total" ["endpoint", "outcome"] = "Requests answered";
    ANSWER_TIMES: "histogram" "modkeep_request_seconds" ["endpoint"] = "Seconds from a request to the head of its answer";
    SENT: "counter" "modkeep_sent_bytes_total" [] = "Bytes of response bodies begun, HEAD excluded";
    CONNECTIONS: "gauge" "modkeep_connections" [] = "Client connections open";
    REJECTED: "counter" "modkeep_connection_errors_total" [] = "Client connections that ended with an error: malformed, too slow, cut";
    EXCHANGES: "counter" "modkeep_upstream_requests_total" ["upstream", "outcome"] = "Exchanges with upstreams; the outcome of a failure is its label";
    LATENCY: "histogram" "modkeep_upstream_seconds" ["upstream"] = "Seconds to the end of an upstream's answer; for zips to their first bytes";
    RECEIVED: "counter" "modkeep_upstream_received_bytes_total" ["upstream"] = "Bytes of bodies that came from upstreams, whether they were of use or not; modkeep_sent_bytes_total less these were saved";
    UPSTREAM_EVENTS: "counter" "modkeep_upstream_events_total" ["upstream", "event"] = "What was done about trouble with an upstream: retry, hedge, resumed, breaker-opened, breaker-closed, probe";
    UPSTREAM_UP: "gauge" "modkeep_upstream_up" ["upstream"] = "1 while requests go to this upstream, 0 while they go elsewhere";
    IN_FLIGHT: "gauge" "modkeep_fetches_in_flight" [] = "Fetches under way";
    WAITING: "gauge" "modkeep_fetches_waiting" [] = "Fetches that wait for their turn, because as many are under way as limits.fetches allows";
    TURNED_AWAY: "counter" "modkeep_fetches_turned_away_total" [] = "Fetches refused since the start with 503 because there was too much to do";
    FILES: "gauge" "modkeep_store_files" [] = "Immutable files stored";
    BYTES: "gauge" "modkeep_store_bytes" [] = "Bytes of the immutable files stored";
    QUARANTINED: "counter" "modkeep_store_quarantined_total" [] = "Stored files that were found damaged and set aside since the start";
    REFUSED: "counter" "modkeep_verification_refusals_total" [] = "Fetched or stored files that are not what the checksum database says, or for which it is not to be believed: a security event each";
    UNVERIFIED: "counter" "modkeep_unverified_files_total" [] = "Files served and stored since the start that are still to be checked, because the checksum database could not be asked";
    MOVED_TAGS: "counter" "modkeep_moved_tags_total" [] = "Tags found since the start to name another commit than the stored version was made from";
    MOVED_REPOSITORIES: "counter" "modkeep_moved_repositories_total" [] = "Import paths found since the start to lead to another repository than before";
    RECORDS: "gauge" "modkeep_records_up" [] = "1 while the records answer, else 0";
    SCRUB_FILES: "counter" "modkeep_scrub_files_total" [] = "Stored files that scrubbing has read again since the start";
    SCRUB_BYTES: "counter" "modkeep_scrub_bytes_total" [] = "Bytes of the stored files that scrubbing has read again since the start";
    SCRUB_DAMAGED: "counter" "modkeep_scrub_damaged_total" [] = "Stored files that scrubbing found not to be what was stored: each was replaced or is in quarantine";
    SCRUB_HEALED: "counter" "modkeep_scrub_healed_total" [] = "Damaged files that scrubbing has replaced by sound ones";
    SCRUB_UNREADABLE: "counter" "modkeep_scrub_unreadable_total" [] = "Stored files that scrubbing could not read or move: look at the disk";
    SCRUB_COMPLETED: "gauge" "modkeep_scrub_completed_timestamp_seconds" [] = "When the last pass over all stored files ended, in seconds since 1970; 0 if none has since the start";
    CLEANED_FILES: "counter" "modkeep_cleaned_files_total" [] = "Zips removed since the start to make room on the disk";
    CLEANED_BYTES: "counter" "modkeep_cleaned_bytes_total" [] = "Bytes of the zips removed since the start to make room on the disk";
    DISK_FREE: "gauge" "modkeep_disk_free_bytes" [] = "Bytes free on the disk of the store";
    DISK_TOTAL: "gauge" "modkeep_disk_total_bytes" [] = "Bytes of the disk of the store";
    DEGRADED: "gauge" "modkeep_degraded" ["mode"] = "1 while it serves with this loss, else 0: offline, store-read-only, records-missing";
    LOG_RECORDS: "counter" "modkeep_sumlog_records_total" [] = "Records added to the own checksum log since the start";
    LOG_BATCHES: "counter" "modkeep_sumlog_batches_total" [] = "Batches of records for which a head was signed since the start";
    PREFETCHED_FILES: "counter" "modkeep_prefetch_files_total" [] = "Files fetched before a client asked for them";
    PREFETCHED_BYTES: "counter" "modkeep_prefetch_bytes_total" [] = "Their bytes";
    PREFETCH_USED_FILES: "counter" "modkeep_prefetch_used_files_total" [] = "Files fetched ahead that the client then asked for; over modkeep_prefetch_files_total the hit rate";
    PREFETCH_USED_BYTES: "counter" "modkeep_prefetch_used_bytes_total" [] = "Their bytes";
    PREFETCH_WASTED: "counter" "modkeep_prefetch_wasted_bytes_total" [] = "Bytes fetched ahead for clients that went away without having asked for them";
    SPANS_SENT: "counter" "modkeep_trace_spans_sent_total" [] = "Spans that the collector of otlp.endpoint has taken";
    SPANS_DROPPED: "counter" "modkeep_trace_spans_dropped_total" [] = "Spans that are lost, because the collector did not take them or there were too many";
    LOG_CONTRADICTIONS: "counter" "modkeep_sumlog_contradictions_total" [] = "Module versions that came with other hashes than the own checksum log has: an alarm";
}

/// The bounds by which answer times are counted.
const SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExchangeLabels {
    upstream: Arc<str>,
    outcome: ExchangeOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabel {
    upstream: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    upstream: Arc<str>,
    event: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModeLabel {
    mode: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ExchangeOutcome(Outcome);

impl EncodeLabelValue for ExchangeOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        use std::fmt::Write as _;
        encoder.write_str(match self.0 {
            Outcome::Answered => "answered",
            Outcome::NotModified => "not-modified",
            Outcome::Absent => "absent",
            Outcome::Failed(label) => Label::as_str(label),
        })
    }
}

/// The counters of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: RequestMetrics,
    pub(crate) sent: Counter,
    pub(crate) connections: Gauge,
    pub(crate) connection_errors: Counter,
    exchanges: Family<ExchangeLabels, Counter>,
    latency: Family<UpstreamLabel, Histogram>,
    received: Family<UpstreamLabel, Counter>,
    upstream_events: Family<EventLabels, Counter>,
    upstream_up: Family<UpstreamLabel, Gauge>,
    pub(crate) fetches: FetchMetrics,
    pub(crate) store_files: Gauge,
    pub(crate) store_bytes: Gauge,
    pub(crate) quarantined: Counter,
    pub(crate) refused: Counter,
    pub(crate) unverified: Counter,
    pub(crate) moved_tags: Counter,
    pub(crate) moved_repositories: Counter,
    pub(crate) records_up: Gauge,
    pub(crate) scrub: ScrubMetrics,
    pub(crate) disk: DiskMetrics,
    degraded: Family<ModeLabel, Gauge>,
    pub(crate) log_records: Counter,
    pub(crate) log_batches: Counter,
    pub(crate) log_contradictions: Counter,
    pub(crate) spans_sent: Counter,
    pub(crate) spans_dropped: Counter,
    pub(crate) prefetch: PrefetchCounters,
}

/// What is counted with each request: found without hashing on its way.
#[derive(Debug)]
struct RequestMetrics {
    /// By endpoint and outcome.
    answered: Vec<Counter>,
    /// By endpoint.
    times: Vec<Times>,
}

impl RequestMetrics {
    fn register(registry: &mut Registry) -> Self {
        let by_request = Family::<RequestLabels, Counter>::default();
        let answered = Endpoint::ALL
            .into_iter()
            .flat_map(|endpoint| Served::ALL.map(|outcome| (endpoint.as_str(), outcome.as_str())))
            .map(|(endpoint, outcome)| {
                by_request.get_or_create_owned(&RequestLabels { endpoint, outcome })
            })
            .collect();
        registry.register(base_name(REQUESTS), REQUESTS.help, by_request);
        let by_endpoint = Family::<EndpointLabel, Times>::default();
        let times = Endpoint::ALL
            .map(Endpoint::as_str)
            .map(|endpoint| by_endpoint.get_or_create_owned(&EndpointLabel { endpoint }))
            .into();
        registry.register(base_name(ANSWER_TIMES), ANSWER_TIMES.help, by_endpoint);
        Self { answered, times }
    }

    fn count(&self, endpoint: Endpoint, outcome: Served, took: Duration) {
        if let Some(times) = self.times.get(endpoint as usize) {
            times.observe(took);
        }
        let place = endpoint as usize * Served::ALL.len() + outcome as usize;
        if let Some(counter) = self.answered.get(place) {
            counter.inc();
        }
    }
}

/// How many fetches there are.
#[derive(Debug, Default)]
pub(crate) struct FetchMetrics {
    pub(crate) in_flight: Gauge,
    pub(crate) waiting: Gauge,
    pub(crate) turned_away: Counter,
}

impl FetchMetrics {
    fn register(&self, registry: &mut Registry) {
        for (doc, gauge) in [(IN_FLIGHT, &self.in_flight), (WAITING, &self.waiting)] {
            registry.register(base_name(doc), doc.help, gauge.clone());
        }
        registry.register(
            base_name(TURNED_AWAY),
            TURNED_AWAY.help,
            self.turned_away.clone(),
        );
    }
}

/// What is known of files fetched ahead.
#[derive(Debug, Default)]
pub(crate) struct PrefetchCounters {
    files: Counter,
    bytes: Counter,
    used_files: Counter,
    used_bytes: Counter,
    wasted_bytes: Counter,
}

impl PrefetchCounters {
    fn register(&self, registry: &mut Registry) {
        for (doc, counter) in [
            (PREFETCHED_FILES, &self.files),
            (PREFETCHED_BYTES, &self.bytes),
            (PREFETCH_USED_FILES, &self.used_files),
            (PREFETCH_USED_BYTES, &self.used_bytes),
            (PREFETCH_WASTED, &self.wasted_bytes),
        ] {
            registry.register(base_name(doc), doc.help, counter.clone());
        }
    }

    /// Takes over what was counted elsewhere.
    pub(crate) fn catch_up(&self, counts: prefetch::Counts) {
        for (counter, total) in [
            (&self.files, counts.files),
            (&self.bytes, counts.bytes),
            (&self.used_files, counts.used_files),
            (&self.used_bytes, counts.used_bytes),
            (&self.wasted_bytes, counts.wasted_bytes),
        ] {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
}

/// What is counted while stored files are read again.
#[derive(Debug, Default)]
pub(crate) struct ScrubMetrics {
    files: Counter,
    bytes: Counter,
    damaged: Counter,
    healed: Counter,
    unreadable: Counter,
    completed: Gauge,
}

impl ScrubMetrics {
    fn register(&self, registry: &mut Registry) {
        for (doc, counter) in [
            (SCRUB_FILES, &self.files),
            (SCRUB_BYTES, &self.bytes),
            (SCRUB_DAMAGED, &self.damaged),
            (SCRUB_HEALED, &self.healed),
            (SCRUB_UNREADABLE, &self.unreadable),
        ] {
            registry.register(base_name(doc), doc.help, counter.clone());
        }
        let doc = SCRUB_COMPLETED;
        registry.register(base_name(doc), doc.help, self.completed.clone());
    }

    /// Takes over what was counted elsewhere.
    pub(crate) fn follow(&self, totals: &ScrubTotals) {
        for (counter, total) in [
            (&self.files, &totals.files),
            (&self.bytes, &totals.bytes),
            (&self.damaged, &totals.damaged),
            (&self.healed, &totals.healed),
            (&self.unreadable, &totals.unreadable),
        ] {
            let total = total.load(Ordering::Relaxed);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        self.completed.set(totals.completed.load(Ordering::Relaxed));
    }
}

/// The room on the disk of the store, and what was removed to make more.
#[derive(Debug, Default)]
pub(crate) struct DiskMetrics {
    free: Gauge,
    total: Gauge,
    cleaned_files: Counter,
    cleaned_bytes: Counter,
}

impl DiskMetrics {
    fn register(&self, registry: &mut Registry) {
        for (doc, gauge) in [(DISK_FREE, &self.free), (DISK_TOTAL, &self.total)] {
            registry.register(base_name(doc), doc.help, gauge.clone());
        }
        for (doc, counter) in [
            (CLEANED_FILES, &self.cleaned_files),
            (CLEANED_BYTES, &self.cleaned_bytes),
        ] {
            registry.register(base_name(doc), doc.help, counter.clone());
        }
    }

    /// Takes over what was counted elsewhere, and what the disk says; `None`: it does not answer.
    pub(crate) fn follow(&self, totals: &CleanTotals, space: Option<Space>) {
        for (counter, total) in [
            (&self.cleaned_files, &totals.files),
            (&self.cleaned_bytes, &totals.bytes),
        ] {
            let total = total.load(Ordering::Relaxed);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        let signed = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        if let Some(space) = space {
            self.free.set(signed(space.free));
            self.total.set(signed(space.total));
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            requests: RequestMetrics::register(&mut registry),
            sent: Counter::default(),
            connections: Gauge::default(),
            connection_errors: Counter::default(),
            exchanges: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            received: Family::default(),
            upstream_events: Family::default(),
            upstream_up: Family::default(),
            fetches: FetchMetrics::default(),
            store_files: Gauge::default(),
            store_bytes: Gauge::default(),
            quarantined: Counter::<u64, AtomicU64>::default(),
            refused: Counter::default(),
            unverified: Counter::default(),
            moved_tags: Counter::default(),
            moved_repositories: Counter::default(),
            records_up: Gauge::default(),
            scrub: ScrubMetrics::default(),
            disk: DiskMetrics::default(),
            degraded: Family::default(),
            log_records: Counter::default(),
            log_batches: Counter::default(),
            log_contradictions: Counter::default(),
            spans_sent: Counter::default(),
            spans_dropped: Counter::default(),
            prefetch: PrefetchCounters::default(),
            registry: Registry::default(),
        };
        registry.register(
            base_name(BUILD),
            BUILD.help,
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(base_name(SENT), SENT.help, metrics.sent.clone());
        registry.register(
            base_name(CONNECTIONS),
            CONNECTIONS.help,
            metrics.connections.clone(),
        );
        registry.register(
            base_name(REJECTED),
            REJECTED.help,
            metrics.connection_errors.clone(),
        );
        registry.register(
            base_name(EXCHANGES),
            EXCHANGES.help,
            metrics.exchanges.clone(),
        );
        registry.register(base_name(LATENCY), LATENCY.help, metrics.latency.clone());
        registry.register(base_name(RECEIVED), RECEIVED.help, metrics.received.clone());
        registry.register(
            base_name(UPSTREAM_EVENTS),
            UPSTREAM_EVENTS.help,
            metrics.upstream_events.clone(),
        );
        registry.register(
            base_name(UPSTREAM_UP),
            UPSTREAM_UP.help,
            metrics.upstream_up.clone(),
        );
        metrics.fetches.register(&mut registry);
        registry.register(base_name(FILES), FILES.help, metrics.store_files.clone());
        registry.register(base_name(BYTES), BYTES.help, metrics.store_bytes.clone());
        registry.register(base_name(RECORDS), RECORDS.help, metrics.records_up.clone());
        metrics.scrub.register(&mut registry);
        metrics.disk.register(&mut registry);
        registry.register(base_name(DEGRADED), DEGRADED.help, metrics.degraded.clone());
        for (doc, counter) in [
            (QUARANTINED, &metrics.quarantined),
            (REFUSED, &metrics.refused),
            (UNVERIFIED, &metrics.unverified),
            (MOVED_TAGS, &metrics.moved_tags),
            (MOVED_REPOSITORIES, &metrics.moved_repositories),
            (LOG_RECORDS, &metrics.log_records),
            (LOG_BATCHES, &metrics.log_batches),
            (LOG_CONTRADICTIONS, &metrics.log_contradictions),
            (SPANS_SENT, &metrics.spans_sent),
            (SPANS_DROPPED, &metrics.spans_dropped),
        ] {
            registry.register(base_name(doc), doc.help, counter.clone());
        }
        metrics.prefetch.register(&mut registry);
        Self {
            registry,
            ..metrics
        }
    }

    /// A request was answered, with the head of the answer so long after it.
    pub(crate) fn count(&self, endpoint: Endpoint, outcome: Served, took: Duration) {
        self.requests.count(endpoint, outcome, took);
    }

    /// Whether it serves with a loss.
    pub(crate) fn set_degraded(&self, mode: &'static str, in_force: bool) {
        self.degraded
            .get_or_create_owned(&ModeLabel { mode })
            .set(i64::from(in_force));
    }

    /// Whether requests go to an upstream.
    pub(crate) fn set_upstream_up(&self, source: &str, up: bool) {
        let label = UpstreamLabel {
            upstream: source.into(),
        };
        self.upstream_up.get_or_create(&label).set(i64::from(up));
    }

    /// The text that Prometheus scrapes (OpenMetrics).
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let _a_string_takes_everything =
            prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// The library adds the endings that OpenMetrics asks for.
fn base_name(metric: MetricDoc) -> &'static str {
    metric
        .name
        .trim_end_matches("_total")
        .trim_end_matches("_info")
}

impl Observer for Metrics {
    fn exchange(&self, source: &str, outcome: Outcome, elapsed: Duration) {
        let upstream: Arc<str> = source.into();
        let labels = ExchangeLabels {
            upstream: upstream.clone(),
            outcome: ExchangeOutcome(outcome),
        };
        self.exchanges.get_or_create(&labels).inc();
        self.latency
            .get_or_create(&UpstreamLabel { upstream })
            .observe(elapsed.as_secs_f64());
    }

    fn received(&self, source: &str, bytes: u64) {
        let upstream = source.into();
        self.received
            .get_or_create(&UpstreamLabel { upstream })
            .inc_by(bytes);
    }

    fn event(&self, source: &str, event: Event) {
        let labels = EventLabels {
            upstream: source.into(),
            event: event.as_str(),
        };
        self.upstream_events.get_or_create(&labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scraped_is_what_is_documented() {
        let metrics = Metrics::new();
        metrics.exchange(
            "https://proxy.example.com",
            Outcome::Answered,
            Duration::from_millis(3),
        );
        metrics.event("https://proxy.example.com", Event::Retry);
        metrics.received("https://proxy.example.com", 1);
        metrics.set_upstream_up("https://proxy.example.com", true);
        metrics.set_degraded("offline", true);
        let text = metrics.render();
        for metric in METRICS {
            let kind_line = format!("# TYPE {} {}", base_name(*metric), metric.kind);
            assert!(
                text.contains(&kind_line),
                "{} is missing in\n{text}",
                metric.name
            );
            for label in metric.labels {
                assert!(
                    text.contains(&format!("{label}=\"")),
                    "{} has no label {label}",
                    metric.name
                );
            }
        }
        let scraped = text
            .lines()
            .filter(|line| line.starts_with("# TYPE "))
            .count();
        assert_eq!(scraped, METRICS.len());
    }

    #[test]
    fn requests_are_counted_where_they_belong() {
        let metrics = Metrics::new();
        let took = Duration::from_millis(3);
        metrics.count(Endpoint::Zip, Served::Stale, took);
        metrics.count(Endpoint::Unknown, Served::Trouble, took);
        let text = metrics.render();
        assert!(
            text.contains("modkeep_requests_total{endpoint=\"zip\",outcome=\"stale\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("modkeep_requests_total{endpoint=\"unknown\",outcome=\"trouble\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("modkeep_requests_total{endpoint=\"list\",outcome=\"hit\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("modkeep_request_seconds_count{endpoint=\"zip\"} 1"),
            "{text}"
        );
    }
}
