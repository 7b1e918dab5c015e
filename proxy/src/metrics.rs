//! What is counted, with bounded labels: regions (the table's, at most [`MAX_REGIONS`]), verdicts,
//! classes of status codes. Never a service, a host or a path.

use parking_lot::RwLock;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Region names with series of their own; later ones are counted as `other`.
pub const MAX_REGIONS: usize = 256;

/// The region label of requests that reached no region.
const NO_REGION: &str = "none";

/// The series of the proxy.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    upstream_connect: HistogramVec,
    regions: RwLock<HashMap<Arc<str>, Arc<RegionSeries>>>,
    pub request_seconds: Histogram,
    pub retries: IntCounter,
    pub connect_failures: IntCounterVec,
    pub faults: IntCounterVec,
    pub in_flight: IntGauge,
    pub connections: IntGauge,
    pub accepted: IntCounterVec,
    pub over_cap: IntCounter,
    pub tls_failures: IntCounter,
    pub header_timeouts: IntCounter,
    pub log_dropped: IntCounter,
    pub drained: IntCounter,
}

/// The series of one region, looked up once a request.
#[derive(Debug)]
pub(crate) struct RegionSeries {
    label: String,
    pub upstream_connect: Histogram,
}

impl Metrics {
    /// Makes and registers all series.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(format!("rhumb_{name}"), help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(format!("rhumb_{name}"), help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(format!("rhumb_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let buckets = || prometheus::exponential_buckets(0.0005, 2.0, 17);
        let request_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "rhumb_http_request_seconds",
                "From a request's head to the end of its response.",
            )
            .buckets(buckets()?),
        )?;
        registry.register(Box::new(request_seconds.clone()))?;
        let upstream_connect = HistogramVec::new(
            HistogramOpts::new(
                "rhumb_http_upstream_connect_seconds",
                "Time to establish new connections to endpoints, TLS included.",
            )
            .buckets(buckets()?),
            &["region"],
        )?;
        registry.register(Box::new(upstream_connect.clone()))?;
        Ok(Self {
            requests: counters(
                "http_requests_total",
                "Requests by region, verdict and class of status.",
                &["region", "verdict", "code"],
            )?,
            upstream_connect,
            regions: RwLock::default(),
            request_seconds,
            retries: counter(
                "http_retries_total",
                "Requests that went on to another endpoint.",
            )?,
            connect_failures: counters(
                "http_connect_failures_total",
                "Connections to endpoints that failed.",
                &["reason"],
            )?,
            faults: counters(
                "http_faults_total",
                "Requests answered by the proxy itself, by reason.",
                &["reason"],
            )?,
            in_flight: gauge("http_requests_in_flight", "Requests in flight.")?,
            connections: gauge("http_connections", "Open client connections.")?,
            accepted: counters(
                "http_connections_total",
                "Client connections accepted.",
                &["listener"],
            )?,
            over_cap: counter(
                "http_connections_over_cap_total",
                "Client connections closed at once because max_connections were open.",
            )?,
            tls_failures: counter(
                "http_tls_handshake_failures_total",
                "TLS handshakes with clients that failed or took too long.",
            )?,
            header_timeouts: counter(
                "http_header_timeouts_total",
                "Connections cut because the head of a request took too long.",
            )?,
            log_dropped: counter(
                "http_access_log_dropped_total",
                "Access log lines dropped because the queue was full.",
            )?,
            drained: counter(
                "http_connections_cut_at_stop_total",
                "Connections still busy when the drain time was over.",
            )?,
        })
    }

    /// The series of a region.
    pub(crate) fn region(&self, name: Option<&Arc<str>>) -> Arc<RegionSeries> {
        let none: Arc<str>;
        let name = match name {
            Some(name) => name,
            None => {
                none = Arc::from(NO_REGION);
                &none
            }
        };
        if let Some(series) = self.regions.read().get(name) {
            return series.clone();
        }
        let mut regions = self.regions.write();
        if regions.len() >= MAX_REGIONS {
            return self.series("other");
        }
        regions
            .entry(name.clone())
            .or_insert_with(|| self.series(name))
            .clone()
    }

    fn series(&self, label: &str) -> Arc<RegionSeries> {
        Arc::new(RegionSeries {
            label: label.to_owned(),
            upstream_connect: self.upstream_connect.with_label_values(&[label]),
        })
    }

    /// Counts one finished request.
    pub(crate) fn finished(
        &self,
        region: &RegionSeries,
        verdict: &str,
        status: u16,
        took: Duration,
    ) {
        let labels = [region.label.as_str(), verdict, class(status)];
        self.requests.with_label_values(&labels).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }
}

/// The class of a status code, as a label.
const fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).expect("series");
        for i in 0..MAX_REGIONS + 50 {
            let name: Arc<str> = format!("region-{i}").into();
            let series = metrics.region(Some(&name));
            metrics.finished(&series, "steered", 200, Duration::ZERO);
        }
        let families = registry.gather();
        let requests = families
            .iter()
            .find(|f| f.name() == "rhumb_http_requests_total");
        assert_eq!(
            requests.map(|f| f.get_metric().len()),
            Some(MAX_REGIONS + 1)
        );
    }

    #[test]
    fn a_registry_takes_them_once() {
        let registry = Registry::new();
        assert!(Metrics::new(&registry).is_ok());
        assert!(
            Metrics::new(&registry).is_err(),
            "two proxies need two registries"
        );
    }
}
