//! What holds for any frame: however it is cut, changed or made up.

use bytes::Bytes;
use proptest::prelude::*;

use super::control::{
    Gone, Hello, Settled, Welcome, close_encoding, decode_event, decode_name, decode_number, decode_reject, put_bare,
    put_close, put_interest, put_name, put_number, put_reject,
};
use super::frame::{
    CHUNK_HEAD_LEN, CHUNK_LEN, Encoding, Head, LENGTH_LEN, MAX_FRAME, PREAMBLE_LEN, RawFrame, check_preamble,
    decode_chunk, decode_large_head, decode_refusal, encode_chunk_head, encode_preamble, encode_with, flag,
    frame_length, kind, large_head, refusal,
};
use super::reader::FrameReader;
use crate::error::{Code, Result};
use crate::wire::time_left::TimeLeft;

/// A frame as a reader hands it on, put together from its pieces: kind, flags, stream, payload.
type Read = (u8, u8, u32, Vec<u8>);

fn read_all(reads: &[&[u8]]) -> Result<Vec<Read>> {
    let (mut reader, mut all) = (FrameReader::default(), Vec::new());
    let mut unfinished: Option<Read> = None;
    for bytes in reads {
        let mut frames = reader.push(Bytes::copy_from_slice(bytes))?;
        while let Some(frame) = frames.next() {
            let shared = frame.share(frame.raw.payload);
            assert_eq!(shared, frame.raw.payload);
            let (mut read, piece) = match unfinished.take() {
                Some(read) => (read, frame.raw),
                None => ((frame.raw.kind, frame.raw.flags, frame.stream, Vec::new()), frame.raw),
            };
            assert_eq!((read.0, read.1, read.2), (piece.kind, piece.flags, frame.stream), "pieces of one frame");
            read.3.extend_from_slice(piece.payload);
            if frame.ends { all.push(read) } else { unfinished = Some(read) }
        }
    }
    Ok(all)
}

/// Any frame: its bytes, and what a reader should make of them.
fn frame() -> impl Strategy<Value = (Vec<u8>, Read)> {
    let payload = prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        (any::<u8>(), any::<u8>(), payload.clone())
            .prop_filter("not a chunk", |(kind, ..)| *kind != kind::CHUNK)
            .prop_map(|(kind, flags, payload)| {
                let mut bytes = Vec::new();
                encode_with(kind, flags, &mut bytes, |out| out.extend_from_slice(&payload));
                (bytes, (kind, flags, 0, payload))
            }),
        (any::<u32>(), any::<u8>(), payload).prop_map(|(stream, flags, payload)| {
            let mut bytes = Vec::new();
            encode_chunk_head(stream, flags, payload.len(), &mut bytes);
            bytes.extend_from_slice(&payload);
            (bytes, (kind::CHUNK, flags, stream, payload))
        }),
    ]
}

