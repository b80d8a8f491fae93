//! Webhook at a server of this machine: one that takes them, is slow, is dead, sends elsewhere, or is another one.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use data_encoding::BASE64;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::clock::SystemClock;
use crate::transport;

const PATIENCE: Duration = Duration::from_secs(30);
const SECRET: [u8; 32] = [7; 32];

/// A notice as a server got it.
#[derive(Debug)]
struct Got {
    head: String,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Reads one request and gives the answer.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, status: &str) -> Got {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let got = Got { head: head.to_owned(), body: body.to_owned() };
            if got.header("content-length") == body.len().to_string() {
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                return got;
            }
        }
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "it ended early: {text}");
    }
}

/// Answers each request alike, and tells of it.
fn serve(listener: TcpListener, status: &'static str) -> (mpsc::Receiver<Got>, JoinHandle<()>) {
    let (tell, told) = mpsc::channel(64);
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tell.send(answer(stream, status).await).await.unwrap();
        }
    });
    (told, serving)
}

async fn bound() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What tells there, every 20 ms at most.
fn webhook(dir: &Path, url: &str, roots: &Path) -> Webhook {
    transport::install_provider();
    let secret = dir.join("webhook.secret");
    let mut file =
        std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&secret).unwrap();
    std::io::Write::write_all(&mut file, format!("whsec_{}", BASE64.encode(&SECRET)).as_bytes()).unwrap();
    let set = vec![
        format!("notify.webhook={url}"),
        format!("notify.secret={}", secret.display()),
        format!("notify.webhook_ca={}", roots.display()),
        "notify.every=20ms".to_owned(),
    ];
    let config = super::super::tests::config(dir, &set);
    let webhook = Webhook::of(&config, &SystemClock::shared()).unwrap().unwrap();
    Webhook { limit: Duration::from_millis(500), ..webhook }
}

async fn next(told: &mut mpsc::Receiver<Got>) -> Got {
    tokio::time::timeout(PATIENCE, told.recv()).await.expect("in time").unwrap()
}

async fn sent(webhook: &Webhook) -> Option<NotTaken> {
    let notice = Posting { id: uuid::Uuid::new_v4(), count: 1, position: 1 };
    let taken = webhook.send(&notice).await.is_ok();
    assert_eq!(taken, webhook.failing().is_none());
    webhook.failing().map(|failing| failing.why)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_says_that_something_came_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (listener, address) = bound().await;
    let (mut told, _) = serve(listener, "204 No Content");
    keep(dir.path(), 4);
    let (inbox, positions) = watch::channel(4);
    let webhook = webhook(dir.path(), &format!("http://{address}/new"), Path::new("/none"));
    let following = tokio::spawn(webhook.clone().follow(positions, dir.path().to_owned()));
    inbox.send_replace(7);
    let got = next(&mut told).await;
    assert!(got.head.starts_with("POST /new HTTP/1.1\r\n"), "{}", got.head);
    let expected = serde_json::json!({"authority": "fr-strasbourg", "event": "records.new", "count": 3, "position": 7});
    assert_eq!(got.json(), expected);
    let known = [
        "host",
        "user-agent",
        "content-type",
        "content-length",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ];
    let names: Vec<_> = got.head.lines().skip(1).map(|line| line.split(':').next().unwrap()).collect();
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    let signed = format!("{}.{}.{}", got.header("webhook-id"), got.header("webhook-timestamp"), got.body);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &SECRET);
    let tag = BASE64.decode(got.header("webhook-signature").strip_prefix("v1,").unwrap().as_bytes()).unwrap();
    aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &tag).unwrap();

    // What comes meanwhile is in one notice.
    for position in 8..=1_000 {
        inbox.send_replace(position);
    }
    let (mut count, mut ids) = (0, vec![got.header("webhook-id").to_owned()]);
    while count < 993 {
        let got = next(&mut told).await;
        count += got.json()["count"].as_u64().unwrap();
        assert!(!ids.contains(&got.header("webhook-id").to_owned()));
        ids.push(got.header("webhook-id").to_owned());
    }
    assert!(count == 993 && ids.len() < 100, "{count} in {}", ids.len());
    drop(inbox);
    tokio::time::timeout(PATIENCE, following).await.expect("it ends with the inbox").unwrap();
    assert_eq!(super::told(dir.path()), Some(1_000));
}

