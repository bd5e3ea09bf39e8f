//! Where a bus is: one type that parses, prints and knows its limits.
//!
//! | written | means |
//! |---|---|
//! | `unix:///run/app.sock` | the Unix socket `/run/app.sock` |
//! | `unix://app.sock` | the Unix socket `app.sock`, relative to the working directory (from JavaScript it comes absolute) |
//! | `unix:/run/app.sock`, `unix:app.sock` | the same two, understood but never printed |
//! | `tcp://127.0.0.1:8221`, `tcp://[::1]:8221`, `tcp://localhost` | TCP; the port may be left out |
//! | `tls://host:8221`, `nats://host:4222` | understood, not supported yet |
//!
//! Whatever follows `unix://` is the path: there is no host in it. Bytes that a URL cannot hold are
//! percent-encoded, so every path survives printing and parsing, even one that is not UTF-8.

use std::ffi::OsString;
use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Code, Error, Result};

/// The TCP port where none is given.
pub const DEFAULT_PORT: u16 = 8221;

/// The port of a NATS server where none is given.
const NATS_PORT: u16 = 4222;

/// The longest Unix socket path in bytes that the system takes: what `sockaddr_un` holds, less the closing NUL.
/// Systems truncate or refuse longer ones in their own ways, so we refuse first. Linux lets us go through a descriptor of
/// the directory, so there only the name is short.
pub const MAX_PATH: usize = if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };

/// The longest name of a socket whose path is longer than [`MAX_PATH`]: what `/proc/self/fd/1234567890/` leaves.
#[cfg(target_os = "linux")]
const MAX_NAME: usize = 82;

/// The longest path that Linux resolves, less the closing NUL and the `.lock` of the file beside it.
#[cfg(target_os = "linux")]
const MAX_DEEP_PATH: usize = 4090;

/// The longest name that DNS allows.
const MAX_HOST: usize = 253;

/// Where a bus is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// Plain TCP.
    Tcp {
        /// A name or an IP address, IPv6 without brackets.
        host: String,
        /// 0 asks for any free port, when binding.
        port: u16,
    },
    /// TCP under TLS.
    Tls {
        /// A name or an IP address, IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A NATS server.
    Nats {
        /// A name or an IP address, IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// A Unix socket path, checked: see [`check_path`].
    pub fn unix(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        check_path(&path)?;
        Ok(Self::Unix(path))
    }

    #[cfg(test)]
    /// A host, checked, and a port. IPv6 addresses may come with or without brackets.
    pub fn tcp(host: &str, port: u16) -> Result<Self> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = checked_host(bare.unwrap_or(host))?;
        Ok(Self::Tcp { host, port })
    }

    /// This user's own bus: `<runtime_dir>/busybody/default.sock`, else `/tmp/busybody-<uid>/default.sock`.
    ///
    /// As its specification demands, a `runtime_dir` (`$XDG_RUNTIME_DIR`) that is not absolute is
    /// ignored; so is one too long for a socket path, for nobody chose that path on purpose.
    pub fn default_for(runtime_dir: Option<&str>, uid: u32) -> Self {
        runtime_dir
            .filter(|dir| dir.starts_with('/'))
            .map(|dir| Path::new(dir).join("busybody/default.sock"))
            .filter(|path| path.as_os_str().len() <= MAX_PATH)
            .and_then(|path| Self::unix(path).ok())
            .unwrap_or_else(|| Self::Unix(format!("/tmp/busybody-{uid}/default.sock").into()))
    }

    /// The error of whoever is asked to listen on or connect to an address of a later version.
    pub fn unsupported(&self) -> Error {
        invalid(format!("'{self}' is not supported yet: use a unix:// or tcp:// address"))
    }
}

