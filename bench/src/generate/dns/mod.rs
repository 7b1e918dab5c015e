//! Load over DNS.
