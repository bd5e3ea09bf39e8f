use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener as Plain, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Barrier, Mutex};
use std::thread;

use socket2::{Domain, SockAddr, Socket, Type};

use super::super::scratch::Scratch;
use super::*;
use crate::address::MAX_PATH;

fn bind(path: &Path) -> Result<Listener> {
    Listener::bind(path, 0o600)
}

fn refused(path: &Path) -> Error {
    bind(path).expect_err("refused")
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).expect("it exists").ino()
}

/// A socket file that nobody serves, as `kill -9` leaves it. It never listened: a child that another test has
/// forked but that has not called exec yet would go on listening.
fn leave_stale(path: &Path) {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("socket");
    socket.bind(&SockAddr::unix(path).expect("address")).expect("bind");
}

#[test]
fn the_first_owner_listens_and_leaves_only_its_lock_file() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let mut listener = bind(&path).expect("free");
    UnixStream::connect(&path).expect("it listens");
    assert!(listener.file().is_ours());
    assert_eq!(listener.address(), &Address::Unix(path.clone()));
    assert_eq!(dir.names(), ["bus.sock", "bus.sock.lock", "bus.sock.roster"]);
    listener.release();
    assert!(!listener.file().is_ours());
    assert_eq!(dir.names(), ["bus.sock.lock"]);
    bind(&path).expect("free again");
}

#[test]
fn dropping_releases_too() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    drop(bind(&path).expect("free"));
    assert_eq!(dir.names(), ["bus.sock.lock"]);
    bind(&path).expect("free again");
}

#[test]
fn a_second_bridge_learns_of_the_first_and_leaves_it_alone() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let first = bind(&path).expect("free");
    let error = refused(&path);
    assert_eq!(error.code(), "EADDRINUSE");
    let pid = std::process::id();
    let message = format!("EADDRINUSE: a bridge already listens at '{}' (pid {pid})", path.display());
    assert_eq!(error.message(), message);
    assert!(first.file().is_ours());
    UnixStream::connect(&path).expect("the first still listens");
}

#[test]
fn a_stale_socket_is_replaced() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    leave_stale(&path);
    let _listener = bind(&path).expect("nobody is alive there");
    UnixStream::connect(&path).expect("it listens");
}

#[test]
fn a_live_program_that_takes_no_lock_is_not_robbed() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let _program = Plain::bind(&path).expect("bind");
    let before = inode(&path);
    assert_eq!(refused(&path).code(), "EADDRINUSE");
    assert_eq!(inode(&path), before);
    assert_eq!(dir.names(), ["bus.sock", "bus.sock.lock"]);
}

#[test]
fn nor_is_one_with_a_full_backlog() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let program = Socket::new(Domain::UNIX, Type::STREAM, None).expect("socket");
    program.bind(&SockAddr::unix(&path).expect("address")).expect("bind");
    program.listen(0).expect("listen");
    let _waiting = UnixStream::connect(&path).expect("the one that waits");
    if cfg!(target_os = "linux") {
        assert_eq!(refused(&path).code(), "EADDRINUSE");
    }
}

#[test]
fn nor_is_one_that_uses_datagrams() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let _program = UnixDatagram::bind(&path).expect("bind");
    assert_eq!(refused(&path).code(), "EADDRINUSE");
}

#[test]
fn what_is_not_a_socket_is_never_removed() {
    let dir = Scratch::new();
    let file = dir.join("file");
    fs::write(&file, "precious").expect("written");
    let directory = dir.join("directory");
    fs::create_dir(&directory).expect("made");
    let stale = dir.join("stale");
    leave_stale(&stale);
    let link = dir.join("link");
    symlink(&stale, &link).expect("linked");
    let dangling = dir.join("dangling");
    symlink(dir.join("nowhere"), &dangling).expect("linked");
    let names = dir.names();
    for path in [&file, &directory, &link, &dangling] {
        let error = refused(path);
        assert_eq!(error.code(), "ENOTSOCK", "{error}");
        assert!(error.message().contains("not removed"), "{error}");
    }
    assert_eq!(dir.names(), names, "and no lock file is left beside it");
    assert_eq!(fs::read_to_string(&file).expect("read"), "precious");
}

#[test]
fn another_users_dead_socket_is_not_removed() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    leave_stale(&path);
    // Only root can give a file away; anybody else has nothing to test here.
    if chown(&path, Some(12_345), None).is_err() {
        return;
    }
    let error = refused(&path);
    assert_eq!(error.code(), "EACCES");
    assert!(error.message().contains("user 12345"), "{error}");
    assert!(path.exists());
}