/// Refuses what cannot be a Unix socket's path: empty, with a NUL, longer than [`MAX_PATH`]
/// (`ENAMETOOLONG`), or naming no file.
pub fn check_path(path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(invalid("the Unix socket path is empty"));
    }
    if bytes.contains(&0) {
        return Err(invalid(format!("the Unix socket path {path:?} contains a NUL byte")));
    }
    if bytes.len() > MAX_PATH && !is_usable_deep(path) {
        return Err(too_long(path));
    }
    match bytes.rsplit(|byte| *byte == b'/').next() {
        Some(b"" | b"." | b"..") => {
            Err(invalid(format!("the Unix socket path '{}' names a directory, not a file", path.display())))
        }
        _ => Ok(()),
    }
}

/// Whether a path longer than [`MAX_PATH`] can be used through its directory.
#[cfg(target_os = "linux")]
fn is_usable_deep(path: &Path) -> bool {
    let fits = path.file_name().is_some_and(|name| name.len() <= MAX_NAME);
    fits && path.as_os_str().len() <= MAX_DEEP_PATH
}

#[cfg(not(target_os = "linux"))]
fn is_usable_deep(_path: &Path) -> bool {
    false
}

fn too_long(path: &Path) -> Error {
    let length = path.as_os_str().len();
    #[cfg(target_os = "linux")]
    let unless = format!(" (or a name of at most {MAX_NAME} in a deeper directory)");
    #[cfg(not(target_os = "linux"))]
    let unless = "";
    let path = path.display();
    let message = format!(
        "ENAMETOOLONG: a Unix socket path has at most {MAX_PATH} bytes{unless}, this one has {length}: '{path}'"
    );
    Error::os("ENAMETOOLONG", message)
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once(':').ok_or_else(|| not_an_address(text))?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "unix" {
            return Self::unix(parse_path(rest.strip_prefix("//").unwrap_or(rest))?);
        }
        let authority = rest.strip_prefix("//").ok_or_else(|| not_an_address(text))?;
        let default_port = if scheme == "nats" { NATS_PORT } else { DEFAULT_PORT };
        let host_and_port = || parse_authority(authority, default_port);
        match scheme.as_str() {
            "tcp" => host_and_port().map(|(host, port)| Self::Tcp { host, port }),
            "tls" => host_and_port().map(|(host, port)| Self::Tls { host, port }),
            "nats" => host_and_port().map(|(host, port)| Self::Nats { host, port }),
            _ => Err(not_an_address(text)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Unix(path) => return write_path(path, f),
            Self::Tcp { host, port } => ("tcp", host, port),
            Self::Tls { host, port } => ("tls", host, port),
            Self::Nats { host, port } => ("nats", host, port),
        };
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}") } else { write!(f, "{scheme}://{host}:{port}") }
    }
}

fn parse_path(text: &str) -> Result<PathBuf> {
    if text.contains(['?', '#']) {
        return Err(invalid(format!("a '?' or '#' in a Unix socket path is written %3F or %23: '{text}'")));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    decoded.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let (byte, rest) = percent_byte(piece.as_bytes()).ok_or_else(|| {
            invalid(format!(
                "a '%' in a Unix socket path is followed by two hexadecimal digits (%25 is '%' itself): '{text}'"
            ))
        })?;
        decoded.push(byte);
        decoded.extend_from_slice(rest);
    }
    Ok(OsString::from_vec(decoded).into())
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn percent_byte(digits: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = digits else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    Some((byte, rest))
}

fn write_path(path: &Path, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("unix://")?;
    for &byte in path.as_os_str().as_bytes() {
        // What RFC 3986 lets stand in a path as itself.
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

/// `host`, `host:port`, `[ipv6]` or `[ipv6]:port`; a lone `/` behind it is what URL printers like to add.
fn parse_authority(text: &str, default_port: u16) -> Result<(String, u16)> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) =
                rest.split_once(']').ok_or_else(|| invalid(format!("']' is missing in the address '{text}'")))?;
            if !host.contains(':') {
                return Err(invalid(format!("'[{host}]' is not an IPv6 address")));
            }
            (host, rest)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => parse_port(digits)?,
        None if port.is_empty() => default_port,
        None => {
            return Err(invalid(format!("'{port}' follows the host in the address '{text}'")));
        }
    };
    Ok((checked_host(host)?, port))
}

