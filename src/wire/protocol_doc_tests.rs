//! `docs/PROTOCOL.md` is true: its dumps are read, and written again, by the code of this floor, and its tables hold the
//! constants. The tests in JavaScript play the same dumps against a bridge.

use super::control::{
    FrameRun, Gone, Hello, Settled, Watch, Welcome, close_encoding, decode_about, decode_event, decode_name,
    decode_number, decode_peer, decode_reject, put_about, put_bare, put_close, put_interest, put_name, put_number,
    put_peer, put_reject,
};
use super::frame::{
    CHUNK_HEAD_LEN, CHUNK_LEN, Encoding, Head, LENGTH_LEN, MAX_FRAME, MAX_ID, MAX_INLINE, MAX_NAME, MAX_SENTENCE,
    PREAMBLE_LEN, RawFrame, check_preamble, decode_large_head, encode_chunk_head, encode_preamble, flag, kind,
    large_head,
};
use super::names::MAX_SLOT;
use crate::error::Code;

const PAGE: &str = include_str!("../../docs/PROTOCOL.md");

const KINDS: [(u8, &str); 34] = [
    (kind::HELLO, "HELLO"),
    (kind::WELCOME, "WELCOME"),
    (kind::REJECT, "REJECT"),
    (kind::NAME, "NAME"),
    (kind::LISTEN, "LISTEN"),
    (kind::UNLISTEN, "UNLISTEN"),
    (kind::ACK, "ACK"),
    (kind::SETTLED, "SETTLED"),
    (kind::PING, "PING"),
    (kind::PONG, "PONG"),
    (kind::LEAVE, "LEAVE"),
    (kind::LEFT, "LEFT"),
    (kind::CLOSE, "CLOSE"),
    (kind::GONE, "GONE"),
    (kind::PEER, "PEER"),
    (kind::MESSAGE, "MESSAGE"),
    (kind::BROADCAST, "BROADCAST"),
    (kind::RPC, "RPC"),
    (kind::REPLY, "REPLY"),
    (kind::REFUSE, "REFUSE"),
    (kind::ROSTER, "ROSTER"),
    (kind::RESEND, "RESEND"),
    (kind::REPLAY, "REPLAY"),
    (kind::CHUNK, "CHUNK"),
    (kind::SKIP, "SKIP"),
    (kind::WATCH, "WATCH"),
    (kind::OFFER, "OFFER"),
    (kind::ACCEPT, "ACCEPT"),
    (kind::UNHEARD, "UNHEARD"),
    (kind::CANCEL, "CANCEL"),
    (kind::LEAVING, "LEAVING"),
    (kind::AWAIT, "AWAIT"),
    (kind::DEFER, "DEFER"),
    (kind::TAKEN, "TAKEN"),
];

const FLAGS: [(u8, &str); 6] = [
    (flag::ASK, "ASK"),
    (flag::LARGE, "LARGE"),
    (flag::ABORT, "ABORT"),
    (flag::LOST, "LOST"),
    (flag::BRIDGE, "BRIDGE"),
    (flag::OWN, "OWN"),
];

/// One dump: its bytes, and what the page says at which of them.
struct Dump {
    title: &'static str,
    bytes: Vec<u8>,
    notes: Vec<(usize, &'static str)>,
}

fn dumps() -> Vec<Dump> {
    let blocks = PAGE.split("```wire\n").skip(1);
    blocks.map(|block| dump(block.split("```").next().expect("a block ends"))).collect()
}

fn dump(block: &'static str) -> Dump {
    let (title, lines) = block.split_once('\n').expect("a title");
    let (mut bytes, mut notes) = (Vec::new(), Vec::new());
    for line in lines.lines().map(str::trim).filter(|line| !line.starts_with('(')) {
        let (hex, note) = line.split_once("  ").unwrap_or((line, ""));
        notes.push((bytes.len(), note.trim()));
        // Bytes that differ each time stand for any: 0 will do.
        bytes.extend(hex.split(' ').map(|byte| u8::from_str_radix(&byte.replace("xx", "0"), 16).expect(byte)));
    }
    Dump { title, bytes, notes }
}

impl Dump {
    fn note(&self, at: usize) -> &str {
        self.notes.iter().find(|(offset, _)| *offset == at).map_or("", |(_, note)| note)
    }
}

fn name_of(kind: u8) -> &'static str {
    KINDS.iter().find(|(number, _)| *number == kind).expect("a kind of ours").1
}

fn flags_of(kind: u8, flags: u8) -> String {
    let mut said: Vec<String> =
        FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| (*name).into()).collect();
    if flags >> flag::ENCODING_SHIFT & 3 != 0 && kind != kind::CHUNK {
        said.push(format!("encoding {}", flags >> flag::ENCODING_SHIFT & 3));
    }
    if said.is_empty() { "no flags".into() } else { said.join(", ") }
}

