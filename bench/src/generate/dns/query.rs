//! The questions of a run on the wire, made once: sending one is a copy and a few octets changed. The
//! question section of an answer is compared with what was asked here too. It sends nothing.

use super::{Options, PAYLOAD, answer};
use crate::asks::{Ask, Asks};
use crate::generate::GenerateError;
use crate::generate::threads::Seat;
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use steering::Family;
use steering::draw::mix;

/// No question is longer: header, a name of 255 octets, type, class, and an OPT with a whole IPv6 client.
pub const LONGEST: usize = 12 + 255 + 4 + 11 + 8 + 16;
/// Octets of a header (RFC 1035 §4.1.1).
const HEADER: usize = 12;
/// The longest name (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 255;
/// Characters of the label that makes a name a missing one.
const LABEL: usize = 16;

/// Which question: one of the asks, in one of its forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its position in the list.
    pub ask: u32,
    /// The type, and the label of a missing name, come from this number: the thread's count of questions.
    pub form: u32,
    /// The thread that asks; no two make the same labels.
    pub thread: u16,
}

/// All questions of a run.
pub struct Questions {
    /// One after the other, as they are sent for the first type, with ID 0.
    arena: Vec<u8>,
    templates: Vec<Template>,
    types: &'static [u16],
    missing: bool,
    /// Of the labels; another one in each run.
    seed: u64,
}

#[derive(Clone, Copy)]
struct Template {
    start: usize,
    len: u16,
    /// Where the question section ends, from the start of the message.
    question_end: u16,
}

impl Questions {
    /// For these asks.
    ///
    /// # Errors
    /// When there is none, or a name has no form on the wire.
    pub fn new(asks: &Asks, options: &Options) -> Result<Self, GenerateError> {
        if asks.list.is_empty() {
            return Err(GenerateError::NothingToAsk);
        }
        let types = options.types.numbers();
        let names = asks.targets.iter();
        let names = names.map(|target| encoded(&target.name, options.missing));
        let names: Vec<Vec<u8>> = names.collect::<Result<_, _>>()?;
        let mut questions = Self {
            arena: Vec::new(),
            templates: Vec::with_capacity(asks.list.len()),
            types,
            missing: options.missing,
            seed: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
        };
        for ask in &asks.list {
            questions.push(&names[usize::from(ask.target)], ask, options);
        }
        Ok(questions)
    }

    fn push(&mut self, name: &[u8], ask: &Ask, options: &Options) {
        let start = self.arena.len();
        let out = &mut self.arena;
        let subnet = options.ecs.then(|| client_subnet(ask));
        let opt = options.edns.or(subnet.as_ref().map(|_| PAYLOAD));
        // ID 0; a standard query, recursion not desired; one question (RFC 1035 §4.1.1).
        out.extend([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(opt.is_some())]);
        out.extend_from_slice(name);
        out.extend(self.types[0].to_be_bytes());
        out.extend([0, 1]);
        let question_end = out.len() - start;
        if let Some(payload) = opt {
            // RFC 6891 §6.1.2: the root, OPT, payload; extended RCODE, version and flags 0; the options.
            let subnet = subnet.unwrap_or_default();
            out.extend([0, 0, answer::OPT as u8]);
            out.extend(payload.to_be_bytes());
            out.extend([0; 4]);
            out.extend((subnet.len() as u16).to_be_bytes());
            out.extend(subnet);
        }
        self.templates.push(Template {
            start,
            len: (self.arena.len() - start) as u16,
            question_end: question_end as u16,
        });
    }

    /// How many asks there are.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Writes a question with this ID; `out` holds at least [`LONGEST`] octets. The length is returned.
    #[inline]
    pub fn write(&self, question: Question, id: u16, out: &mut [u8]) -> usize {
        let template = self.templates[question.ask as usize];
        let len = usize::from(template.len);
        out[..len].copy_from_slice(&self.arena[template.start..template.start + len]);
        out[..2].copy_from_slice(&id.to_be_bytes());
        let end = usize::from(template.question_end);
        out[end - 4..end - 2].copy_from_slice(&self.rtype(question).to_be_bytes());
        if self.missing {
            out[HEADER + 1..HEADER + 1 + LABEL].copy_from_slice(&self.label(question));
        }
        len
    }

