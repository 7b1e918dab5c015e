//! Indices into one compiled [`Table`](crate::Table).
//!
//! An id is only meaningful with the table it came from: a reload makes a new table with new ids.
//! What must survive a reload is keyed by name or address instead
//! (see [`TargetKey`](crate::health::TargetKey)).

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in the table's list of this kind.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The id at position `index`; nothing a table holds comes near 2³² of a kind.
            #[inline]
            pub const fn at(index: usize) -> Self {
                Self(index as u32)
            }
        }
    };
}

id!(
    /// A region: a place that serves.
    RegionId
);
id!(
    /// A pool: the endpoints of one region behind one health check.
    PoolId
);
id!(
    /// An endpoint: an address in a pool.
    EndpointId
);
id!(
    /// A health-check target: one address under one check, shared by every endpoint that names it.
    TargetId
);
id!(
    /// A health check definition.
    CheckId
);
id!(
    /// A named policy as written, before compilation.
    PolicyId
);
id!(
    /// A residency rule.
    ResidencyId
);
id!(
    /// A jurisdiction that regions belong to.
    JurisdictionId
);
id!(
    /// A service: what clients ask for.
    ServiceId
);
id!(
    /// A node of a compiled policy tree.
    NodeId
);