#[test]
fn bad_paths_have_their_own_codes() {
    let dir = Scratch::new();
    fs::write(dir.join("file"), "").expect("written");
    let long = dir.join(&"x".repeat(MAX_PATH));
    let table = [
        (dir.join("missing/bus.sock"), "ENOENT", "does not exist"),
        (dir.join("file/bus.sock"), "ENOTDIR", "is not a directory"),
        (dir.join("file/deeper/bus.sock"), "ENOTDIR", "Not a directory"),
        (long, "ENAMETOOLONG", "at most"),
        ("/tmp/a\0b".into(), "ERR_INVALID_ARG", "NUL"),
        ("".into(), "ERR_INVALID_ARG", "empty"),
    ];
    for (path, code, reason) in table {
        let error = refused(&path);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(reason), "{error}");
    }
}

#[test]
fn a_directory_without_permission_is_eacces() {
    let dir = Scratch::new();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).expect("chmod");
    let outcome = bind(&dir.join("bus.sock"));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("chmod");
    // Root may write everywhere.
    if own_uid().expect("a uid") != 0 {
        assert_eq!(outcome.expect_err("refused").code(), "EACCES");
    }
}

#[test]
fn the_mode_is_what_was_asked_for_whatever_the_umask() {
    let dir = Scratch::new();
    for mode in [0o600, 0o660, 0o666, 0o700] {
        let path = dir.join("bus.sock");
        let _listener = Listener::bind(&path, mode).expect("free");
        let found = fs::symlink_metadata(&path).expect("it exists").mode();
        assert_eq!(found & 0o777, mode, "{mode:o}");
    }
}

#[test]
fn the_longest_path_works_and_a_longer_one_does_not() {
    let dir = Scratch::new();
    let room = MAX_PATH - dir.path().as_os_str().len() - 1;
    for length in [room - 1, room] {
        let path = dir.join(&"s".repeat(length));
        leave_stale(&path);
        let listener = bind(&path).expect("a stale socket only");
        UnixStream::connect(&path).expect("it listens");
        let found = fs::symlink_metadata(&path).expect("it exists").mode();
        assert_eq!(found & 0o777, 0o600);
        assert_eq!(refused(&path).code(), "EADDRINUSE");
        drop(listener);
        assert!(!path.exists());
    }
    assert_eq!(refused(&dir.join(&"s".repeat(room + 1))).code(), "ENAMETOOLONG");
}

/// A directory so deep that no socket's path in it fits into a system call.
#[cfg(target_os = "linux")]
fn deep(dir: &Scratch) -> std::path::PathBuf {
    let deep = dir.join(&"deep".repeat(30)).join("deeper".repeat(20));
    fs::create_dir_all(&deep).expect("made");
    deep
}

#[cfg(target_os = "linux")]
#[test]
fn in_a_deep_directory_only_the_name_must_be_short() {
    let dir = Scratch::new();
    let deep = deep(&dir);
    let path = deep.join("bus.sock");
    let mut listener = bind(&path).expect("free");
    assert_eq!(listener.address(), &Address::Unix(path.clone()));
    assert_eq!(fs::symlink_metadata(&path).expect("it exists").mode() & 0o777, 0o600);
    assert!(listener.file().is_ours());
    let error = refused(&path);
    assert_eq!(error.code(), "EADDRINUSE");
    super::super::connect(&super::super::Target::Unix(path.clone())).expect("it listens");
    listener.release();
    assert!(!path.exists());
    bind(&path).expect("free again");

    let error = refused(&deep.join("s".repeat(83)));
    assert_eq!(error.code(), "ENAMETOOLONG");
    assert!(error.message().contains("at most 82"), "{error}");
    assert_eq!(refused(&deep.join("missing/bus.sock")).code(), "ENOENT");
}

/// What the kernel calls the sockets below a directory.
#[cfg(target_os = "linux")]
fn known_to_the_kernel(dir: &Path) -> Vec<std::path::PathBuf> {
    let table = fs::read_to_string("/proc/net/unix").expect("a table");
    let names = table.lines().filter_map(|line| line.split_whitespace().nth(7));
    names.map(std::path::PathBuf::from).filter(|name| name.starts_with(dir)).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_live_socket_is_known_to_the_kernel_by_its_own_name() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let _listener = bind(&path).expect("free");
    assert_eq!(known_to_the_kernel(dir.path()), [path], "or systemd-tmpfiles removes it by its age");
}