    /// Whether a message has this question and no other in its question section. The case of letters
    /// does not count (RFC 1035 §2.3.3).
    #[inline]
    pub fn is_of(&self, question: Question, message: &[u8]) -> bool {
        let template = self.templates[question.ask as usize];
        let end = usize::from(template.question_end);
        let (Some(echo), Some([0, 1])) = (message.get(HEADER..end), message.get(4..6)) else {
            return false;
        };
        let (mut echo, tail) = echo.split_at(end - HEADER - 4);
        let wire = &self.arena[template.start..template.start + end];
        let mut name = &wire[HEADER..end - 4];
        let [high, low] = self.rtype(question).to_be_bytes();
        if *tail != [high, low, 0, 1] {
            return false;
        }
        if self.missing {
            // The length octet, the label, the rest.
            if echo[0] != name[0] || !echo[1..=LABEL].eq_ignore_ascii_case(&self.label(question)) {
                return false;
            }
            (echo, name) = (&echo[1 + LABEL..], &name[1 + LABEL..]);
        }
        echo == name || echo.eq_ignore_ascii_case(name)
    }

    /// The address family that a question asks for.
    #[inline]
    pub fn family(&self, question: Question) -> Family {
        match self.rtype(question) {
            answer::AAAA => Family::V6,
            _ => Family::V4,
        }
    }

    #[inline]
    fn rtype(&self, question: Question) -> u16 {
        self.types[question.form as usize % self.types.len()]
    }

    fn label(&self, question: Question) -> [u8; LABEL] {
        let n = u64::from(question.thread) << 32 | u64::from(question.form);
        let bits = mix(n, self.seed);
        std::array::from_fn(|i| b"0123456789abcdef"[(bits >> (4 * i) & 15) as usize])
    }
}

/// One thread's walk through the questions: each ask in all its types, then the next one, then from the
/// first again.
pub struct Walk {
    next: Question,
    types: u32,
    asks: u32,
}

impl Walk {
    /// From where this thread begins.
    pub fn new(questions: &Questions, seat: Seat) -> Self {
        Self {
            next: Question {
                ask: seat.start_in(questions.len()) as u32,
                form: 0,
                thread: seat.index as u16,
            },
            types: questions.types.len() as u32,
            asks: questions.len() as u32,
        }
    }

    /// The next question.
    #[inline]
    pub fn step(&mut self) -> Question {
        let question = self.next;
        self.next.form = question.form.wrapping_add(1);
        if self.next.form.is_multiple_of(self.types) {
            self.next.ask += 1;
            if self.next.ask >= self.asks {
                self.next.ask = 0;
            }
        }
        question
    }
}

