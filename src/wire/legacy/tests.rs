//! The wire as dialogues between a node of the original and the bridge.

use bytes::BytesMut;

use super::*;

const MAX: usize = 1 << 20;

pub(super) fn raw(text: &str) -> RawJson {
    RawJson::parse(text.as_bytes()).unwrap()
}

/// All messages in `bytes`, which must end where a message does.
pub(super) fn said(bytes: impl AsRef<[u8]>) -> Vec<LegacyMessage> {
    let mut input = BytesMut::from(bytes.as_ref());
    let messages = drain(&mut LegacyDecoder::default(), &mut input).unwrap();
    assert!(input.is_empty(), "left over: {input:?}");
    messages
}

pub(super) fn drain(decoder: &mut LegacyDecoder, input: &mut BytesMut) -> Result<Vec<LegacyMessage>> {
    std::iter::from_fn(|| decoder.next(input, MAX).transpose()).collect()
}

fn refused(bytes: impl AsRef<[u8]>) -> &'static str {
    let mut input = BytesMut::from(bytes.as_ref());
    drain(&mut LegacyDecoder::default(), &mut input).expect_err("should be refused").code()
}

/// What the bridge says, as text.
fn told(say: impl FnOnce(&mut LegacyEncoder, &mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    say(&mut LegacyEncoder::default(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_node_introduces_itself_and_leaves() {
    assert_eq!(
        said("{\"id\":\"i1\",\"method\":\"IDENT\",\"data\":[],\"nodeName\":\"ann\"}\0"),
        [LegacyMessage::Ident { id: raw("\"i1\""), node: "ann".into() }]
    );
    assert_eq!(
        told(|bridge, out| bridge.ack(out, &raw("\"i1\""), b"[null]").unwrap()),
        "{\"id\":\"bridge-1\",\"method\":\"ACK\",\"data\":[\"i1\",[null]]}\0"
    );
    assert_eq!(
        told(|bridge, out| bridge.ack_error(out, &raw("\"i1\""), "duplicate-node")),
        "{\"id\":\"bridge-1\",\"method\":\"ACK\",\"data\":[\"i1\",[\"duplicate-node\"]]}\0"
    );
    assert_eq!(said("{\"method\":\"LEAVE\",\"id\":2}\0"), [LegacyMessage::Leave { id: raw("2") }]);
}

#[test]
fn an_event_is_published_and_replied_to() {
    let sent =
        r#"{"id":7,"method":"PUBLISH","data":["bob","greet",[1e400, {"__proto__":1,"b":2,"b":3}]],"nodeName":"eve"}"#;
    let args = r#"[1e400, {"__proto__":1,"b":2,"b":3}]"#;
    assert_eq!(
        said(format!("{sent}\0")),
        [LegacyMessage::Publish { id: raw("7"), to: "bob".into(), event: "greet".into(), args: raw(args) }]
    );
    assert_eq!(
        told(|bridge, out| bridge.publish(out, "ann", 41, "greet", args.as_bytes()).unwrap()),
        format!("{{\"id\":\"bridge-1\",\"method\":\"PUBLISH\",\"data\":[\"ann\",41,\"greet\",{args}]}}\0")
    );
    assert_eq!(
        said("{\"id\":\"x\",\"method\":\"ACK\",\"data\":[\"ann\",41,[null,\"hi\"]]}\0"),
        [LegacyMessage::Ack { to: "ann".into(), id: raw("41"), args: raw("[null,\"hi\"]") }]
    );
}

#[test]
fn the_number_of_a_reply_is_read_back() {
    assert_eq!(raw("41").as_u32(), Some(41));
    assert_eq!(raw("\"41\"").as_u32(), Some(41));
    for other in ["-1", "1e3", "4294967296", "null", "\"\"", "\"", "\"abc\"", "[1]"] {
        assert_eq!(RawJson::parse(other.as_bytes()).ok().and_then(|id| id.as_u32()), None, "{other}");
    }
}

#[test]
fn a_broadcasts_arguments_are_cut_from_the_text_and_spliced_back() {
    for (data, args) in [
        (r#"["tick"]"#, "[]"),
        (r#"[ "tick" ]"#, "[]"),
        (r#"["tick",12345678901234567890123,"a,]"]"#, r#"[12345678901234567890123,"a,]"]"#),
        ("[\"tick\" , [ ] ,\n{\"a\" : -0.0}\t]", "[[ ] ,\n{\"a\" : -0.0}]"),
    ] {
        let message = LegacyMessage::Broadcast { event: "tick".into(), args: raw(args) };
        assert_eq!(said(format!("{{\"method\":\"BROADCAST\",\"data\":{data}}}\0")), std::slice::from_ref(&message));

        let passed_on = told(|bridge, out| bridge.broadcast(out, "tick", args.as_bytes()).unwrap());
        assert_eq!(said(passed_on), [message]);
    }
    assert_eq!(
        told(|bridge, out| bridge.broadcast(out, "tick", b"[1,2]").unwrap()),
        "{\"id\":\"bridge-1\",\"method\":\"BROADCAST\",\"data\":[\"tick\",1,2]}\0"
    );
}

#[test]
fn the_bridges_process_is_called_and_closes_the_bus() {
    assert_eq!(
        said("{\"id\":\"r\",\"method\":\"RPC\",\"data\":[\"time\",[\"utc\"]]}\0"),
        [LegacyMessage::Rpc { id: raw("\"r\""), method: "time".into(), args: raw("[\"utc\"]") }]
    );
    assert_eq!(
        told(|bridge, out| bridge.close(out, b"[\"bye\",1]").unwrap()),
        "{\"id\":\"bridge-1\",\"method\":\"CLOSE\",\"data\":[\"bye\",1]}\0"
    );
}

#[test]
fn ping_needs_no_end() {
    for ping in ["PING", "PING\0", "PING\n", "\r\nPING\r\n", "{\"method\":\"PING\"}\0"] {
        assert_eq!(said(ping), [LegacyMessage::Ping], "{ping:?}");
    }
    assert_eq!(said("PINGPING\n"), [LegacyMessage::Ping, LegacyMessage::Ping]);
    assert_eq!(told(|_, out| LegacyEncoder::pong(out)), "pong\0");
}

#[test]
fn newlines_and_empty_messages_are_ignored() {
    assert_eq!(
        said("\0\n\n\0{\"method\":\"LEAVE\"}\n\0\n{\"method\":\"NEWS\"}\0\nPING\0\n\0"),
        [
            LegacyMessage::Leave { id: raw("null") },
            LegacyMessage::Unknown { method: "NEWS".into() },
            LegacyMessage::Ping
        ]
    );
}

#[test]
fn what_is_left_out_has_a_meaning_where_it_can() {
    for data in [r#"["bob","e"]"#, r#"["bob","e",null]"#, r#"["bob","e",[],"more"]"#] {
        assert_eq!(
            said(format!("{{\"method\":\"PUBLISH\",\"data\":{data}}}\0")),
            [LegacyMessage::Publish { id: raw("null"), to: "bob".into(), event: "e".into(), args: raw("[]") }]
        );
    }
}

#[test]
fn the_last_of_duplicate_fields_counts_however_it_is_spelled() {
    assert_eq!(
        said(r#"{"method":"LEAVE","id":1,"\u0069d":2,"method":"X"}"#.to_owned() + "\0"),
        [LegacyMessage::Unknown { method: "X".into() }]
    );
    assert_eq!(
        said(r#"{"method":"LEAVE","id":1,"\u0069d":2,"\ud800":3}"#.to_owned() + "\0"),
        [LegacyMessage::Leave { id: raw("2") }]
    );
}

#[test]
fn wrong_shapes_are_refused() {
    for object in [
        "{}",
        "{",
        "{}}",
        r#"{"method":7}"#,
        r#"{"method":""}"#,
        r#"{"method":"LEAVE","id":[1]}"#,
        r#"{"method":"LEAVE","id":{}}"#,
        r#"{"method":"IDENT"}"#,
        r#"{"method":"IDENT","nodeName":""}"#,
        r#"{"method":"IDENT","nodeName":"a:b"}"#,
        r#"{"method":"IDENT","nodeName":"\ud800"}"#,
        r#"{"method":"IDENT","nodeName":["a"]}"#,
        r#"{"method":"PUBLISH"}"#,
        r#"{"method":"PUBLISH","data":{"0":"a","1":"b"}}"#,
        r#"{"method":"PUBLISH","data":["bob"]}"#,
        r#"{"method":"PUBLISH","data":["bob",1,[]]}"#,
        r#"{"method":"PUBLISH","data":["bob","e",{}]}"#,
        r#"{"method":"BROADCAST","data":[]}"#,
        r#"{"method":"BROADCAST","data":[["e"]]}"#,
        r#"{"method":"RPC","data":[]}"#,
        r#"{"method":"ACK","data":[null,1,[]]}"#,
        r#"{"method":"ACK","data":["ann",[],[]]}"#,
    ] {
        assert_eq!(refused(format!("{object}\0")), "ERR_PROTOCOL", "{object}");
    }
}

#[test]
fn other_protocols_are_refused_at_their_first_byte() {
    for bytes in ["GET / HTTP/1.1", "[]", "\u{feff}{}", " {}", "POST / HTTP/1.1", "PINS", "\x16\x03\x01"] {
        assert_eq!(refused(bytes), "ERR_PROTOCOL", "{bytes:?}");
    }
    assert_eq!(refused(b"{\"method\":\"\xff\"}\0"), "ERR_PROTOCOL");
}

#[test]
fn names_and_ids_are_bounded() {
    let ident = |len| format!("{{\"method\":\"IDENT\",\"nodeName\":\"{}\"}}\0", "n".repeat(len));
    let event = |len| format!("{{\"method\":\"BROADCAST\",\"data\":[\"{}\"]}}\0", "e".repeat(len));
    let id = |len| format!("{{\"method\":\"LEAVE\",\"id\":{}}}\0", "1".repeat(len));
    for (longest, too_long) in [(ident(255), ident(256)), (event(1024), event(1025)), (id(255), id(256))] {
        assert_eq!(said(longest).len(), 1);
        assert_eq!(refused(too_long), "ERR_PROTOCOL");
    }
}

#[test]
fn a_message_may_have_max_message_bytes_and_no_more() {
    let message = b"{\"method\":\"LEAVE\"}\0";
    let len = message.len() - 1;
    let next = |bytes: &[u8], max| LegacyDecoder::default().next(&mut BytesMut::from(bytes), max);
    assert!(next(message, len).unwrap().is_some());
    assert_eq!(next(&message[..len], len), Ok(None));
    for bytes in [&message[..], &message[..len]] {
        assert_eq!(next(bytes, len - 1).unwrap_err().code(), "ERR_TOO_LARGE");
    }
    assert_eq!(next(message, 0).unwrap_err().code(), "ERR_TOO_LARGE");
    assert!(next(message, usize::MAX).unwrap().is_some());
}

#[test]
fn huge_nesting_is_refused_without_touching_the_stack() {
    for nested in ["[".repeat(MAX / 2), "[".repeat(MAX / 4) + &"]".repeat(MAX / 4), "{\"a\":".repeat(MAX / 8)] {
        assert_eq!(refused(format!("{{\"method\":\"RPC\",\"data\":[\"m\",{nested}]}}\0")), "ERR_PROTOCOL");
    }
}

#[test]
fn nobody_slips_a_second_message_onto_a_link() {
    let smuggled = "[1]]}\0{\"method\":\"CLOSE\",\"data\":[[2]";
    for args in [
        smuggled.as_bytes(),
        b"[\"\0\"]",
        b"[1]\0",
        b"[1],[2]",
        b"[1]}",
        b"[1",
        b"\"\xff\"",
        b"[\"\xc3\"]",
        b"{}",
        b"\"[]\"",
        b"1",
        b"",
    ] {
        let out = told(|bridge, out| {
            let results = [
                bridge.ack(out, &raw("1"), args),
                bridge.publish(out, "ann", 1, "e", args),
                bridge.broadcast(out, "e", args),
                bridge.close(out, args),
            ];
            for result in results {
                assert_eq!(result.unwrap_err().code(), "ERR_PROTOCOL");
            }
        });
        assert_eq!(out, "", "nothing half-written");
    }
    assert!(RawJson::parse(smuggled.as_bytes()).is_err());
}

#[test]
fn names_are_escaped() {
    let nasty = "a\0\"],\\\n\u{2028}é";
    let out = told(|bridge, out| {
        bridge.publish(out, nasty, 1, nasty, b"[]").unwrap();
        bridge.broadcast(out, nasty, b"[]").unwrap();
        bridge.ack_error(out, &raw("1"), nasty);
    });
    let messages = out.split_terminator('\0').collect::<Vec<_>>();
    assert_eq!(messages.len(), 3);
    assert_eq!(
        said(messages[1].to_owned() + "\0"),
        [LegacyMessage::Broadcast { event: nasty.into(), args: raw("[]") }]
    );
    for message in messages {
        assert!(RawJson::parse(message.as_bytes()).is_ok(), "{message}");
    }
}

#[test]
fn every_message_has_an_id_of_its_own() {
    let out = told(|bridge, out| {
        bridge.broadcast(out, "e", b"[]").unwrap();
        bridge.close(out, b"[]").unwrap();
    });
    assert!(out.contains("\"bridge-1\"") && out.contains("\"bridge-2\""));
}