#[tokio::test]
async fn a_socket_that_was_taken_away_is_put_back() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let mut listener = Listener::bind(&path, 0o640).expect("free");
    let hook = listener.file().clone();
    let takers: [fn(&Path); 3] = [
        |path| fs::remove_file(path).expect("removed"),
        |path| {
            fs::remove_file(path).expect("removed");
            leave_stale(path);
        },
        // With all that is beside it, as `rm -rf` of the directory's contents does.
        |path| {
            fs::remove_file(path).expect("removed");
            fs::remove_file(path.with_extension("sock.lock")).expect("removed");
        },
    ];
    for take_away in takers {
        assert!(listener.is_in_place());
        take_away(&path);
        assert!(!listener.is_in_place());
        listener.put_back().expect("put back");
        assert!(listener.is_in_place());
        assert_eq!(fs::symlink_metadata(&path).expect("it exists").mode() & 0o777, 0o640);
        let _peer = UnixStream::connect(&path).expect("it listens");
        listener.accept().await.expect("a newcomer");
        assert_eq!(refused(&path).code(), "EADDRINUSE", "the path is locked");
    }
    hook.unlink_if_ours();
    assert!(!path.exists(), "an exit hook knows the new one, too");
    assert!(listener.is_in_place(), "removed for good");
    listener.put_back().expect("nothing to do");
    assert!(!path.exists());
}

#[tokio::test]
async fn what_took_the_place_of_a_socket_stays_until_it_goes_by_itself() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let mut listener = bind(&path).expect("free");
    listener.register().expect("registered");
    fs::remove_file(&path).expect("removed");
    fs::write(&path, "precious").expect("written");
    assert_eq!(listener.put_back().expect_err("not a socket").code(), "ENOTSOCK");
    assert_eq!(fs::read_to_string(&path).expect("read"), "precious");

    fs::remove_file(&path).expect("removed");
    let thief = Plain::bind(&path).expect("bind");
    assert_eq!(listener.put_back().expect_err("alive").code(), "EADDRINUSE");
    drop(thief);
    listener.put_back().expect("the thief is dead");
    UnixStream::connect(&path).expect("it listens");

    fs::remove_dir_all(dir.path()).expect("removed");
    let error = listener.put_back().expect_err("no directory");
    assert_eq!(error.code(), "ENOENT");
    fs::create_dir(dir.path()).expect("made");
    listener.put_back().expect("there is a directory again");
    UnixStream::connect(&path).expect("it listens");
}

#[tokio::test]
async fn a_bridge_that_took_over_after_all_was_removed_is_left_alone() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let mut first = bind(&path).expect("free");
    fs::remove_dir_all(dir.path()).expect("removed");
    fs::create_dir(dir.path()).expect("made");
    let second = bind(&path).expect("nobody could know of the first");
    let error = first.put_back().expect_err("taken");
    assert_eq!(error.code(), "EADDRINUSE");
    drop(second);
    first.put_back().expect("free again");
    assert!(first.file().is_ours());
}

#[test]
fn release_leaves_another_owners_socket_alone() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let mut listener = bind(&path).expect("free");
    fs::remove_file(&path).expect("somebody's rm");
    let _thief = Plain::bind(&path).expect("somebody's bind");
    assert!(!listener.file().is_ours());
    let theirs = inode(&path);
    listener.release();
    assert_eq!(inode(&path), theirs);
}

#[test]
fn an_exit_hook_unlinks_from_another_thread_but_only_while_the_listener_lives() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let mut listener = bind(&path).expect("free");
    let hook = listener.file().clone();
    thread::spawn(move || hook.unlink_if_ours()).join().expect("no panic");
    assert!(!path.exists());
    assert_eq!(refused(&path).code(), "EADDRINUSE", "the lock is still held");

    let late = listener.file().clone();
    listener.release();
    let _next = bind(&path).expect("free again");
    late.unlink_if_ours();
    assert!(path.exists(), "even if the new socket has the old one's inode number");
}

#[test]
fn of_sixteen_threads_one_wins() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    for round in 0..20 {
        if round % 2 == 0 {
            leave_stale(&path);
        }
        let start = Barrier::new(16);
        let winners = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    start.wait();
                    match bind(&path) {
                        Ok(listener) => winners.lock().expect("no panic").push(listener),
                        Err(error) => assert_eq!(error.code(), "EADDRINUSE", "{error}"),
                    }
                });
            }
        });
        let winners = winners.into_inner().expect("no panic");
        assert_eq!(winners.len(), 1, "round {round}");
        assert!(winners[0].file().is_ours());
        UnixStream::connect(&path).expect("the winner listens");
    }
}