/// A name as labels (RFC 1035 §3.1), with room for a label before it where it is to be missing.
fn encoded(name: &str, missing: bool) -> Result<Vec<u8>, GenerateError> {
    let wrong = || GenerateError::Name(name.to_owned());
    let mut wire = Vec::new();
    if missing {
        wire.push(LABEL as u8);
        wire.extend([b'x'; LABEL]);
    }
    for label in name.trim_end_matches('.').split('.') {
        let fits = (1..=63).contains(&label.len()) && !label.contains('\\');
        let len = fits.then_some(label.len() as u8).ok_or_else(wrong)?;
        wire.push(len);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    let fits = wire.len() <= LONGEST_NAME;
    fits.then_some(wire).ok_or_else(wrong)
}

/// RFC 7871 §6: code, length, FAMILY, SOURCE and SCOPE PREFIX-LENGTH, and as many octets as the prefix
/// needs, zero beyond it.
fn client_subnet(ask: &Ask) -> Vec<u8> {
    let (family, octets, width) = match ask.client.address {
        IpAddr::V4(address) => (1, address.octets().to_vec(), 32),
        IpAddr::V6(address) => (2, address.octets().to_vec(), 128),
    };
    let bits = ask.client.known_bits.unwrap_or(width).min(width);
    let len = usize::from(bits).div_ceil(8);
    let mut out = vec![
        0,
        answer::CLIENT_SUBNET as u8,
        0,
        4 + len as u8,
        0,
        family,
        bits,
        0,
    ];
    out.extend_from_slice(&octets[..len]);
    if let (Some(last), partial @ 1..) = (out.last_mut(), bits % 8) {
        *last &= 0xff << (8 - partial);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Types;
    use super::super::tests::{client, dns_asks, options};
    use super::*;
    use hickory_proto::op::{Message, OpCode};
    use hickory_proto::rr::RecordType;
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

    const SEAT: Seat = Seat {
        index: 1,
        threads: 2,
    };

    fn message(questions: &Questions, question: Question) -> (Vec<u8>, Message) {
        let mut wire = [0; LONGEST];
        let len = questions.write(question, 0xbeef, &mut wire);
        let message = Message::from_vec(&wire[..len]).expect("a query is a message");
        (wire[..len].to_vec(), message)
    }

    #[test]
    fn a_question_is_what_another_reader_reads() {
        let asks = dns_asks(&["Api.example.com", "www.example.com"], 4);
        let questions = Questions::new(&asks, &options()).expect("names are good");
        let mut walk = Walk::new(&questions, SEAT);
        for (i, name) in ["api.example.com.", "www.example.com."].iter().enumerate() {
            for rtype in [RecordType::A, RecordType::AAAA] {
                let question = walk.step();
                assert_eq!(
                    question.ask as usize,
                    2 + i,
                    "the second thread begins half-way"
                );
                let (_, message) = message(&questions, question);
                assert_eq!(message.metadata.id, 0xbeef);
                assert_eq!(message.metadata.op_code, OpCode::Query);
                assert!(!message.metadata.recursion_desired);
                let [query] = &message.queries[..] else {
                    panic!("one question, not {:?}", message.queries);
                };
                assert_eq!(query.name().to_string().to_lowercase(), *name);
                assert_eq!(query.query_type(), rtype);
                let edns = message.edns.as_ref().expect("there is an OPT");
                assert_eq!(edns.max_payload(), PAYLOAD);
                let Some(EdnsOption::Subnet(subnet)) = edns.option(EdnsCode::Subnet) else {
                    panic!("no client subnet in {edns:?}");
                };
                let asked = asks.list[question.ask as usize].client;
                assert_eq!(subnet.addr(), asked.address);
                assert_eq!(Some(subnet.source_prefix()), asked.known_bits);
            }
        }
        assert_eq!(walk.step().ask, 0, "then from the first again");
    }

    #[test]
    fn without_edns_there_is_none_and_bits_beyond_the_prefix_are_zero() {
        let mut asks = dns_asks(&["a.test"], 1);
        let plain = Options {
            ecs: false,
            edns: None,
            types: Types::Aaaa,
            ..options()
        };
        let questions = Questions::new(&asks, &plain).expect("names are good");
        let question = Walk::new(&questions, SEAT).step();
        let (_, read) = message(&questions, question);
        assert!(read.edns.is_none());
        assert_eq!(read.queries[0].query_type(), RecordType::AAAA);
        asks.list[0].client = client("203.0.113.255", 20);
        assert_eq!(
            client_subnet(&asks.list[0]),
            [0, 8, 0, 7, 0, 1, 20, 0, 203, 0, 112]
        );
        asks.list[0].client = client("2001:db8:ffff:ffff::1", 0);
        assert_eq!(client_subnet(&asks.list[0]), [0, 8, 0, 4, 0, 2, 0, 0]);
    }

    #[test]
    fn missing_names_are_fresh_and_recognised() {
        let asks = dns_asks(&["a.test"], 1);
        let missing = Options {
            missing: true,
            ..options()
        };
        let questions = Questions::new(&asks, &missing).expect("names are good");
        let mut walk = Walk::new(&questions, SEAT);
        let (first, second) = (walk.step(), walk.step());
        let (wire, read) = message(&questions, first);
        let (other, again) = message(&questions, second);
        assert_ne!(read.queries[0].name(), again.queries[0].name());
        assert!(read.queries[0].name().to_string().ends_with(".a.test."));
        assert!(questions.is_of(first, &wire) && questions.is_of(second, &other));
        assert!(!questions.is_of(first, &other) && !questions.is_of(second, &wire));
    }

    #[test]
    fn an_echo_may_change_case_and_nothing_else() {
        let asks = dns_asks(&["a.test", "b.test"], 2);
        let questions = Questions::new(&asks, &options()).expect("names are good");
        let question = Question {
            ask: 1,
            form: 2,
            thread: 0,
        };
        let (mut wire, _) = message(&questions, question);
        assert!(questions.is_of(question, &wire));
        wire[HEADER + 1] = b'B';
        assert!(questions.is_of(question, &wire));
        for (at, changed) in [
            (HEADER + 1, b'a'),
            (5, 0),
            (5, 2),
            (HEADER + 9, 28),
            (HEADER + 11, 3),
        ] {
            let mut other = wire.clone();
            other[at] = changed;
            assert!(
                !questions.is_of(question, &other),
                "octet {at} is {changed}"
            );
        }
        for len in 0..HEADER + 12 {
            assert!(!questions.is_of(question, &wire[..len]), "cut at {len}");
        }
    }

    #[test]
    fn names_that_fit_no_message_are_refused() {
        let long = "a".repeat(64);
        let many = "abcdefg.".repeat(32);
        for name in [long.as_str(), many.as_str(), "a..b", "", "a\\046b"] {
            let asks = dns_asks(&[name], 1);
            let outcome = Questions::new(&asks, &options());
            assert!(matches!(outcome, Err(GenerateError::Name(_))), "{name}");
        }
    }
}
