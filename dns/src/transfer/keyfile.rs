//! The two ways a secret is written: base64 alone, or a `key` clause as BIND's tsig-keygen and Knot's keymgr make it.
//!
//! What never happens here: no file is opened, and no problem shows any of the text.

use super::tsig::Algorithm;
use data_encoding::BASE64_NOPAD;

/// The shortest secret that is taken, in octets: anything less can be tried out.
const MIN_SECRET: usize = 10;
/// The longest secret, in octets.
const MAX_SECRET: usize = 512;

/// What a file of a secret says.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// The name of the key, where the file says it.
    pub name: Option<String>,
    /// The algorithm, where the file says it.
    pub algorithm: Option<Algorithm>,
    /// The secret.
    pub secret: Vec<u8>,
}

/// Why a file is no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// There is nothing in it.
    #[error("it is empty; it holds a secret in base64, or a `key` clause as tsig-keygen writes it")]
    Empty,
    /// It is not base64.
    #[error("the secret is not base64")]
    NotBase64,
    /// It is too short.
    #[error(
        "the secret has {0} octets; at least {MIN_SECRET} are needed (make one with tsig-keygen)"
    )]
    Short(usize),
    /// It is too long.
    #[error("the secret has {0} octets; at most {MAX_SECRET} are read")]
    Long(usize),
    /// The clause is not as BIND writes it.
    #[error("its key clause is not `key \"name\" {{ algorithm hmac-sha256; secret \"…\"; }};`")]
    BadClause,
    /// The algorithm is none of ours.
    #[error("its algorithm `{0}` is not known; hmac-sha256 is what every server has")]
    Algorithm(String),
}

/// Reads the text of a secret's file.
///
/// # Errors
/// What is wrong with it.
pub fn read_key(text: &str) -> Result<KeyFile, KeyFileError> {
    let words = words(text);
    match words.first().map(String::as_str) {
        None => Err(KeyFileError::Empty),
        Some("key") => clause(&words),
        Some(_) => Ok(KeyFile {
            name: None,
            algorithm: None,
            secret: secret(&words.concat())?,
        }),
    }
}

fn clause(words: &[String]) -> Result<KeyFile, KeyFileError> {
    let [_, name, open, rest @ ..] = words else {
        return Err(KeyFileError::BadClause);
    };
    if open != "{" {
        return Err(KeyFileError::BadClause);
    }
    let (mut algorithm, mut decoded) = (None, None);
    let mut rest = rest.iter().map(String::as_str).filter(|word| *word != ";");
    loop {
        match rest.next() {
            Some("}") => break,
            Some("algorithm") => {
                let text = rest.next().ok_or(KeyFileError::BadClause)?;
                let known = text
                    .parse()
                    .map_err(|_| KeyFileError::Algorithm(text.chars().take(32).collect()))?;
                algorithm = Some(known);
            }
            Some("secret") => {
                decoded = Some(secret(rest.next().ok_or(KeyFileError::BadClause)?)?);
            }
            _ => return Err(KeyFileError::BadClause),
        }
    }
    Ok(KeyFile {
        name: Some(name.clone()),
        algorithm,
        secret: decoded.ok_or(KeyFileError::BadClause)?,
    })
}

fn secret(text: &str) -> Result<Vec<u8>, KeyFileError> {
    let secret = BASE64_NOPAD
        .decode(text.trim_end_matches('=').as_bytes())
        .map_err(|_| KeyFileError::NotBase64)?;
    match secret.len() {
        short @ ..MIN_SECRET => Err(KeyFileError::Short(short)),
        MIN_SECRET..=MAX_SECRET => Ok(secret),
        long => Err(KeyFileError::Long(long)),
    }
}

/// Words as BIND's files have them: quotes fall away, braces and semicolons are words, comments are none.
fn words(text: &str) -> Vec<String> {
    // A secret may begin with two slashes; only in a clause are they a comment.
    let is_clause = text.contains('{');
    let mut words = Vec::new();
    for line in text.lines() {
        let mut word = String::new();
        let mut chars = line.chars().peekable();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match c {
                '"' => quoted = !quoted,
                _ if quoted => word.push(c),
                '#' => break,
                '/' if is_clause && word.is_empty() && chars.peek() == Some(&'/') => break,
                '{' | '}' | ';' => {
                    end(&mut words, &mut word);
                    words.push(c.to_string());
                }
                c if c.is_whitespace() => end(&mut words, &mut word),
                c => word.push(c),
            }
        }
        end(&mut words, &mut word);
    }
    words
}

fn end(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_alone_and_the_clause_say_the_same() {
        let bare = read_key("c2VjcmV0c2VjcmV0c2VjcmV0\n").ok();
        assert_eq!(
            bare.map(|key| key.secret).as_deref(),
            Some(&b"secretsecretsecret"[..])
        );
        for text in [
            "key \"xfr\" {\n\talgorithm hmac-sha512;\n\tsecret \"c2VjcmV0c2VjcmV0c2VjcmV0\";\n};\n",
            "# made by keymgr\nkey xfr { algorithm hmac-sha512; secret c2VjcmV0c2VjcmV0c2VjcmV0; };",
        ] {
            let key = read_key(text).expect(text);
            assert_eq!(key.name.as_deref(), Some("xfr"));
            assert_eq!(key.algorithm, Some(Algorithm::HmacSha512));
            assert_eq!(key.secret, b"secretsecretsecret");
        }
    }

    #[test]
    fn what_is_no_secret_is_told_without_showing_it() {
        for (text, error) in [
            ("", KeyFileError::Empty),
            ("# only a comment", KeyFileError::Empty),
            ("not base64!", KeyFileError::NotBase64),
            ("c2hvcnQ=", KeyFileError::Short(5)),
            ("key x { secret", KeyFileError::BadClause),
            ("key x { algorithm hmac-sha256; };", KeyFileError::BadClause),
            (
                "key x { algorithm hmac-md5; secret c2VjcmV0c2VjcmV0; };",
                KeyFileError::Algorithm("hmac-md5".to_owned()),
            ),
        ] {
            assert_eq!(read_key(text).err(), Some(error), "{text}");
        }
    }
}
