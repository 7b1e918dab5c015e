//! Looking for a text in the beginning of a body, reading no more of it than needed.

use http_body_util::BodyExt;
use hyper::body::Body;

/// The most bytes of a body that are read.
pub const MAX_BODY: usize = 64 * 1024;

/// Whether `text` lies in the first [`MAX_BODY`] bytes of the body, however it is cut into frames.
///
/// # Errors
/// The body ended before its time, before the text was found.
pub(super) async fn contains_text<B>(mut body: B, text: &[u8]) -> Result<bool, B::Error>
where
    B: Body + Unpin,
    B::Data: AsRef<[u8]>,
{
    let mut seen: Vec<u8> = Vec::new();
    while seen.len() < MAX_BODY {
        let Some(frame) = body.frame().await else {
            break;
        };
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let data = data.as_ref();
        let room = MAX_BODY - seen.len();
        // The text may have begun in what came before.
        let from = seen.len().saturating_sub(text.len());
        seen.extend_from_slice(data.get(..room).unwrap_or(data));
        if seen.get(from..).is_some_and(|fresh| contains(fresh, text)) {
            return Ok(true);
        }
    }
    Ok(text.is_empty())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty()
        || haystack
            .windows(needle.len())
            .any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use hyper::body::Frame;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// A body of the given pieces, which counts how many were taken.
    struct Pieces(Vec<Bytes>, usize);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let next = self.0.get(self.1).cloned();
            self.1 += 1;
            Poll::Ready(next.map(|data| Ok(Frame::data(data))))
        }
    }

    async fn find(pieces: &[&[u8]], text: &str) -> bool {
        let pieces = pieces
            .iter()
            .map(|piece| Bytes::copy_from_slice(piece))
            .collect();
        contains_text(Pieces(pieces, 0), text.as_bytes())
            .await
            .expect("cannot fail")
    }

    #[tokio::test]
    async fn text_is_found_across_pieces_and_only_within_the_limit() {
        let filler = vec![b'x'; MAX_BODY - 4];
        for (pieces, text, found) in [
            (vec![&b"status: ok"[..]], "ok", true),
            (vec![b"status: o", b"k"], "ok", true),
            (vec![b"s", b"t", b"a", b"t", b"us"], "status", true),
            (vec![b"status: down"], "ok", false),
            (vec![], "ok", false),
            (vec![], "", true),
            (vec![&filler, b"good"], "good", true),
            (vec![&filler, b"xgood"], "good", false),
            (vec![&filler, b"xxxx", b"good"], "good", false),
        ] {
            let sizes: Vec<_> = pieces.iter().map(|piece| piece.len()).collect();
            assert_eq!(
                find(&pieces, text).await,
                found,
                "{text:?} in pieces of {sizes:?} bytes"
            );
        }
    }

    #[tokio::test]
    async fn nothing_is_read_once_the_text_is_found() {
        let mut body = Pieces(
            vec![Bytes::from_static(b"ok"), Bytes::from_static(b"more")],
            0,
        );
        assert_eq!(contains_text(&mut body, b"ok").await, Ok(true));
        assert_eq!(body.1, 1, "one piece was enough");
    }
}
