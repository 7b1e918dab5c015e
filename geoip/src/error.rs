//! Why a source of locations was refused: the thing, the place and the remedy in one line each.

use ipnet::IpNet;

/// Why no table was made. The one in use should serve on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error(
        "{file}: cannot be read: {reason}; give the path of an mmdb file that this user may read"
    )]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },

    /// The file is larger than [`limits::MAX_FILE_BYTES`](crate::limits::MAX_FILE_BYTES).
    #[error(
        "{file}: more than {limit} bytes, which no location database needs; is it an mmdb file?"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// The most that is read.
        limit: u64,
    },

    /// The file is no mmdb file or a damaged one.
    #[error(
        "{file}{}: damaged: {reason}; fetch it again, and replace it by renaming, not by writing into it",
        of_type(.database_type)
    )]
    Damaged {
        /// The file.
        file: String,
        /// What it says it is, where that much could be read.
        database_type: Option<String>,
        /// What is wrong, and where in the file.
        reason: String,
    },

    /// The file is sound, and its records are laid out as none that is known here.
    #[error(
        "{file}{}: its records ({keys}) are in no layout known here; use a City, Country or ASN database \
         in the GeoIP2 layout, or one of ip-location-db (country_code)",
        of_type(.database_type)
    )]
    Layout {
        /// The file.
        file: String,
        /// What it says it is.
        database_type: Option<String>,
        /// The top-level keys of its first record.
        keys: String,
    },

    /// The file is sound, and of no use for what it was given for.
    #[error("{file}{}: {found}; {remedy}", of_type(.database_type))]
    Kind {
        /// The file.
        file: String,
        /// What it says it is.
        database_type: Option<String>,
        /// What it holds.
        found: &'static str,
        /// Where it belongs.
        remedy: &'static str,
    },

    /// A network of the operator's that cannot be honoured.
    #[error("network {cidr}: {reason}")]
    Override {
        /// The network as written.
        cidr: IpNet,
        /// Why not, and what to write instead.
        reason: &'static str,
    },

    /// More overrides than [`limits::MAX_OVERRIDES`](crate::limits::MAX_OVERRIDES).
    #[error("{count} networks are more than {limit}; put them into an mmdb file")]
    TooManyOverrides {
        /// How many were given.
        count: usize,
        /// How many may be.
        limit: usize,
    },
}

fn of_type(database_type: &Option<String>) -> String {
    database_type
        .as_ref()
        .map(|name| format!(" ({name})"))
        .unwrap_or_default()
}
