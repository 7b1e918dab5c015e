//! Where the answers went, against what the policy promises.
