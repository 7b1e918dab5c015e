//! What holds where nothing is written: every default and bound of the config language.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The version of the language that is read.
pub const VERSION: u32 = 1;

/// `pop.name`.
pub const POP_NAME: &str = "pop";
/// `startup_grace`.
pub const STARTUP_GRACE: Duration = Duration::from_secs(5);
/// `drain_time`.
pub const DRAIN_TIME: Duration = Duration::from_secs(30);
/// The most `workers`.
pub const MAX_WORKERS: u32 = 1_024;

/// `health_checks.*.interval`.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// The least `health_checks.*.interval` and `timeout`.
pub const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// `health_checks.*.timeout`.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// `health_checks.*.rise`.
pub const RISE: u16 = 2;
/// `health_checks.*.fall`.
pub const FALL: u16 = 3;
/// `health_checks.*.method`.
pub const METHOD: &str = "GET";
/// `health_checks.*.path`.
pub const PATH: &str = "/";
/// `health_checks.*.expect.status`.
pub const STATUSES: (u16, u16) = (200, 299);

/// `pools.*.endpoints[].weight`.
pub const WEIGHT: u16 = 1;
/// `pools.*.timeouts.connect`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// `pools.*.timeouts.read`.
pub const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// `pools.*.timeouts.write`.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// `pools.*.timeouts.idle`.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// `services.*.dns.ttl`.
pub const TTL: Duration = Duration::from_secs(60);
/// The most any TTL may be: a week.
pub const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// `services.*.dns.ttl_failing`, where `ttl` is not shorter.
pub const TTL_FAILING: Duration = Duration::from_secs(10);
/// `services.*.http.retries`.
pub const RETRIES: u8 = 1;
/// The most `services.*.http.retries`: a decision names that many endpoints beside the first.
pub const MAX_RETRIES: u8 = steering::MAX_ENDPOINTS as u8 - 1;

/// `zones.*.soa.serial`.
pub const SOA_SERIAL: u32 = 1;
/// `zones.*.soa.refresh`.
pub const SOA_REFRESH: Duration = Duration::from_secs(3_600);
/// `zones.*.soa.retry`.
pub const SOA_RETRY: Duration = Duration::from_secs(900);
/// `zones.*.soa.expire`.
pub const SOA_EXPIRE: Duration = Duration::from_secs(14 * 24 * 3600);
/// `zones.*.soa.minimum`.
pub const SOA_MINIMUM: Duration = Duration::from_secs(60);

/// The most servers in `zones.*.primary` and `zones.*.transfer.notify`.
pub const MAX_REMOTES: usize = 32;

/// `dns.udp_payload`: what survives without fragmentation almost anywhere.
pub const UDP_PAYLOAD: u32 = 1_232;
/// What `dns.udp_payload` may be (RFC 6891 §6.2.3).
pub const UDP_PAYLOADS: RangeInclusive<u32> = 512..=65_535;

/// What the rates of `dns.rate_limit` may be, a second; 0 is no limit.
pub const RATES: RangeInclusive<u32> = 0..=100_000;
/// `dns.rate_limit.slip`.
pub const SLIP: u32 = 2;
/// What `dns.rate_limit.slip` may be.
pub const SLIPS: RangeInclusive<u32> = 0..=10;
/// `dns.rate_limit.ipv4_prefix`.
pub const RATE_IPV4_PREFIX: u32 = 24;
/// What `dns.rate_limit.ipv4_prefix` may be.
pub const RATE_IPV4_PREFIXES: RangeInclusive<u32> = 8..=32;
/// `dns.rate_limit.ipv6_prefix`.
pub const RATE_IPV6_PREFIX: u32 = 56;
/// What `dns.rate_limit.ipv6_prefix` may be.
pub const RATE_IPV6_PREFIXES: RangeInclusive<u32> = 16..=128;
/// The most queries of which `dns.query_log.sample` logs one.
pub const MAX_ONE_IN: u32 = 1_000_000;

/// `dns.tcp.connections`.
pub const CONNECTIONS: u32 = 4_096;
/// `dns.tcp.connections_per_client`.
pub const CONNECTIONS_PER_CLIENT: u32 = 512;
/// What both may be.
pub const CONNECTION_COUNTS: RangeInclusive<u32> = 1..=1_000_000;
/// `dns.tcp.ipv4_prefix`.
pub const CONNECTION_IPV4_PREFIX: u32 = 32;
/// `dns.tcp.ipv6_prefix`.
pub const CONNECTION_IPV6_PREFIX: u32 = 56;
/// `dns.tcp.idle_timeout`.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(10);
/// The most `dns.tcp.idle_timeout` may be.
pub const MAX_CONNECTION_IDLE: Duration = Duration::from_secs(600);
/// `listen.doh[].path`: what clients try when they are told only a name.
pub const DOH_PATH: &str = "/dns-query";

/// `http.header_timeout`.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// `http.max_header_bytes`.
pub const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// What `http.max_header_bytes` may be.
pub const HEADER_BYTES: RangeInclusive<u32> = 1_024..=1_048_576;
/// `http.max_headers`.
pub const MAX_HEADERS: u32 = 100;
/// What `http.max_headers` may be.
pub const HEADERS: RangeInclusive<u32> = 8..=1_000;

/// `metrics.region_prefix`.
pub const REGION_PREFIX: &str = "rhumb_region";

/// The longest name of anything.
pub const MAX_NAME: usize = 128;