/// The frame as our own code writes what it read.
fn written_again(frame: &RawFrame<'_>, out: &mut Vec<u8>) {
    let payload = frame.payload;
    match frame.kind {
        kind::HELLO => Hello::decode(payload).unwrap().encode(out),
        kind::WELCOME => Welcome::decode(payload).unwrap().encode(out),
        kind::SETTLED => Settled::decode(payload).unwrap().encode(out),
        kind::GONE => Gone::decode(payload).unwrap().encode(out),
        kind::REJECT => {
            let (code, text) = decode_reject(payload).unwrap();
            put_reject(code, text, out);
        }
        kind::PEER => {
            let (slot, session, id) = decode_peer(payload).unwrap();
            put_peer(slot, session, id, out);
        }
        kind::DEFER | kind::TAKEN => FrameRun::decode(payload).unwrap().encode(frame.kind, out),
        kind::WATCH | kind::UNHEARD => Watch::decode(payload).unwrap().encode(frame.kind, out),
        kind::RESEND | kind::REPLAY | kind::SKIP => {
            let (seq, id) = decode_about(payload).unwrap();
            put_about(frame.kind, seq, id, out);
        }
        kind::NAME => {
            let (slot, name) = decode_name(payload).unwrap();
            put_name(slot, name, out);
        }
        kind::LISTEN | kind::UNLISTEN => {
            put_interest(frame.kind == kind::LISTEN, decode_event(payload).unwrap(), out);
        }
        kind::ACK | kind::PING | kind::PONG => put_number(frame.kind, decode_number(payload).unwrap(), out),
        kind::LEAVING | kind::LEAVE | kind::LEFT => put_bare(frame.kind, out),
        kind::CLOSE => put_close(close_encoding(frame), payload, out),
        kind::CHUNK => {
            let (stream, bytes) = payload.split_first_chunk::<4>().unwrap();
            encode_chunk_head(u32::from_le_bytes(*stream), frame.flags, bytes.len(), out);
            out.extend_from_slice(bytes);
        }
        _ => {
            let (head, body) = Head::decode(frame).unwrap();
            head.encode(body.len(), out);
            if head.is_large() {
                let (stream, total) = decode_large_head(body).unwrap();
                out.extend_from_slice(&large_head(stream, total));
            } else {
                out.extend_from_slice(body);
            }
        }
    }
}

#[test]
fn every_dump_is_what_our_code_reads_and_writes() {
    let mut seen = Vec::new();
    for dump in dumps() {
        let (mut at, mut out) = (0, Vec::new());
        if dump.note(0) == "magic" {
            // The stranger's version is the one thing on the page that is wrong on purpose.
            assert_eq!(check_preamble(&dump.bytes).is_err(), dump.title.starts_with("stranger"));
            encode_preamble(&mut out);
            at = PREAMBLE_LEN;
        }
        while at < dump.bytes.len() {
            let (frame, length) = RawFrame::decode(&dump.bytes[at..]).unwrap().expect("whole frames");
            let said = format!(
                "length {}, {}, {}",
                length - LENGTH_LEN,
                name_of(frame.kind),
                flags_of(frame.kind, frame.flags)
            );
            assert_eq!(dump.note(at), said, "{}", dump.title);
            written_again(&frame, &mut out);
            seen.push(frame.kind);
            at += length;
        }
        if !dump.title.starts_with("stranger") {
            assert_eq!(out, dump.bytes, "{}", dump.title);
        }
    }
    let shown: Vec<_> = KINDS.iter().filter(|(kind, _)| !seen.contains(kind)).map(|(_, name)| *name).collect();
    assert_eq!(shown, ["ROSTER", "OFFER", "ACCEPT", "AWAIT"], "kinds that no dump shows");
}

/// The cells of the page's table rows that begin with `cell`.
fn rows(cell: &str) -> Vec<Vec<&'static str>> {
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    PAGE.lines().filter(|line| line.starts_with('|')).map(cells).filter(|row| row[0] == cell).collect()
}

#[test]
fn the_table_of_kinds_holds_the_constants() {
    for (kind, name) in KINDS {
        let row = &rows(&format!("`{kind:#04x}`"))[..];
        assert_eq!(row.len(), 1, "{name}");
        assert_eq!(row[0][1], name);
    }
    let listed = PAGE.lines().filter(|line| line.starts_with("| `0x")).count();
    assert_eq!(listed, KINDS.len());
}

#[test]
fn the_table_of_codes_holds_the_constants() {
    for number in 1..=19 {
        let code = Code::from_wire(number);
        assert_eq!(code as u8, number);
        let pair = format!("| {number} | `{}` |", code.as_str());
        assert!(PAGE.contains(&pair), "{pair}");
    }
    assert_eq!(Code::from_wire(20), Code::Protocol, "a code that the page does not list");
}

#[test]
fn the_tables_of_flags_and_encodings_hold_the_constants() {
    // It shares its bit with LOST, which only chunks have.
    for (bit, name) in FLAGS.into_iter().chain([(flag::SHARED, "SHARED")]) {
        let said = format!("| {} | {name} |", bit.trailing_zeros());
        assert!(PAGE.contains(&said), "{said}");
    }
    assert!(PAGE.contains(&format!("| {}, {} | encoding |", flag::ENCODING_SHIFT, flag::ENCODING_SHIFT + 1)));
    let encodings = [
        (Encoding::Json, "JSON"),
        (Encoding::Packed, "packed"),
        (Encoding::CloneV8, "clone, V8"),
        (Encoding::CloneJsc, "clone, JavaScriptCore"),
    ];
    for (encoding, name) in encodings {
        let said = format!("| {} | {name} |", encoding as u8);
        assert!(PAGE.contains(&said), "{said}");
    }
}

#[test]
fn the_table_of_limits_holds_the_constants() {
    let limits = [
        ("length of a frame", MAX_FRAME),
        ("body that is sent in one frame", MAX_INLINE),
        ("bytes of one CHUNK", CHUNK_LEN),
        ("node id", MAX_ID),
        ("sentence of REFUSE and REJECT", MAX_SENTENCE),
        ("name of an event or method", MAX_NAME),
        ("slots of one table", usize::from(MAX_SLOT)),
    ];
    for (name, value) in limits {
        assert_eq!(rows(name), [[name, &value.to_string(), rows(name)[0][2]]]);
    }
    const { assert!(CHUNK_HEAD_LEN - LENGTH_LEN + CHUNK_LEN <= MAX_FRAME) };
}
