//! The DNS works and peers.

use super::{CompareError, Field, Options};

/// The contests of DNS.
///
/// # Errors
/// When what they need can't be made.
pub fn field(_options: &Options) -> Result<Field, CompareError> {
    Ok(Field {
        contests: Vec::new(),
        keep: Box::new(()),
    })
}
