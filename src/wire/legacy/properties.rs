//! What holds for any message: however it is split, damaged or made up.

use bytes::BytesMut;
use proptest::prelude::*;

use super::tests::{drain, raw, said};
use super::*;

/// JSON text with whitespace, awkward numbers, duplicate keys and strings full of punctuation.
fn json_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("-1e400".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        r#"[\[\]{}",:\\ a😀\n\x00]{0,8}"#.prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    let space = || "[ \n\r\t]{0,2}";
    scalar.prop_recursive(4, 24, 4, move |inner| {
        let item = (space(), inner, space()).prop_map(|(before, value, after)| before + &value + &after);
        let member = (prop_oneof!["\"[ab]\"", Just("\"__proto__\"".into())], item.clone());
        prop_oneof![
            proptest::collection::vec(item, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(member.prop_map(|(key, value)| format!("{key} :{value}")), 0..4)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

fn args_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(json_text(), 0..4).prop_map(|args| format!("[{}]", args.join(",")))
}

/// A message as sent, and as it should be understood.
fn message() -> impl Strategy<Value = (String, LegacyMessage)> {
    let fields = (0..7u8, "[a-z]{1,5}", "[a-z😀 ]{1,5}", args_text(), "(\n|\0){0,2}");
    fields.prop_map(|(kind, node, name, args, before)| {
        let (id, rest) = (raw("\"4-2\""), args[1..args.len() - 1].to_owned());
        let (method, data, message) = match kind {
            0 => return (before + "PING", LegacyMessage::Ping),
            1 => ("IDENT", "[]".to_owned(), LegacyMessage::Ident { id, node: node.clone() }),
            2 => ("LEAVE", "null".to_owned(), LegacyMessage::Leave { id }),
            3 => {
                let data = format!(r#"["{name}"{}{rest}]"#, if rest.is_empty() { "" } else { ", " });
                ("BROADCAST", data, LegacyMessage::Broadcast { event: name, args: raw(&args) })
            }
            4 => {
                let data = format!(r#"["{name}",{args}]"#);
                ("RPC", data, LegacyMessage::Rpc { id, method: name, args: raw(&args) })
            }
            5 => {
                let data = format!(r#"["{node}",7 , {args} ]"#);
                ("ACK", data, LegacyMessage::Ack { to: node.clone(), id: raw("7"), args: raw(&args) })
            }
            _ => {
                let data = format!(r#"[ "{node}" ,"{name}",{args}]"#);
                ("PUBLISH", data, LegacyMessage::Publish { id, to: node.clone(), event: name, args: raw(&args) })
            }
        };
        let object = format!(r#"{{ "id":"4-2","method":"{method}" ,"data": {data} ,"nodeName":"{node}"}}"#);
        (format!("{before}{object}\0"), message)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn messages_survive_every_split(talk in proptest::collection::vec(message(), 1..4)) {
        let bytes = talk.iter().map(|(text, _)| text.as_str()).collect::<String>().into_bytes();
        let expected = talk.into_iter().map(|(_, message)| message).collect::<Vec<_>>();
        for split in 0..=bytes.len() {
            let (mut decoder, mut input) = (LegacyDecoder::default(), BytesMut::from(&bytes[..split]));
            let mut messages = drain(&mut decoder, &mut input).unwrap();
            input.extend_from_slice(&bytes[split..]);
            messages.extend(drain(&mut decoder, &mut input).unwrap());
            prop_assert_eq!(&messages, &expected);
            prop_assert!(input.is_empty());
        }
    }

    #[test]
    fn messages_survive_arriving_byte_by_byte(talk in proptest::collection::vec(message(), 1..4)) {
        let (mut decoder, mut input) = (LegacyDecoder::default(), BytesMut::new());
        let mut messages = Vec::new();
        for byte in talk.iter().flat_map(|(text, _)| text.bytes()) {
            input.extend_from_slice(&[byte]);
            messages.extend(drain(&mut decoder, &mut input).unwrap());
        }
        prop_assert_eq!(messages, talk.into_iter().map(|(_, message)| message).collect::<Vec<_>>());
    }

    #[test]
    fn damaged_messages_never_panic(
        (text, _) in message(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = text.into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        bytes.push(0);
        let _ = drain(&mut LegacyDecoder::default(), &mut BytesMut::from(&bytes[..]));
    }

    #[test]
    fn whatever_the_bridge_says_is_one_message(
        name in ".{1,20}",
        args in prop_oneof![args_text().prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..20)],
    ) {
        let mut out = Vec::new();
        let accepted = LegacyEncoder::default().broadcast(&mut out, &name, &args).is_ok();
        prop_assert_eq!(out.iter().filter(|byte| **byte == 0).count(), usize::from(accepted));
        if accepted {
            let args = RawJson::parse(&args).unwrap();
            prop_assert_eq!(said(out), [LegacyMessage::Broadcast { event: name, args }]);
        }
    }
}
