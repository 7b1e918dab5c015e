//! What the server tells of itself, and the secrets of its cookies.

use super::super::Checker;
use crate::checked::{CookieSecret, Cookies, Told};
use crate::de::{Written, given};
use crate::spec;

/// The most octets of a text in a TXT record (RFC 1035 §3.3).
const MAX_TEXT: usize = 255;
/// The most octets read of a file with a secret.
const MAX_SECRET_FILE: usize = 1_024;

impl Checker<'_> {
    /// A text that may be `off`.
    pub(super) fn told(&mut self, written: &Option<Written<String>>, default: Told) -> Told {
        match given(written) {
            None => default,
            Some((text, _)) if text.as_str() == "off" => Told::Nothing,
            Some((text, place)) if text.is_empty() || text.len() > MAX_TEXT => {
                self.findings
                    .error("invalid_value", place, "this is 1 to 255 octets")
                    .hint("or off, to tell nothing");
                default
            }
            Some((text, place)) => Told::Text(text.clone(), place),
        }
    }

    pub(super) fn cookies(
        &mut self,
        written: &Option<Written<spec::CookieSetting>>,
    ) -> Option<Cookies> {
        let cookies = match given(written) {
            None => return Some(Cookies::default()),
            Some((spec::CookieSetting::Off, _)) => return None,
            Some((spec::CookieSetting::On(cookies), _)) => cookies,
        };
        let secret = self.cookie_secret(&cookies.secret_file);
        let previous = self.cookie_secret(&cookies.previous_secret_file);
        if let (None, Some((_, place))) =
            (&cookies.secret_file, given(&cookies.previous_secret_file))
        {
            self.findings
                .error("missing_key", place, "a secret is exchanged for none")
                .hint("name the one that cookies are made with: secret_file");
        }
        Some(Cookies {
            secret,
            previous,
            require: given(&cookies.require).is_some_and(|(require, _)| *require),
        })
    }

    fn cookie_secret(&mut self, written: &Option<Written<String>>) -> Option<CookieSecret> {
        let path = written.as_ref()?;
        let full = self.file(path, "secret file")?;
        let content = match self.files.read(&full, MAX_SECRET_FILE) {
            Ok(content) => content,
            Err(error) => {
                let message = format!("{} cannot be read: {error}", full.display());
                self.findings.error("unreadable", path.place, message);
                return None;
            }
        };
        let text = String::from_utf8_lossy(&content);
        let secret = CookieSecret::from_hex(text.trim());
        if secret.is_none() {
            // What it holds instead is not repeated: it may be a secret all the same.
            let message = format!("{} does not hold a cookie secret", full.display());
            self.findings
                .error("invalid_value", path.place, message)
                .hint("32 hexadecimal digits, such as `openssl rand -hex 16` makes");
        }
        secret
    }
}
