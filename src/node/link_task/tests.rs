//! What the task does at the end of a link.

use std::io::Write;
use std::os::unix::net::UnixStream;

use super::*;

/// What [`read_rest`] has read of a link whose other side said `said` and closed it, and how it ended.
fn rest(said: &[u8], closed: bool) -> (Vec<u8>, io::Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("non-blocking");
        let stream = Stream::Unix(tokio::net::UnixStream::from_std(ours).expect("a stream"));
        theirs.write_all(said).expect("written");
        drop(theirs);
        let pipe = Pipe { state: Mutex::default(), task: Notify::new(), shorter: Condvar::new() };
        pipe.lock().closed = closed;
        let wake: Wake = Arc::new(|| {});
        let ended = read_rest(&stream, &pipe, &wake, &mut BytesMut::new()).await;
        let state = pipe.lock();
        (state.inward.iter().flatten().copied().collect(), ended)
    })
}

#[test]
fn what_was_said_before_a_write_failed_is_read_though_tokio_has_not_heard_of_it() {
    let (read, ended) = rest(b"why", false);
    assert_eq!((&*read, ended.is_ok()), (&b"why"[..], true));
    assert_eq!(rest(b"", false).0, b"");
}

#[test]
fn of_a_link_that_was_let_go_nothing_more_is_read() {
    assert_eq!(rest(b"why", true).0, b"");
}
