//! The bounds on what a database may cost. A real one is far below each; a hostile one is refused at
//! the first it meets, within seconds.

/// The largest file that is read: 1 GiB. The largest city databases are a few hundred megabytes.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The most networks with a record: 32 Mi. Large city databases have about ten million.
pub const MAX_NETWORKS: usize = 32 << 20;

/// How often the walk may come through the nodes of the search tree, as a multiple of their number.
/// In a tree each is passed once; a few writers let equal subtrees share their nodes.
pub const MAX_PASSES_PER_NODE: usize = 4;

/// How deep the maps and arrays of a record may nest. GeoIP2 records nest four deep.
pub const MAX_NESTING: u8 = 16;

/// The most units of work on all different records together: one for each value, one for each 16
/// bytes of text. A large city database takes about a hundred million.
pub const MAX_RECORD_WORK: u64 = 1 << 29;

/// The most networks an operator may lay over the database.
pub const MAX_OVERRIDES: usize = 1 << 20;
