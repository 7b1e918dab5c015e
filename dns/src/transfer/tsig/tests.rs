//! Signatures against the rules of RFC 8945, and against themselves.

use super::*;
use crate::name::Name;

const NOW: u64 = 1_700_000_000;

fn key(algorithm: Algorithm) -> Arc<Key> {
    let name = Name::parse("xfr.example").expect("a name");
    Arc::new(Key::new(
        name,
        algorithm,
        *b"0123456789abcdef0123456789abcdef",
    ))
}

fn query() -> Vec<u8> {
    b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\x06\x00\x01".to_vec()
}

fn signed(algorithm: Algorithm, now: u64) -> (Vec<u8>, Verifier) {
    let mut message = query();
    let verifier = Signer::request(key(algorithm), &mut message, now);
    (message, verifier)
}

fn check(message: &[u8], keys: &Keys, now: u64) -> Result<Signer, Unverified> {
    let record = locate(message).expect("well placed").expect("a record");
    verify(message, &record, keys, now)
}

fn error(result: Result<Signer, Unverified>) -> Option<TsigError> {
    match result {
        Err(Unverified::Refused(error, _)) => Some(error),
        _ => None,
    }
}

#[test]
fn rfc8945_6_every_algorithm_signs_and_verifies() {
    for algorithm in Algorithm::ALL {
        let keys = Keys::new(vec![key(algorithm)]);
        let (message, mut verifier) = signed(algorithm, NOW);
        let record = locate(&message).expect("well placed").expect("a record");
        assert_eq!(stripped(&message, &record), query());
        let mut signer = check(&message, &keys, NOW + 299).expect("it holds");
        let mut response = query();
        signer.sign(&mut response, 0, NOW);
        assert_eq!(
            verifier.message(&response, NOW),
            Ok(query()),
            "{algorithm:?}"
        );
        assert_eq!(verifier.finish(), Ok(()));
    }
}

#[test]
fn rfc8945_5_2_the_errors_are_told_apart() {
    let keys = Keys::new(vec![key(Algorithm::HmacSha256)]);
    let (message, _) = signed(Algorithm::HmacSha256, NOW);
    assert_eq!(
        error(check(&message, &Keys::default(), NOW)),
        Some(TsigError::BadKey)
    );
    let (other, _) = signed(Algorithm::HmacSha512, NOW);
    assert_eq!(error(check(&other, &keys, NOW)), Some(TsigError::BadKey));
    let mut changed = message.clone();
    changed[13] ^= 0x20;
    assert_eq!(error(check(&changed, &keys, NOW)), Some(TsigError::BadSig));
    for now in [NOW + 301, NOW - 301] {
        assert_eq!(error(check(&message, &keys, now)), Some(TsigError::BadTime));
    }
    // The wrong code is told before the wrong time (RFC 8945 §5.2.3).
    assert_eq!(
        error(check(&changed, &keys, NOW + 301)),
        Some(TsigError::BadSig)
    );
    // A forwarder may have changed the ID: the original one was signed.
    let mut forwarded = message;
    forwarded[0] ^= 0xff;
    assert!(check(&forwarded, &keys, NOW).is_ok());
}

#[test]
fn rfc8945_5_3_2_badtime_is_signed_and_tells_our_time_and_badkey_is_not_signed() {
    let keys = Keys::new(vec![key(Algorithm::HmacSha256)]);
    let (message, mut verifier) = signed(Algorithm::HmacSha256, NOW);
    let Err(Unverified::Refused(_, reply)) = check(&message, &keys, NOW + 1000) else {
        panic!("too late");
    };
    let mut response = query();
    reply.append(&mut response, 0);
    let record = locate(&response).expect("well placed").expect("a record");
    assert_eq!((record.error, record.other), (18, &to_be48(NOW + 1000)[..]));
    assert_eq!(
        record.time, NOW,
        "the client's own time, so that it can verify"
    );
    assert_eq!(
        verifier.message(&response, NOW),
        Err(BadSignature::Refused(18))
    );
    let Err(Unverified::Refused(_, reply)) = check(&message, &Keys::default(), NOW) else {
        panic!("no such key");
    };
    let mut response = query();
    reply.append(&mut response, 0);
    let record = locate(&response).expect("well placed").expect("a record");
    assert_eq!((record.error, record.code.len()), (17, 0));
}

#[test]
fn rfc8945_5_2_2_1_truncated_codes() {
    let keys = Keys::new(vec![key(Algorithm::HmacSha256)]);
    let (message, _) = signed(Algorithm::HmacSha256, NOW);
    let cut = |length: usize| {
        let record = locate(&message).expect("well placed").expect("a record");
        let mut cut = message[..record.at].to_vec();
        cut[11] = 0;
        let says = Says {
            key: record.key.as_wire(),
            algorithm: record.algorithm.as_wire(),
            time: record.time,
            fudge: record.fudge,
            error: 0,
            other: &[],
        };
        says.append(&record.code[..length], &mut cut, 0);
        cut
    };
    assert!(check(&cut(32), &keys, NOW).is_ok());
    assert_eq!(
        error(check(&cut(16), &keys, NOW)),
        Some(TsigError::BadTrunc)
    );
    assert!(matches!(
        check(&cut(15), &keys, NOW),
        Err(Unverified::Malformed)
    ));
}

#[test]
fn rfc8945_5_3_1_a_stream_may_leave_some_messages_unsigned_but_not_the_last() {
    let (request, verifier) = signed(Algorithm::HmacSha256, NOW);
    let keys = Keys::new(vec![key(Algorithm::HmacSha256)]);
    let signer = check(&request, &keys, NOW).expect("it holds");
    let (mut ours, mut theirs) = (signer, verifier);
    for _ in 0..3 {
        let mut message = query();
        ours.sign(&mut message, 0, NOW + 1);
        assert_eq!(theirs.message(&message, NOW), Ok(query()));
    }
    let mut ended = theirs.clone();
    assert_eq!(ended.message(&query(), NOW), Ok(query()));
    assert_eq!(ended.finish(), Err(BadSignature::Missing));
    // One that was left out is missed by the next code.
    let mut message = query();
    ours.sign(&mut message, 0, NOW + 1);
    let mut again = query();
    ours.sign(&mut again, 0, NOW + 1);
    assert_eq!(theirs.message(&again, NOW), Err(BadSignature::Wrong));
    assert_eq!(theirs.message(&message, NOW), Ok(query()));
    for _ in 0..99 {
        theirs.message(&query(), NOW).expect("up to 99");
    }
    assert_eq!(theirs.message(&query(), NOW), Err(BadSignature::TooLong));
}

#[test]
fn rfc8945_5_1_a_record_that_is_not_the_last_is_malformed() {
    let (mut message, _) = signed(Algorithm::HmacSha256, NOW);
    message.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    message[11] += 1;
    assert_eq!(locate(&message).err(), Some(Misplaced));
    assert!(locate(&query()).expect("nothing wrong").is_none());
    assert!(locate(&query()[..11]).expect("nothing wrong").is_none());
}
