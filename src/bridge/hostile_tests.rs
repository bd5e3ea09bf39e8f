//! Anything at all on a link: nobody panics, nobody else notices, nothing is left behind.

use std::io::IoSlice;

use bytes::Bytes;
use proptest::prelude::*;

use super::link::{LinkKey, Peer};
use super::member::Departure;
use super::router::{Limits, Router};
use crate::node::client::{Client, Config};
use crate::node::event::Event;
use crate::outqueue::MAX_SLICES;
use crate::wire::control::{FrameRun, Hello, Welcome, put_bare, put_interest, put_name, put_number};
use crate::wire::frame::{Head, encode_chunk_head, encode_preamble, flag, kind, large_head};
use crate::wire::time_left::TimeLeft;

/// What one frame may be: right in form, whatever it says.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let routed = (
        prop::sample::select(vec![
            kind::MESSAGE,
            kind::BROADCAST,
            kind::RPC,
            kind::REPLY,
            kind::REFUSE,
            kind::ROSTER,
            kind::CANCEL,
            kind::LEAVING,
            kind::AWAIT,
        ]),
        prop_oneof![Just(0), Just(flag::ASK), Just(flag::LARGE), any::<u8>()],
        (0..4u16, 0..4u16, 0..5u32, 0..5u64),
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            (0..3u32, 0..60u64).prop_map(|(stream, total)| large_head(stream, total).to_vec()),
            Just(vec![b'['; 40_000]),
        ],
    );
    prop_oneof![
        6 => routed.prop_map(|(kind, flags, (peer, event, correlation, seq), body)| {
            let mut out = Vec::new();
            Head { kind, flags, peer, event, time_left: TimeLeft::NONE, correlation, seq }.encode(body.len(), &mut out);
            [out, body].concat()
        }),
        3 => (0..3u32, prop_oneof![Just(0), Just(flag::ABORT)], 0..50usize).prop_map(|(stream, flags, len)| {
            let mut out = Vec::new();
            encode_chunk_head(stream, flags, len, &mut out);
            out.resize(out.len() + len, b'x');
            out
        }),
        2 => (1..4u16, "[a-z]{1,3}|victim").prop_map(|(slot, name)| written(|out| put_name(slot, &name, out))),
        2 => (any::<bool>(), "[a-z]{1,2}|node:(join|leave)")
            .prop_map(|(listens, event)| written(|out| put_interest(listens, &event, out))),
        2 => (prop::sample::select(vec![kind::ACK, kind::PING, kind::PONG]), 0..6u64)
            .prop_map(|(kind, number)| written(|out| put_number(kind, number, out))),
        2 => (prop::sample::select(vec![kind::DEFER, kind::TAKEN]), 0..6u64, prop_oneof![0..6u64, any::<u64>()])
            .prop_map(|(kind, first, last)| written(|out| FrameRun { first, last }.encode(kind, out))),
        1 => Just(written(|out| put_bare(kind::LEAVE, out))),
        1 => (any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..30)).prop_map(|(kind, flags, rest)| {
            [&(rest.len() as u32 + 2).to_le_bytes()[..], &[kind, flags], &rest].concat()
        }),
    ]
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn hello(id: &str) -> Vec<u8> {
    let (id, token) = (id.into(), String::new());
    let hello = Hello {
        session: 3,
        pid: 4,
        namespace: 1,
        max_message: 1_000,
        id,
        token,
        secret: 5,
        epoch: 6,
        heard: 7,
        listens: 1,
        lane: true,
        replaces: false,
    };
    written(|out| {
        encode_preamble(out);
        hello.encode(out);
    })
}

