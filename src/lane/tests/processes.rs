//! Two real processes: this test binary runs itself again.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write, stdin};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

/// What the other process is to do; its second word is hex.
const TASK: &str = "BUSYBODY_LANE_TASK";

/// Tells what it prints from what the test harness prints.
const MARK: &str = "lane: ";

const LEN: usize = 700_000;

/// Not a test by itself: the other process of those below.
#[test]
#[ignore = "runs inside the tests beside it"]
fn other_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    match task.split_once(' ') {
        Some(("read", hex)) => say(if read(&unhex(hex)) { "same" } else { "different" }),
        _ => serve(),
    }
}

fn say(line: &str) {
    println!("\n{MARK}{line}");
}

/// Copies an extent of an offer, and compares.
fn read(message: &[u8]) -> bool {
    let (offer, extent) = message.split_at(Offer::LEN);
    let mut view = View::open(&Offer::decode(offer).unwrap()).unwrap();
    get(&mut view, Extent::decode(extent).unwrap()) == pattern(3, LEN)
}

/// Offers an arena, and with each line a new one instead, until it is killed.
fn serve() {
    loop {
        let mut arena = Arena::create().unwrap();
        let extent = put(&mut arena, &pattern(3, LEN));
        say(&message(&arena.offer(), extent));
        wait_for_line();
        drop(arena);
        say("dropped");
        wait_for_line();
    }
}

fn wait_for_line() {
    if stdin().read_line(&mut String::new()).unwrap() == 0 {
        std::process::exit(0);
    }
}

fn message(offer: &Offer, extent: Extent) -> String {
    let mut bytes = Vec::new();
    offer.encode(&mut bytes);
    extent.encode(&mut bytes);
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The other process, killed at the latest when this goes.
struct Other {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(task: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "lane::tests::processes::other_process"])
            .env(TASK, task)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = line.strip_prefix(MARK) {
                return said.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("the other process ended");
    }

    fn hear_offer(&mut self) -> (Offer, Extent) {
        let bytes = unhex(&self.hear());
        let (offer, extent) = bytes.split_at(Offer::LEN);
        (Offer::decode(offer).unwrap(), Extent::decode(extent).unwrap())
    }

    fn go_on(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

#[test]
fn another_process_reads_what_this_one_wrote() {
    let mut arena = Arena::create().unwrap();
    let extent = put(&mut arena, &pattern(3, LEN));
    let mut other = Other::start(&format!("read {}", message(&arena.offer(), extent)));
    assert_eq!(other.hear(), "same");
}

#[test]
fn an_arena_survives_its_process_for_those_who_have_it_and_for_nobody_else() {
    let mut other = Other::start("serve");
    let (offer, extent) = other.hear_offer();
    assert_eq!(offer.pid, other.process.id());
    let mut view = View::open(&offer).unwrap();
    other.kill();
    assert_eq!(get(&mut view, extent), pattern(3, LEN));
    assert!(View::open(&offer).is_err());
}

#[test]
fn a_descriptor_that_was_closed_or_used_again_is_not_the_arena() {
    let mut other = Other::start("serve");
    let (old, extent) = other.hear_offer();
    let mut view = View::open(&old).unwrap();
    other.go_on();
    assert_eq!(other.hear(), "dropped");
    assert!(View::open(&old).is_err(), "closed");
    other.go_on();
    let (new, _) = other.hear_offer();
    assert_eq!((new.pid, new.fd), (old.pid, old.fd), "the number is used again");
    assert!(View::open(&old).is_err(), "another arena");
    View::open(&new).unwrap();
    assert_eq!(get(&mut view, extent), pattern(3, LEN), "what was opened is still the old one");
}
