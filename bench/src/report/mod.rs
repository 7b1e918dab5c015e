//! What a run found, for people and programs: text for a terminal, JSON, Markdown, and one HTML page that
//! needs nothing from outside. It shows; it neither measures nor judges.

pub mod chart;
