use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::private_dir::own_uid;
use super::super::scratch::Scratch;
use super::*;

fn entry(id: &str, number: u64) -> Entry {
    let process = Process::running(std::process::id());
    let (pid, uid) = (Some(std::process::id()), Some(1000));
    Entry { id: id.to_owned(), identity: number, session: number, pid, process, uid, since: 1_700_000_000_000 }
}

struct Place {
    dir: Scratch,
    socket: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = Scratch::new();
        let socket = dir.join("bus.sock");
        Self { dir, socket }
    }

    fn open(&self) -> (Option<RosterFile>, Option<Vec<Entry>>) {
        RosterFile::open(&self.socket, own_uid().expect("a uid"))
    }

    fn file(&self) -> PathBuf {
        self.dir.join("bus.sock.roster")
    }

    /// As the next bridge reads it, whatever became of this one.
    fn named(&self) -> Option<Vec<String>> {
        let mut ids: Vec<String> = self.open().1?.into_iter().map(|entry| entry.id).collect();
        ids.sort();
        Some(ids)
    }
}

fn opened(place: &Place) -> RosterFile {
    let mut roster = place.open().0.expect("a roster");
    roster.complete();
    roster
}

#[test]
fn the_next_bridge_reads_who_was_there_with_all_facts() {
    let place = Place::new();
    let mut roster = opened(&place);
    let facts = [entry("a", 1), Entry { pid: None, process: None, uid: None, ..entry(&"ä".repeat(127), 2) }];
    facts.iter().for_each(|entry| roster.joined(entry.clone()));
    roster.joined(entry("gone", 3));
    roster.gone("gone", 3);
    // Not dropped in order: as after a kill.
    std::mem::forget(roster);
    assert_eq!(place.open().1, Some(facts.to_vec()));
    let (again, _) = place.open();
    let mut again = again.expect("a roster");
    again.clear();
    assert_eq!(place.open().1, Some(Vec::new()), "the bus was ended");
    assert!(again.end());
    assert!(!place.file().exists(), "there is nobody to tell of");
}

#[test]
fn slots_are_used_again() {
    let place = Place::new();
    let mut roster = opened(&place);
    for number in 0..1000 {
        roster.joined(entry(&format!("n{number}"), number));
        roster.joined(entry(&format!("n{number}"), number));
        if number >= 3 {
            roster.gone(&format!("n{}", number - 3), number - 3);
        }
    }
    assert_eq!(fs::metadata(place.file()).expect("a file").len(), offset(4));
    assert_eq!(place.named().expect("a list").len(), 3);
}

#[test]
fn the_end_of_one_process_does_not_wipe_another_with_its_id() {
    let place = Place::new();
    let mut roster = opened(&place);
    roster.joined(entry("a", 1));
    roster.joined(entry("a", 2));
    roster.gone("a", 1);
    assert_eq!(place.open().1, Some(vec![entry("a", 2)]));
}

#[test]
fn where_a_slot_is_torn_nobody_knows_who_was_there() {
    let place = Place::new();
    let mut roster = opened(&place);
    roster.joined(entry("stays", 1));
    roster.joined(entry("torn", 2));
    let whole = fs::read(place.file()).expect("read");
    let [wiped, other] = [vec![0; SLOT], slots::encode(&entry("other", 9)).to_vec()];
    let written = whole[whole.len() - SLOT..].to_vec();
    for before in [&wiped, &other] {
        for torn in 0..=SLOT {
            let slot = [&written[..torn], &before[torn..]].concat();
            fs::write(place.file(), [&whole[..whole.len() - SLOT], &slot].concat()).expect("written");
            let expected: Option<&[&str]> = match &slot {
                slot if *slot == written => Some(&["stays", "torn"]),
                slot if *slot == wiped => Some(&["stays"]),
                slot if *slot == other => Some(&["other", "stays"]),
                _ => None,
            };
            assert_eq!(place.named(), expected.map(|ids| ids.iter().map(|&id| id.to_owned()).collect()), "{torn}");
        }
    }
}