fn talk() -> impl Strategy<Value = (Vec<u8>, Vec<Read>)> {
    prop::collection::vec(frame(), 1..6).prop_map(|frames| {
        let (bytes, reads): (Vec<_>, Vec<_>) = frames.into_iter().unzip();
        (bytes.concat(), reads)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn frames_survive_every_split((bytes, expected) in talk()) {
        for split in 0..=bytes.len() {
            let (first, second) = bytes.split_at(split);
            prop_assert_eq!(&read_all(&[first, second]).unwrap(), &expected, "split at {}", split);
        }
    }

    #[test]
    fn frames_survive_reads_of_any_length((bytes, expected) in talk(), lengths in prop::collection::vec(1..20usize, 1..50)) {
        let (mut rest, mut reads, mut lengths) = (&bytes[..], Vec::new(), lengths.into_iter().cycle());
        while !rest.is_empty() {
            let (read, later) = rest.split_at(lengths.next().unwrap().min(rest.len()));
            reads.push(read);
            rest = later;
        }
        prop_assert_eq!(read_all(&reads).unwrap(), expected);
    }

    #[test]
    fn frames_survive_arriving_byte_by_byte((bytes, expected) in talk()) {
        let reads: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(read_all(&reads).unwrap(), expected);
    }

    #[test]
    fn half_a_frame_is_no_frame((bytes, expected) in frame(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len());
        prop_assert_eq!(RawFrame::decode(&bytes[..cut]), Ok(None));
        if expected.0 != kind::CHUNK {
            prop_assert_eq!(read_all(&[&bytes[..cut]]).unwrap(), []);
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_with_their_fourth_byte(
        length in prop_oneof![0..2u32, MAX_FRAME as u32 + 1..=u32::MAX],
        (before, _) in talk(),
    ) {
        let bad = length.to_le_bytes();
        prop_assert!(frame_length(&bad).is_err());
        prop_assert_eq!(frame_length(&bad[..3]), Ok(None));
        prop_assert!(read_all(&[&before, &bad]).is_err());
        prop_assert!(read_all(&[&before, &bad[..2], &bad[2..]]).is_err());
        prop_assert!(read_all(&[&[&before[..], &bad].concat()]).is_err());
    }

    #[test]
    fn changed_bytes_never_panic(
        (mut bytes, _) in talk(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        split in any::<prop::sample::Index>(),
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (first, second) = bytes.split_at(split.index(bytes.len() + 1));
        let _ = read_all(&[first, second]);
    }

    #[test]
    fn no_payload_makes_a_decoder_panic(kind: u8, flags: u8, payload in prop::collection::vec(any::<u8>(), 0..80)) {
        let frame = RawFrame { kind, flags, payload: &payload };
        let _ = (Hello::decode(&payload), Welcome::decode(&payload), Settled::decode(&payload), Gone::decode(&payload));
        let _ = (decode_name(&payload), decode_event(&payload), decode_number(&payload), decode_reject(&payload));
        let _ = (Head::decode(&frame), decode_chunk(&frame), decode_large_head(&payload), decode_refusal(&payload));
        let _ = (close_encoding(&frame), check_preamble(&payload), RawFrame::decode(&payload));
    }

    #[test]
    fn hello_round_trips(session: u64, pid: u32, max_message: u64, id in "[^:\0]{1,60}", token in ".{0,80}") {
        let (lane, namespace, replaces) = (pid % 2 == 0, max_message as u32, pid % 3 == 0);
        let (secret, epoch, heard, listens) = (session ^ 1, max_message, session, pid);
        let hello =
            Hello { session, pid, max_message, id, token, secret, epoch, heard, listens, lane, namespace, replaces };
        let payload = payload(kind::HELLO, |out| hello.encode(out));
        prop_assert_eq!(Hello::decode(&payload), Ok(hello));
        // What came with resuming may be left out, but not cut; so may what came with lanes, namespaces and replacing.
        let without_replaces = payload.len() - usize::from(replaces);
        let without_namespace = without_replaces - if namespace == 0 && !replaces { 0 } else { 4 };
        let without_lane = without_namespace - usize::from(lane || namespace != 0 || replaces);
        let whole = [without_lane - 28, without_lane, without_namespace, without_replaces];
        for cut in (0..payload.len()).filter(|cut| !whole.contains(cut)) {
            prop_assert!(Hello::decode(&payload[..cut]).is_err());
        }
        let later_fields = [&payload[..], b"more"].concat();
        prop_assert!(Hello::decode(&later_fields).is_ok(), "fields may be added at the end");
    }

    #[test]
    fn welcome_settled_and_gone_round_trip(a: u64, b: u32, c: u64, d: u64, e: u32, node in ".{0,60}") {
        let welcome = Welcome { epoch: a, pid: b, max_message: c, window: d, resume_timeout: e, kept: a % 2 == 0, namespace: b ^ 1 };
        let bytes = payload(kind::WELCOME, |out| welcome.encode(out));
        prop_assert_eq!(Welcome::decode(&bytes), Ok(welcome));
        let without_namespace = bytes.len() - 4;
        prop_assert!((0..bytes.len()).all(|cut| Welcome::decode(&bytes[..cut]).is_err() == (cut != without_namespace)));
        let settled = Settled { first: a, last: c, bytes: d, window: b.into() };
        let bytes = payload(kind::SETTLED, |out| settled.encode(out));
        prop_assert_eq!(Settled::decode(&bytes), Ok(settled));
        prop_assert!((0..bytes.len()).all(|cut| Settled::decode(&bytes[..cut]).is_err()));
        let missed = vec![(c, d); a as usize % 4];
        let gone = Gone { seq: a, code: Code::NodeLeft, delivered_only: a % 2 == 0, session: d, node, missed };
        let bytes = payload(kind::GONE, |out| gone.encode(out));
        prop_assert_eq!(Gone::decode(&bytes), Ok(gone));
        let fields = bytes.len() - 16 * (a as usize % 4);
        prop_assert!((0..fields).all(|cut| Gone::decode(&bytes[..cut]).is_err()), "runs of broadcasts may be left out");
        prop_assert!((fields..bytes.len()).all(|cut| Gone::decode(&bytes[..cut]).is_ok() == (cut - fields).is_multiple_of(16)));
    }

    #[test]
    fn names_numbers_and_reasons_round_trip(slot: u16, name in ".{1,60}", number: u64, listens: bool) {
        let bytes = payload(kind::NAME, |out| put_name(slot, &name, out));
        prop_assert_eq!(decode_name(&bytes), Ok((slot, &*name)));
        let kind = if listens { kind::LISTEN } else { kind::UNLISTEN };
        let bytes = payload(kind, |out| put_interest(listens, &name, out));
        prop_assert_eq!(decode_event(&bytes), Ok(&*name));
        let bytes = payload(kind::ACK, |out| put_number(kind::ACK, number, out));
        prop_assert_eq!(decode_number(&bytes), Ok(number));
        let bytes = payload(kind::REJECT, |out| put_reject(Code::SlowNode, &name, out));
        prop_assert_eq!(decode_reject(&bytes), Ok((Code::SlowNode, &*name)));
        let bytes = refusal(Code::NoListener, &name);
        prop_assert_eq!(decode_refusal(&bytes), Ok((Code::NoListener, &*name)));
    }

    #[test]
    fn routed_frames_round_trip(
        kind: u8, flags: u8, peer: u16, event: u16, left: u16, correlation: u32, seq: u64,
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let head = Head { kind, flags, peer, event, time_left: TimeLeft(left), correlation, seq };
        let mut bytes = Vec::new();
        head.encode(body.len(), &mut bytes);
        bytes.extend_from_slice(&body);
        let (frame, length) = RawFrame::decode(&bytes).unwrap().unwrap();
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!(Head::decode(&frame), Ok((head, &body[..])));
        prop_assert_eq!(head.asks(), flags & flag::ASK != 0);
        prop_assert_eq!(head.encoding() as u8, flags >> flag::ENCODING_SHIFT & 3);
        for cut in 0..18 {
            let short = RawFrame { payload: &frame.payload[..cut], ..frame };
            prop_assert!(Head::decode(&short).is_err());
        }
    }

    #[test]
    fn large_heads_round_trip(stream: u32, total: u64) {
        let bytes = large_head(stream, total);
        prop_assert_eq!(decode_large_head(&bytes), Ok((stream, total)));
        prop_assert!((0..bytes.len()).all(|cut| decode_large_head(&bytes[..cut]).is_err()));
        prop_assert!(decode_large_head(&[&bytes[..], &[0]].concat()).is_err());
    }
}

/// The payload of the one frame that `write` appends.
fn payload(kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    let (frame, length) = RawFrame::decode(&bytes).unwrap().unwrap();
    assert_eq!((frame.kind, length), (kind, bytes.len()));
    frame.payload.to_vec()
}

#[test]
fn the_longest_frame_passes_and_nothing_longer() {
    let mut bytes = Vec::new();
    encode_with(kind::CLOSE, 0, &mut bytes, |out| out.resize(MAX_FRAME + LENGTH_LEN, 7));
    assert_eq!(read_all(&[&bytes]).unwrap()[0].3.len(), MAX_FRAME - 2);
    bytes.clear();
    encode_with(kind::CLOSE, 0, &mut bytes, |out| out.resize(MAX_FRAME + LENGTH_LEN + 1, 7));
    assert!(read_all(&[&bytes]).is_err());
}

#[test]
fn a_full_chunk_passes_in_pieces_of_any_length() {
    let mut bytes = Vec::new();
    encode_chunk_head(3, flag::ABORT, CHUNK_LEN, &mut bytes);
    bytes.resize(CHUNK_HEAD_LEN + CHUNK_LEN, 7);
    put_bare(kind::LEAVE, &mut bytes);
    for length in [1_000, 4_096, CHUNK_LEN, usize::MAX] {
        let reads: Vec<&[u8]> = bytes.chunks(length).collect();
        let all = read_all(&reads).unwrap();
        assert_eq!(all[0], (kind::CHUNK, flag::ABORT, 3, vec![7; CHUNK_LEN]));
        assert_eq!((all[1].0, all.len()), (kind::LEAVE, 2));
    }
}

#[test]
fn chunks_too_short_for_their_stream_are_refused() {
    for length in 0..4u8 {
        let bytes = [&[length + 2, 0, 0, 0, kind::CHUNK, 0][..], &vec![0; length.into()]].concat();
        assert!(read_all(&[&bytes]).is_err());
        for split in 0..bytes.len() {
            let (first, second) = bytes.split_at(split);
            assert!(read_all(&[first, second]).is_err(), "{length} split at {split}");
        }
    }
}

#[test]
fn the_preamble_is_checked_as_it_comes() {
    let mut preamble = Vec::new();
    encode_preamble(&mut preamble);
    for len in 0..PREAMBLE_LEN {
        assert_eq!(check_preamble(&preamble[..len]), Ok(None));
    }
    assert_eq!(check_preamble(&preamble), Ok(Some(())));
    assert_eq!(check_preamble(&[&preamble[..], b"HELLO"].concat()), Ok(Some(())));
    for at in 0..6 {
        let mut other = preamble.clone();
        other[at] ^= 1;
        assert!(check_preamble(&other).is_err(), "byte {at} is not ours");
        if at < 4 {
            assert!(check_preamble(&other[..=at]).is_err(), "byte {at} is enough to tell");
        }
    }
    preamble[6..].copy_from_slice(&[1, 1]);
    assert_eq!(check_preamble(&preamble), Ok(Some(())), "reserved bytes are not looked at");
}

#[test]
fn names_are_bounded_where_they_come_in() {
    assert!(decode_event(&[b'e'; 1_024]).is_ok());
    assert!(decode_event(&[b'e'; 1_025]).is_err() && decode_event(b"").is_err() && decode_event(b"\xFF").is_err());
    for (id, good) in [("a".repeat(255), true), ("a".repeat(256), false), (String::new(), false)] {
        let hello = Hello {
            session: 0,
            pid: 0,
            max_message: 0,
            id,
            token: String::new(),
            secret: 0,
            epoch: 0,
            heard: 0,
            listens: 0,
            lane: false,
            namespace: 0,
            replaces: false,
        };
        assert_eq!(Hello::decode(&payload(kind::HELLO, |out| hello.encode(out))).is_ok(), good);
    }
    for id in ["a:b", "a\0", ":"] {
        let hello = Hello {
            session: 0,
            pid: 0,
            max_message: 0,
            id: id.into(),
            token: String::new(),
            secret: 0,
            epoch: 0,
            heard: 0,
            listens: 0,
            lane: false,
            namespace: 0,
            replaces: false,
        };
        assert!(Hello::decode(&payload(kind::HELLO, |out| hello.encode(out))).is_err());
    }
}

#[test]
fn the_values_of_a_close_keep_their_encoding() {
    for encoding in [Encoding::Json, Encoding::Packed, Encoding::CloneV8, Encoding::CloneJsc] {
        let mut bytes = Vec::new();
        put_close(encoding, b"body", &mut bytes);
        let (frame, _) = RawFrame::decode(&bytes).unwrap().unwrap();
        assert_eq!((close_encoding(&frame), frame.payload), (encoding, &b"body"[..]));
    }
}
