use framewire::*;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn echo() -> u16 {
    let l = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = l.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for s in l.incoming() {
            let s = s.unwrap();
            s.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut ws = tungstenite::accept(s).unwrap();
                while let Ok(m) = ws.read() {
                    if m.is_text() || m.is_binary() {
                        if ws.send(m).is_err() {
                            return;
                        }
                    }
                }
                let _ = ws.flush();
            });
        }
    });
    port
}

#[test]
fn echo_poll() {
    let port = echo();
    let s = Socket::create(&format!("ws://127.0.0.1:{port}/")).unwrap();
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let l = log.clone();
    s.on_open(Some(Arc::new(move |s| {
        l.lock().unwrap().push("open".into());
        s.send_text("hällo").unwrap();
        s.send_binary(&vec![7; 300_000]).unwrap();
    })))
    .unwrap();
    let l = log.clone();
    s.on_text(Some(Arc::new(move |_, t| l.lock().unwrap().push(format!("text {t}"))))).unwrap();
    let l = log.clone();
    s.on_binary(Some(Arc::new(move |s, b| {
        l.lock().unwrap().push(format!("bin {} {}", b.len(), b.iter().all(|b| *b == 7)));
        s.close(3000, "bye").unwrap();
    })))
    .unwrap();
    let l = log.clone();
    s.on_closed(Some(Arc::new(move |_, c, r| l.lock().unwrap().push(format!("closed {c} {r}"))))).unwrap();
    let l = log.clone();
    s.on_error(Some(Arc::new(move |_, e| l.lock().unwrap().push(format!("error {e}"))))).unwrap();
    s.open().unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while s.state() != State::Closed || pending() > 0 {
        poll(0, 0);
        assert!(Instant::now() < end, "{:?}", log.lock().unwrap());
        wait(Duration::from_millis(10));
    }
    println!("{:?} {:?}", log.lock().unwrap(), s.stats());
    assert_eq!(*log.lock().unwrap(), ["open", "text hällo", "bin 300000 true", "closed 3000 bye"]);
    shutdown(Duration::from_secs(2)).unwrap();
    assert!(s.open().is_err());
}
