//! Numbers that the addon and lib/native-abi.js both know: how a call of `dispatch` and of `send` packs several into one.

/// `dispatch(head, correlation, body)`: what `head` packs.
pub mod dispatch {
    /// Kind of a directed event; bits 0 and 1 of `head` are the kind.
    pub const MESSAGE: u32 = 0;
    /// Kind of a broadcast.
    pub const BROADCAST: u32 = 1;
    /// Kind of a reply to a question of this node.
    pub const REPLY: u32 = 2;
    /// Kind of everything else: the bits from `NOTICE_SHIFT` on say what.
    pub const NOTICE: u32 = 3;
    /// Bit 3 of `head` of a notice on: its number.
    pub const NOTICE_SHIFT: u32 = 3;
    /// Two bits: the encoding of the body.
    pub const ENCODING_SHIFT: u32 = 3;
    /// Twelve bits: the slot of the sender's name.
    pub const FROM_SHIFT: u32 = 5;
    /// Twelve bits: the slot of the event's name.
    pub const EVENT_SHIFT: u32 = 17;
    /// The body is the only argument itself, a plain string, instead of the JSON text of all arguments.
    pub const PLAIN_SHIFT: u32 = 29;
}

/// `send(head, target, extra, body)`: what `head` packs above the kind, its lowest byte.
pub mod send {
    /// Two bits: the encoding of the body.
    pub const ENCODING_SHIFT: u32 = 8;
    /// The form of `body`, from here on. None of the below: JSON text.
    pub const FORM_SHIFT: u32 = 12;
    /// `body` is a Buffer.
    pub const FORM_BYTES: u32 = 1;
    /// `body` is a string that is the only argument.
    pub const FORM_STRING: u32 = 2;
    /// Returned for such a string where it needs escapes: it is to be sent as JSON text.
    pub const RETRY: i32 = i32::MIN;
}