fn parse_port(digits: &str) -> Result<u16> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(port) if all_digits => Ok(port),
        _ => Err(invalid(format!(
            "'{digits}' is not a port from 0 to 65535 (an IPv6 address stands in brackets: tcp://[::1]:{DEFAULT_PORT})"
        ))),
    }
}

fn checked_host(host: &str) -> Result<String> {
    let named = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        !part.is_empty() && part.len() <= MAX_HOST && part.bytes().all(allowed)
    };
    let valid = if host.contains(':') {
        // A link-local address carries its interface: fe80::1%eth0.
        let (ip, zone) = host.split_once('%').unwrap_or((host, "0"));
        ip.parse::<Ipv6Addr>().is_ok() && named(zone)
    } else {
        named(host)
    };
    if valid {
        Ok(host.to_owned())
    } else if host.is_empty() {
        Err(invalid("the address has no host"))
    } else {
        Err(invalid(format!("'{host}' is not a host name or IP address")))
    }
}

fn not_an_address(text: &str) -> Error {
    invalid(format!("'{text}' is not an address: write unix:///path/to.sock or tcp://host:port"))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidArg, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), port }
    }

    #[test]
    fn an_address_prints_as_it_is_written() {
        let table = [
            ("unix:///run/app.sock", Address::Unix("/run/app.sock".into())),
            ("unix://app.sock", Address::Unix("app.sock".into())),
            ("unix://../run/app.sock", Address::Unix("../run/app.sock".into())),
            ("unix:////double/slash", Address::Unix("//double/slash".into())),
            ("unix:///a%20b/100%25%3F%23.sock", Address::Unix("/a b/100%?#.sock".into())),
            ("unix:///caf%C3%A9", Address::Unix("/café".into())),
            ("unix:///%FF", Address::Unix(OsString::from_vec(b"/\xFF".to_vec()).into())),
            ("tcp://127.0.0.1:8221", tcp("127.0.0.1", 8221)),
            ("tcp://localhost:0", tcp("localhost", 0)),
            ("tcp://[::1]:9000", tcp("::1", 9000)),
            ("tcp://[fe80::1%eth0]:9000", tcp("fe80::1%eth0", 9000)),
            ("tls://bus.example:8221", Address::Tls { host: "bus.example".into(), port: 8221 }),
            ("nats://host:4222", Address::Nats { host: "host".into(), port: 4222 }),
        ];
        for (text, address) in table {
            assert_eq!(text.parse::<Address>().as_ref(), Ok(&address), "{text}");
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn other_spellings_are_understood() {
        let table = [
            ("unix:/run/app.sock", "unix:///run/app.sock"),
            ("unix:app.sock", "unix://app.sock"),
            ("UNIX:///Run", "unix:///Run"),
            ("unix:///caf\u{e9}", "unix:///caf%C3%A9"),
            ("tcp://localhost", "tcp://localhost:8221"),
            ("tcp://localhost/", "tcp://localhost:8221"),
            ("tcp://[::1]", "tcp://[::1]:8221"),
            ("TLS://host", "tls://host:8221"),
            ("nats://host", "nats://host:4222"),
        ];
        for (text, printed) in table {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        let table = [
            ("", "not an address"),
            ("8221", "not an address"),
            ("/run/app.sock", "not an address"),
            ("http://localhost", "not an address"),
            ("tcp:localhost", "not an address"),
            ("unix:", "empty"),
            ("unix://", "empty"),
            ("unix:///", "names a directory"),
            ("unix:///run/", "names a directory"),
            ("unix:///run/..", "names a directory"),
            ("unix:///a%00b", "NUL"),
            ("unix:///a%0", "hexadecimal"),
            ("unix:///a%+1", "hexadecimal"),
            ("unix:///a%é", "hexadecimal"),
            ("unix:///a.sock?mode=600", "%3F"),
            ("tcp://", "no host"),
            ("tcp://:80", "no host"),
            ("tcp://host:", "not a port"),
            ("tcp://host:+80", "not a port"),
            ("tcp://host:65536", "not a port"),
            ("tcp://host:80/path", "not a port"),
            ("tcp://::1:80", "brackets"),
            ("tcp://[::1", "']' is missing"),
            ("tcp://[::1]80", "follows the host"),
            ("tcp://[localhost]:80", "not an IPv6 address"),
            ("tcp://[::g]:80", "not a host name"),
            ("tcp://[fe80::1%]:80", "not a host name"),
            ("tcp://user@host:80", "not a host name"),
            ("tcp://a b", "not a host name"),
        ];
        for (text, reason) in table {
            let error = text.parse::<Address>().expect_err(text);
            assert_eq!(error.code(), "ERR_INVALID_ARG", "{text}");
            assert!(error.message().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_path_is_refused_one_byte_beyond_the_limit() {
        let longest = format!("/{}", "x".repeat(MAX_PATH - 1));
        assert!(Address::unix(&longest).is_ok());
        let error = Address::unix(format!("{longest}x")).expect_err("one too long");
        assert_eq!(error.code(), "ENAMETOOLONG");
        assert!(error.message().contains(&(MAX_PATH + 1).to_string()), "{error}");
        assert_eq!(format!("unix://{longest}x").parse::<Address>(), Err(error));
    }

    #[test]
    fn a_host_is_checked_whether_or_not_it_has_brackets() {
        assert_eq!(Address::tcp("::1", 1), Ok(tcp("::1", 1)));
        assert_eq!(Address::tcp("[::1]", 1), Ok(tcp("::1", 1)));
        assert_eq!(Address::tcp("localhost", 0), Ok(tcp("localhost", 0)));
        assert_eq!(Address::tcp("", 1).expect_err("no host").code(), "ERR_INVALID_ARG");
        assert!(Address::tcp("127.0.0.1:80", 1).is_err());
    }

    #[test]
    fn the_default_is_in_the_runtime_directory_else_in_tmp() {
        let default = |dir| Address::default_for(dir, 1000).to_string();
        assert_eq!(default(Some("/run/user/1000")), "unix:///run/user/1000/busybody/default.sock");
        let fallback = "unix:///tmp/busybody-1000/default.sock";
        assert_eq!(default(None), fallback);
        assert_eq!(default(Some("")), fallback);
        assert_eq!(default(Some("relative")), fallback);
        assert_eq!(default(Some(&format!("/{}", "x".repeat(MAX_PATH)))), fallback);
    }

    fn any_path() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(1..=255u8, 1..=MAX_PATH).prop_filter("names a file", |bytes| {
            !matches!(bytes.rsplit(|b| *b == b'/').next(), Some(b"" | b"." | b".."))
        })
    }

    fn any_host() -> impl Strategy<Value = String> {
        prop_oneof![
            "[A-Za-z0-9._-]{1,40}",
            any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            any::<[u8; 16]>().prop_map(|ip| Ipv6Addr::from(ip).to_string()),
            any::<[u8; 16]>().prop_map(|ip| format!("{}%eth0", Ipv6Addr::from(ip))),
        ]
    }

    proptest! {
        #[test]
        fn every_path_survives_printing_and_parsing(bytes in any_path()) {
            let address = Address::unix(OsString::from_vec(bytes.clone())).expect("a valid path");
            let Address::Unix(path) = address.to_string().parse().expect("what was printed") else {
                panic!("another kind");
            };
            // By bytes: paths compare by components, and would hide a lost slash.
            prop_assert_eq!(path.as_os_str().as_bytes(), &bytes[..]);
        }

        #[test]
        fn every_host_and_port_survives_printing_and_parsing(host in any_host(), port: u16) {
            for address in [
                Address::tcp(&host, port).expect("a valid host"),
                Address::Tls { host: host.clone(), port },
                Address::Nats { host: host.clone(), port },
            ] {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }

        #[test]
        fn nothing_that_parses_changes_when_printed(
            text in "(unix|tcp|tls|nats|x)?:?(//)?[\\[\\]%:/.a0F?@é\0 -]{0,12}",
        ) {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
