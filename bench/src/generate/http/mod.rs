//! Load over HTTP.