#[test]
fn different_paths_in_one_directory_do_not_disturb_each_other() {
    let dir = Scratch::new();
    let paths: Vec<_> = (0..16).map(|number| dir.join(&format!("{number}.sock"))).collect();
    let start = Barrier::new(paths.len());
    thread::scope(|scope| {
        for path in &paths {
            scope.spawn(|| {
                start.wait();
                bind(path).expect("nobody else wants it");
            });
        }
    });
}

#[test]
fn a_relative_path_is_printed_absolute() {
    let name = format!("busybody-test-{}.sock", std::process::id());
    let listener = bind(Path::new(&name)).expect("free");
    let expected = std::env::current_dir().expect("a directory").join(&name);
    if expected.as_os_str().len() <= MAX_PATH {
        assert_eq!(listener.address(), &Address::Unix(expected.clone()));
    }
    assert!(listener.file().is_ours());
    drop(listener);
    assert!(!expected.exists());
    fs::remove_file(format!("{name}.lock")).expect("a lock file");
}

#[tokio::test]
async fn a_peer_comes_with_its_credentials_and_is_admitted() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let mut listener = bind(&path).expect("free");
    let _peer = UnixStream::connect(&path).expect("connect");
    let (stream, facts) = listener.accept().await.expect("accept");
    assert!(matches!(stream, Stream::Unix(_)));
    assert_eq!(facts.uid, Some(own_uid().expect("a uid")));
    assert_eq!(facts.pid, Some(std::process::id()));
    assert_eq!(facts.address, None);
    assert!(listener.admits(&facts));
    listener.release();
    let error = listener.accept().await.expect_err("released");
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
}

#[test]
fn a_private_socket_admits_its_user_and_root_only() {
    let dir = Scratch::new();
    let own = own_uid().expect("a uid");
    let peer = |uid| PeerFacts { uid, ..PeerFacts::default() };
    let private = bind(&dir.join("private.sock")).expect("free");
    assert!(private.admits(&peer(Some(own))));
    assert!(private.admits(&peer(Some(0))));
    assert!(!private.admits(&peer(Some(own + 1))));
    assert!(!private.admits(&peer(None)));
    let shared = Listener::bind(&dir.join("shared.sock"), 0o660).expect("free");
    assert!(shared.admits(&peer(Some(own + 1))));
}

/// Names the path to own, for the copy of this test program that is going to be killed.
const OWNED_PATH: &str = "BUSYBODY_TEST_OWNED_PATH";

/// Not a test: what the killed process does.
#[test]
#[ignore = "run by a_bridge_killed_with_9_…"]
fn own_a_path_until_killed() {
    let path = std::env::var_os(OWNED_PATH).expect("a path");
    let _listener = bind(Path::new(&path)).expect("free");
    println!("\nlistening");
    // Until the test kills this process, or has died itself.
    let _ = io::stdin().lines().next();
}

/// Starts it with `runtime_dir` as `$XDG_RUNTIME_DIR`, and returns when it listens.
fn owner_in_another_process(path: &Path, runtime_dir: &Path) -> Child {
    let mut owner = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "transport::unix::tests::own_a_path_until_killed"])
        .args(["--ignored", "--nocapture"])
        .env(OWNED_PATH, path)
        .env("XDG_RUNTIME_DIR", runtime_dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let stdout = BufReader::new(owner.stdout.take().expect("a pipe"));
    let listens = stdout.lines().any(|line| line.is_ok_and(|line| line == "listening"));
    assert!(listens, "the owner ended early");
    owner
}

#[test]
fn a_bridge_killed_with_9_is_succeeded_at_once() {
    let dir = Scratch::new();
    let path = dir.join("bus.sock");
    let mut owner = owner_in_another_process(&path, dir.path());
    let error = refused(&path);
    assert_eq!(error.code(), "EADDRINUSE");
    assert!(error.message().contains(&format!("(pid {})", owner.id())), "{error}");
    owner.kill().expect("killed");
    owner.wait().expect("reaped");
    assert!(path.exists(), "left behind");
    let listener = bind(&path).expect("the kernel has freed the lock");
    UnixStream::connect(&path).expect("it listens");
    assert!(listener.file().is_ours());
}

#[test]
fn the_default_address_brings_its_own_directory() {
    let dir = Scratch::new();
    let runtime_dir = dir.path().to_str().expect("UTF-8");
    let Address::Unix(path) = Address::default_for(Some(runtime_dir), 0) else { panic!("not Unix") };
    let mut owner = owner_in_another_process(&path, dir.path());
    let made = fs::symlink_metadata(dir.join("busybody")).expect("made");
    assert_eq!(made.mode() & 0o777, 0o700);
    UnixStream::connect(&path).expect("it listens");
    owner.kill().expect("killed");
    owner.wait().expect("reaped");
}