/// A conversation in our wire, most of it sensible, with a few bytes changed.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let names = [written(|out| put_name(1, "victim", out)), written(|out| put_name(2, "e", out))].concat();
    (prop::collection::vec(frame(), 0..12), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3))
        .prop_map(move |(frames, changes)| {
            let mut bytes = [hello("mallory"), names.clone(), frames.concat()].concat();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
}

/// The same in the original's wire.
fn legacy_conversation() -> impl Strategy<Value = Vec<u8>> {
    let message = prop::sample::select(vec![
        r#"{"id":"1","method":"IDENT","nodeName":"mallory"}"#,
        r#"{"id":2,"method":"PUBLISH","data":["victim","e",[1,{"a":2}]]}"#,
        r#"{"id":3,"method":"PUBLISH","data":["nobody","e",[]]}"#,
        r#"{"id":4,"method":"PUBLISH","data":["mallory","e",[]]}"#,
        r#"{"method":"BROADCAST","data":["news",null]}"#,
        r#"{"id":5,"method":"RPC","data":["m",[]]}"#,
        r#"{"id":6,"method":"ACK","data":["victim",1,[null,2]]}"#,
        r#"{"id":7,"method":"LEAVE"}"#,
        "PING",
        "",
    ]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (prop::collection::vec(message, 1..10), changes).prop_map(|(messages, changes)| {
        let mut bytes = messages.iter().flat_map(|text| [text.as_bytes(), b"\0"]).collect::<Vec<_>>().concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

/// A victim that listens to everything, and does so with the real client.
struct Victim {
    client: Client,
    key: LinkKey,
}

impl Victim {
    fn join(router: &mut Router) -> Self {
        let config = Config {
            id: "victim".into(),
            session: 5,
            secret: 7,
            pid: 6,
            namespace: 1,
            max_message: 900,
            max_pending: 10_000,
            replaces: false,
        };
        let mut victim = Self { client: Client::new(config), key: router.connect(Peer::default(), 0) };
        ["news", "e", "a", "node:join", "node:leave"].iter().for_each(|event| victim.client.listen(event, true));
        victim.client.connected();
        victim.carry(router);
        victim
    }

    fn carry(&mut self, router: &mut Router) {
        for _ in 0..4 {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = self.client.transmit(&mut slices);
            let up = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>();
            self.client.written(up.len());
            router.handle_input(self.key, up.into(), 0);
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = router.link(self.key).out.slices(&mut slices);
            let down = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>();
            router.written(self.key, down.len(), 0);
            let mut frames = self.client.frames(down.into()).expect("the bridge speaks its own protocol");
            while let Some(frame) = frames.next() {
                let event = self.client.handle_frame(&frame).expect("whatever mallory says, the victim lives");
                assert!(!matches!(event, Some(Event::Rejected { .. })), "{event:?}");
            }
            while self.client.poll_event().is_some() {}
        }
    }
}

/// Mallory says `bytes` in pieces of `pieces`; everyone else lives on, and nothing of it stays behind.
fn endures(bytes: &[u8], pieces: usize) {
    let limits = Limits { max_message: 50_000, max_pending: 60_000, ..Limits::default() };
    let mut router = Router::new(limits, 1, (1, 1), Default::default());
    let mut victim = Victim::join(&mut router);
    let mallory = router.connect(Peer::default(), 0);
    for piece in bytes.chunks(pieces) {
        router.handle_input(mallory, Bytes::copy_from_slice(piece), 0);
        victim.carry(&mut router);
        while let Some(event) = router.poll_event() {
            if let super::host::Event::Rpc(call) = event {
                router.host_took(call.body.len());
                router.answer(call.caller, call.encoding, call.body);
            }
        }
    }
    let waits = router.link(mallory).out.len();
    assert!(waits <= 60_000 + 40 * bytes.len() + 1_000, "{waits} bytes wait for mallory");
    router.tick(20_000);
    router.disconnect(mallory, Departure::Died);
    victim.carry(&mut router);
    assert!(!router.link(victim.key).closing, "the victim was punished for it");
    router.disconnect(victim.key, Departure::Died);
    // Nobody's place is kept longer than this.
    router.tick(40_000);
    while router.poll_event().is_some() {}
    assert_eq!(router.leftovers(), []);
}

fn pieces() -> impl Strategy<Value = usize> {
    prop_oneof![Just(usize::MAX), 1..50usize]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn odd_conversations_harm_nobody(bytes in conversation(), pieces in pieces()) {
        endures(&bytes, pieces);
    }

    #[test]
    fn odd_conversations_in_the_originals_wire_harm_nobody(bytes in legacy_conversation(), pieces in pieces()) {
        endures(&bytes, pieces);
    }

    #[test]
    fn noise_harms_nobody(bytes in prop::collection::vec(any::<u8>(), 0..300), joins in any::<bool>(), pieces in pieces()) {
        let bytes = if joins { [hello("mallory"), bytes].concat() } else { bytes };
        endures(&bytes, pieces);
    }

    /// A bridge that lies: the client says so, and never panics.
    #[test]
    fn a_client_endures_any_bridge(
        frames in prop::collection::vec(frame(), 0..15),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        pieces in pieces(),
    ) {
        let welcome = Welcome { epoch: 1, pid: 1, max_message: 1_000, window: 1_000, resume_timeout: 0, kept: true, namespace: 1 };
        let mut bytes = [
            written(|out| { encode_preamble(out); welcome.encode(out) }),
            written(|out| put_name(1, "a", out)),
            written(|out| put_name(2, "e", out)),
            frames.concat(),
        ].concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let config = Config { id: "c".into(), session: 5, secret: 7, pid: 6, namespace: 1, max_message: 900, max_pending: 10_000, replaces: false };
        let mut client = Client::new(config);
        client.connected();
        'link: for piece in bytes.chunks(pieces) {
            let Ok(mut frames) = client.frames(Bytes::copy_from_slice(piece)) else { break };
            while let Some(frame) = frames.next() {
                if client.handle_frame(&frame).is_err() {
                    break 'link;
                }
                while client.poll_event().is_some() {}
            }
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            client.transmit(&mut slices);
            let len = client.queued();
            client.written(len);
        }
        client.disconnected();
        prop_assert_eq!(client.pending(), 0);
    }
}
