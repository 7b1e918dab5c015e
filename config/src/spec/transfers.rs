//! Keys of zone transfers, and with whom zones are exchanged, as written.

use super::{Network, ServerAddress};
use crate::de::Written as W;
use schemars::JsonSchema;
use serde::Deserialize;

/// A key that messages between servers are signed with (TSIG, RFC 8945). Both servers must call it the same.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// How messages are signed; default: as the file says, else hmac-sha256.
    pub algorithm: Option<W<KeyAlgorithm>>,
    /// A file with the secret: in base64, or the `key` clause that tsig-keygen and keymgr write.
    pub secret_file: W<String>,
}

/// How messages are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// HMAC with SHA-256: what every server has.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-224.
    HmacSha224,
    /// HMAC with SHA-1, for servers that have nothing better.
    HmacSha1,
}

/// Who may transfer a zone from here, and who is told of its changes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Who may transfer it; nobody else may. Steered names stay here: only static records are transferred.
    pub to: Option<W<Vec<W<TransferTo>>>>,
    /// Who is told that it has a new version (NOTIFY, RFC 1996).
    pub notify: Option<W<Vec<W<RemoteServer>>>>,
}

/// Who may transfer a zone: an address, a key, or both together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferTo {
    /// Its address, or a network; without it any that has the key.
    pub address: Option<W<Network>>,
    /// The key its request must be signed with.
    pub key: Option<W<String>>,
}

/// Another DNS server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteServer {
    /// Its address; the port is 53 unless written.
    pub address: W<ServerAddress>,
    /// The key that messages are signed with, both ways.
    pub key: Option<W<String>>,
}
