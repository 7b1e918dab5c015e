//! Rhumb and its peers on the same work, in turns.