/// Who is dead is asked again, hears of all that came meanwhile once it is back, and of it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_dead_hears_of_everything_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (listener, address) = bound().await;
    drop(listener);
    keep(dir.path(), 10);
    let (inbox, positions) = watch::channel(12);
    let webhook = webhook(dir.path(), &format!("http://{address}/"), Path::new("/none"));
    let following = tokio::spawn(webhook.clone().follow(positions, dir.path().to_owned()));
    let failed = async {
        while webhook.failing().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, failed).await.expect("it is told that nobody takes it");
    assert_eq!(webhook.failing().unwrap().why, NotTaken::NotReached);
    inbox.send_replace(15);
    let (mut told, serving) = serve(TcpListener::bind(address).await.unwrap(), "200 OK");
    let mut count = 0;
    while count < 5 {
        count += next(&mut told).await.json()["count"].as_u64().unwrap();
    }
    assert_eq!(count, 5, "of each once, what came before the start too");
    drop(inbox);
    tokio::time::timeout(PATIENCE, following).await.unwrap().unwrap();
    assert_eq!((webhook.failing(), super::told(dir.path())), (None, Some(15)));
    serving.abort();
}

#[tokio::test]
async fn who_is_slow_answers_wrongly_or_sends_elsewhere_has_not_taken_it() {
    let dir = tempfile::tempdir().unwrap();
    let (slow, address) = bound().await;
    let url = |address: SocketAddr| webhook(dir.path(), &format!("http://{address}/"), Path::new("/none"));
    assert_eq!(sent(&url(address)).await, Some(NotTaken::TooSlow));
    drop(slow);

    let (elsewhere, there) = bound().await;
    let (listener, address) = bound().await;
    let status: &'static str =
        Box::leak(format!("307 Temporary Redirect\r\nlocation: http://{there}/").into_boxed_str());
    let (mut told, _) = serve(listener, status);
    assert_eq!(sent(&url(address)).await, Some(NotTaken::Answered(http::StatusCode::TEMPORARY_REDIRECT)));
    next(&mut told).await;
    assert!(futures_util::FutureExt::now_or_never(elsewhere.accept()).is_none(), "nobody was sent there");

    let (listener, address) = bound().await;
    let hangs_up = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
    assert_eq!(sent(&url(address)).await, Some(NotTaken::Broken));
    hangs_up.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_it_goes_to_the_one_that_was_named_and_to_nobody_else() {
    transport::install_provider();
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        let path = dir.path().join(format!("{name}.pem"));
        std::fs::write(&path, certificate.pem()).unwrap();
        (path, certificate.der().clone(), key.serialize_der())
    };
    let (roots, certificate, key) = made("localhost");
    let (others, ..) = made("elsewhere.example");
    let key = rustls::pki_types::PrivateKeyDer::try_from(key).unwrap();
    let config =
        rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, address) = bound().await;
    let (tell, mut told) = mpsc::channel(64);
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tell.send(answer(stream, "200 OK").await).await.unwrap();
            }
        }
    });
    let at = |host: &str, roots: &Path| webhook(dir.path(), &format!("https://{host}:{}/", address.port()), roots);
    assert_eq!(sent(&at("localhost", &roots)).await, None);
    assert_eq!(next(&mut told).await.json()["count"], 1);
    assert_eq!(sent(&at("localhost", &others)).await, Some(NotTaken::Tls), "under another root");
    assert_eq!(sent(&at("127.0.0.1", &roots)).await, Some(NotTaken::Tls), "of another name");
    assert_eq!(sent(&at("localhost", &dir.path().join("none"))).await, Some(NotTaken::NoRoots));
    assert!(told.try_recv().is_err(), "none of these said anything");
    serving.abort();
}

#[test]
fn each_try_waits_longer_up_to_ten_minutes() {
    let minute = Duration::from_mins(1);
    assert_eq!([0, 1, 3, 60].map(|tries| pause(minute, tries)), [minute, 2 * minute, 8 * minute, 10 * minute]);
    assert_eq!(pause(Duration::from_hours(1), 5), Duration::from_hours(1));
}
