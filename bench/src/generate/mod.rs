//! The load generators: they send the questions of a run at its pace, read the answers, and record what
//! came. One engine a protocol; neither judges an answer.

pub mod dns;
pub mod http;
