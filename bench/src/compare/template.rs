//! The peers' config templates: `@NAME@` stands for what is known only when a peer is started.

use super::contest::Cannot;

/// The template with every `@NAME@` replaced.
///
/// # Errors
/// When a place is left that nothing was given for.
pub fn fill(template: &str, values: &[(&str, &str)]) -> Result<String, Cannot> {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("@{name}@"), value);
    }
    match left(&text) {
        None => Ok(text),
        Some(name) => Err(Cannot::Start(format!(
            "the config template has @{name}@, which nothing fills"
        ))),
    }
}

/// The first name between two `@` that is still there.
fn left(text: &str) -> Option<&str> {
    let mut parts = text.split('@').skip(1);
    parts.find(|part| {
        let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        part.len() > 1 && part.chars().all(capital)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled_or_named() {
        let rows = [
            ("port @PORT@;", &[("PORT", "53")][..], Ok("port 53;")),
            ("@ IN NS @NS@.", &[("NS", "ns1")], Ok("@ IN NS ns1.")),
            ("a@b @ 1 IN A", &[], Ok("a@b @ 1 IN A")),
            ("@ADDRESS@ @PORT@", &[("PORT", "53")], Err("ADDRESS")),
        ];
        for (template, values, expected) in rows {
            let filled = fill(template, values);
            match expected {
                Ok(text) => assert_eq!(filled.as_deref(), Ok(text), "{template}"),
                Err(name) => {
                    let error = filled.expect_err("a place is left").to_string();
                    assert!(error.contains(&format!("@{name}@")), "{error}");
                }
            }
        }
    }
}