#[test]
fn a_file_cut_within_a_slot_does_not_say_who_was_there() {
    let place = Place::new();
    let mut roster = opened(&place);
    roster.joined(entry("a", 1));
    roster.joined(entry("b", 2));
    let whole = fs::read(place.file()).expect("read");
    for length in 0..=whole.len() {
        fs::write(place.file(), &whole[..length]).expect("written");
        let named = place.named();
        let is_whole = length >= HEADER && (length - HEADER).is_multiple_of(SLOT);
        let expected = is_whole.then(|| ["a", "b"][..(length - HEADER) / SLOT].to_vec());
        assert_eq!(named, expected.map(|ids| ids.into_iter().map(str::to_owned).collect()), "{length}");
    }
}

#[test]
fn a_file_that_is_truncated_while_it_is_in_use_harms_nobody() {
    let place = Place::new();
    let mut roster = opened(&place);
    (0..100).for_each(|number| roster.joined(entry(&format!("n{number}"), number)));
    fs::write(place.file(), b"").expect("truncated");
    roster.gone("n5", 5);
    roster.joined(entry("late", 7));
    assert_eq!(place.named(), None, "nobody knows who was there");
}

#[test]
fn garbage_is_not_believed_and_notes_of_others_stay() {
    let place = Place::new();
    for garbage in [&b""[..], b"busy", &[0; 10_000]] {
        fs::write(place.file(), garbage).expect("written");
        fs::set_permissions(place.file(), fs::Permissions::from_mode(0o600)).expect("set");
        assert_eq!(place.named(), None);
        let mut roster = place.open().0.expect("a roster");
        roster.joined(entry("a", 1));
        assert_eq!(place.named(), None, "others may have been there");
        roster.complete();
        assert_eq!(place.named(), Some(vec!["a".to_owned()]), "it is used all the same");
    }
    fs::write(place.file(), "somebody's notes, of which we know nothing").expect("written");
    assert!(place.open().0.is_none());
    assert!(fs::read_to_string(place.file()).expect("read").starts_with("somebody's"));
}

#[test]
fn only_a_file_of_this_user_alone_is_read_or_written() {
    let place = Place::new();
    opened(&place).joined(entry("a", 1));
    assert_eq!(fs::metadata(place.file()).expect("a file").mode() & 0o777, 0o600);
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o660)).expect("set");
    assert!(place.open().0.is_none(), "others may have written to it");
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o600)).expect("set");
    let precious = place.dir.join("precious");
    fs::rename(place.file(), &precious).expect("moved");
    symlink(&precious, place.file()).expect("symlink");
    let (roster, named) = place.open();
    assert!(roster.is_none() && named.is_none(), "a symbolic link");
    fs::remove_file(place.file()).expect("removed");
    fs::hard_link(&precious, place.file()).expect("link");
    assert!(place.open().0.is_none(), "a file with another name");
    assert!(RosterFile::open(&place.socket, u32::MAX - 1).0.is_none(), "a file of another user");
}

#[test]
fn a_file_that_was_removed_is_put_back() {
    let place = Place::new();
    let mut roster = opened(&place);
    roster.joined(entry("a", 1));
    fs::remove_file(place.file()).expect("removed");
    roster.joined(entry("b", 2));
    roster.refresh();
    assert_eq!(place.named(), Some(vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn after_a_restart_of_the_machine_nobody_lives_and_elsewhere_pids_mean_others() {
    let here = Header::of_this_system();
    let bytes = [here.encode().to_vec(), slots::encode(&entry("a", 1)).to_vec()].concat();
    let [later, elsewhere] = [here.with(1, 0), here.with(0, 1)];
    assert_eq!(later.read(&bytes), Some(Vec::new()));
    let known = elsewhere.read(&bytes).expect("a list");
    assert_eq!((known[0].id.as_str(), known[0].pid, known[0].process), ("a", None, None));
}

#[test]
fn more_nodes_than_there_is_room_for_are_not_passed_off_as_all() {
    let place = Place::new();
    let mut roster = opened(&place);
    roster.end = MAX_NODES;
    roster.joined(entry("one too many", 1));
    assert!(!roster.end());
    assert_eq!(place.named(), None);
}
