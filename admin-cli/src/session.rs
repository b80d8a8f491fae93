//! One run of the tool: which socket, how long, which form of output; and every call, with its time limit.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use havenlink_proto::access::{Call, KindAccess};
use havenlink_proto::record::v1::RecordKind;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Response, Status};

use crate::failure::{Failure, Outcome};
use crate::global::{Global, Role};
use crate::output::{Format, Screen, View, with_byte_order_mark};
use crate::reasons;
use crate::repeat;
use crate::spans;
use crate::when;

/// Quiet for this long, then it says what it waits for.
const PATIENCE: Duration = Duration::from_millis(100);

/// Time limit of a call, unless another one is given.
const LIMIT: Duration = Duration::from_secs(20);

/// Exit code of a partial answer.
const PARTIAL: u8 = 7;

/// The largest answer that is taken. A node ends a page at about 1 MiB; this guards against one that does not, and leaves
/// room for a single row that is large.
pub const LARGEST: usize = 16 << 20;

/// The node that is asked, and how: sockets, time limit, form of the answer, request id.
#[derive(Clone)]
pub struct Session {
    sockets: PathBuf,
    role: Option<Role>,
    kind: Option<RecordKind>,
    pub format: Format,
    pub bom: bool,
    timeout: Duration,
    timeout_given: bool,
    request_id: Option<String>,
    /// Whether a program was given less than there is.
    partial: Arc<AtomicBool>,
}

/// Calls a method of a generated client over the socket of the first role that may call it and has one here. Who may, and
/// whether the call carries an id to repeat it with, the contract says.
macro_rules! call {
    ($session:expr, $client:ident, $method:ident, $request:expr) => {{
        let message = $request;
        let channel = $session.channel_for(&message).await?;
        let written = havenlink_proto::access::Call::request_id(&message).map(str::to_owned);
        let said = message.clone();
        let request = $session.request(message);
        let mut client = $client::new(channel).max_decoding_message_size(crate::session::LARGEST);
        let answer = $session.answer(client.$method(request)).await;
        let answer = answer.map_err(|failure| $session.in_words(failure, || crate::value::to_json(&said)));
        answer.map_err(|failure| $session.failed(failure, written.as_deref()))
    }};
}
pub(crate) use call;

impl Session {
    pub fn new(global: &Global) -> Self {
        Self {
            sockets: global.sockets.clone(),
            role: global.role,
            kind: None,
            format: global.output,
            bom: global.bom,
            timeout: global.timeout.unwrap_or(LIMIT),
            timeout_given: global.timeout.is_some(),
            request_id: global.request_id.clone(),
            partial: Arc::default(),
        }
    }

    /// Says that a list was cut, and how it goes on. A person sees it; for a program the answer is a partial one.
    pub fn left_out(&self, how: &str) {
        self.partial.fetch_or(self.format != Format::Table, Ordering::Relaxed);
        self.say(how);
    }

    /// What became of a command that did what it should: 7 where a program was given less than there is.
    pub fn ended(&self, code: ExitCode) -> ExitCode {
        let partial = self.partial.load(Ordering::Relaxed);
        if code == ExitCode::SUCCESS && partial { ExitCode::from(PARTIAL) } else { code }
    }

    /// The same, for records of one kind: over the socket of a role that may do what is asked with these.
    #[must_use]
    pub fn about(&self, kind: RecordKind) -> Self {
        Self { kind: Some(kind), ..self.clone() }
    }

    /// The same, over the socket of this role; `None` where a role was asked for.
    pub fn under(&self, role: Role) -> Option<Self> {
        self.role.is_none().then(|| Self { role: Some(role), ..self.clone() })
    }

    /// The same, for a call that looks at everything: a longer time limit, unless one was given.
    #[must_use]
    pub fn patient(&self, limit: Duration) -> Self {
        let timeout = if self.timeout_given { self.timeout } else { limit };
        Self { timeout, ..self.clone() }
    }

    /// The id that makes a write idempotent: the one given, or a new one.
    pub fn request_id(&self) -> String {
        self.request_id_over(String::new())
    }

    /// The same for a request that a file may have an id for: the one given, the file's, or a new one.
    pub fn request_id_over(&self, file: String) -> String {
        let file = Some(file).filter(|id| !id.is_empty());
        self.request_id.clone().or(file).unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
    }

    /// Shows an answer on stdout.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn show(&self, view: &View) -> Result<(), Failure> {
        let text = view.render(self.format, Screen::of_stdout());
        print(if self.bom && self.format == Format::Csv { with_byte_order_mark(text) } else { text }.as_bytes())
    }

    /// Puts text on stdout, as it is.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        print(text.as_bytes())
    }

    /// The same for what goes on: `false` when nobody reads any more.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn put(&self, text: &str) -> Result<bool, Failure> {
        put(text.as_bytes())
    }

    /// Says something to the person, not to the program.
    pub fn say(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{}", crate::output::clean_lines(text));
    }

    /// At most two next steps, for people only.
    pub fn next(&self, commands: &[String]) {
        if self.format == Format::Table && !commands.is_empty() {
            let shown: Vec<_> = commands.iter().take(2).map(|c| crate::output::clean(c)).collect();
            self.say(&format!("next: {}", shown.join("    ")));
        }
    }

    /// A channel for a request: over the socket of the role asked for, or of the first role that may make the call.
    ///
    /// # Errors
    /// `NODE_NOT_REACHABLE`, or `SOCKET_DENIED` when the file does not let us in.
    pub async fn channel_for<R: Call>(&self, _request: &R) -> Result<Channel, Failure> {
        let of_kind = R::METHOD.verb.zip(self.kind.and_then(KindAccess::of)).map(|(verb, kind)| kind.roles(verb));
        let may = || of_kind.unwrap_or(R::METHOD.roles).iter().filter_map(|role| Role::of(*role)).collect();
        let wanted: Vec<Role> = self.role.map_or_else(may, |role| vec![role]);
        let mut failed = None;
        for role in &wanted {
            let path = self.sockets.join(role.socket());
            match UnixStream::connect(&path).await {
                Ok(stream) => return connect(stream).await,
                Err(error) => {
                    let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
                    // A file that is there and closed to us says more than one that is not there.
                    if failed.is_none() || denied {
                        failed = Some(unreachable(&path, *role, &error));
                    }
                }
            }
        }
        Err(failed.unwrap_or_else(|| Failure::usage("no role can make this call", "havenctl --help")))
    }

    /// A request with a deadline.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }

    /// Waits for the answer, no longer than the time limit, and says so when it takes a while.
    ///
    /// # Errors
    /// What the node answered; `TIMED_OUT`.
    pub async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
        let patience = tokio::time::sleep(PATIENCE);
        let limit = tokio::time::sleep(self.timeout + PATIENCE);
        let asked = Instant::now();
        tokio::pin!(call, patience, limit);
        let mut told = false;
        let answer = loop {
            tokio::select! {
                answer = &mut call => break answer,
                () = &mut limit => return Err(self.timed_out()),
                () = &mut patience, if !told => {
                    told = true;
                    if std::io::stderr().is_terminal() {
                        self.say(&format!("waiting for the node, at most {} …", when::typed_duration(self.timeout)));
                    }
                }
            }
        };
        match answer {
            Ok(response) => Ok(response.into_inner()),
            // The end of the time limit comes without a reason, from here or from there. A connection that broke off earlier
            // looks alike, and the node's own deadline has a reason.
            Err(status)
                if matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled)
                    && status.details().is_empty()
                    && asked.elapsed() >= self.timeout =>
            {
                Err(self.timed_out())
            }
            Err(status) => Err(status.into()),
        }
    }

    /// A call that failed; a write with its id, and with the command that asks again if nobody knows its outcome.
    pub fn failed(&self, failure: Failure, written: Option<&str>) -> Failure {
        let Some(request_id) = written else { return failure };
        let longer = (failure.outcome == Outcome::Late).then(|| self.longer());
        failure.of_write(request_id, repeat::command(request_id, longer))
    }

    /// A failure with the words that were refused; for a program that asked for JSON they stand on stdout too.
    pub fn in_words(&self, failure: Failure, said: impl FnOnce() -> serde_json::Value) -> Failure {
        let (failure, spans) = spans::in_words(failure, said);
        if !spans.is_empty() && matches!(self.format, Format::Json | Format::Jsonl) {
            let spans: Vec<_> = spans.iter().map(spans::Span::to_json).collect();
            let told = serde_json::json!({ "error": failure.code, "spans": spans });
            // Whoever has closed stdout does not read them.
            let _ = writeln!(std::io::stdout(), "{told}");
        }
        failure
    }

    /// A time limit that may be enough where the present one was not.
    fn longer(&self) -> Duration {
        self.timeout.saturating_mul(3).max(Duration::from_secs(30))
    }

    fn timed_out(&self) -> Failure {
        Failure::new(
            &reasons::TIMED_OUT,
            format!("no answer within {}", when::typed_duration(self.timeout)),
            reasons::TIMED_OUT.why,
            format!("havenctl status, then again with --timeout {}", when::typed_duration(self.longer())),
        )
        .leaving(Outcome::Late)
    }
}

/// Puts bytes on stdout.
///
/// # Errors
/// When stdout cannot be written.
pub fn print(bytes: &[u8]) -> Result<(), Failure> {
    put(bytes).map(drop)
}

/// The same; `false` when the reader has seen enough.
fn put(bytes: &[u8]) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Failure::fault(&format!("stdout: {e}"))),
        Ok(()) => Ok(true),
    }
}

async fn connect(stream: UnixStream) -> Result<Channel, Failure> {
    // The name is a formality: the socket decides who answers.
    let endpoint = Endpoint::from_static("http://localhost");
    let stream = Mutex::new(Some(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.lock().ok().and_then(|mut s| s.take());
        std::future::ready(stream.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the connection was lost")))
    });
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|e| Failure::fault(&format!("the node does not speak gRPC on its socket: {e}")))
}

/// Into the role's group; where this machine has none, it is made first, and the node takes it up when it starts.
fn way_in(role: Role, groups: &str) -> String {
    let group = format!("havenlink-{role}");
    let there = groups.lines().any(|line| line.split(':').next() == Some(group.as_str()));
    let made = if there {
        String::new()
    } else {
        format!(
            "sudo groupadd --system {group} && sudo usermod -aG {group} havenlink && sudo systemctl restart havenlink && "
        )
    };
    format!("{made}sudo usermod -aG {group} $USER, then log in again; or use another --role")
}

fn unreachable(path: &std::path::Path, role: Role, error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return Failure::new(
            &reasons::SOCKET_DENIED,
            format!("the socket of the role {role} is closed to this user"),
            reasons::SOCKET_DENIED.why,
            way_in(role, &std::fs::read_to_string("/etc/group").unwrap_or_default()),
        )
        .with("socket", path.display().to_string());
    }
    Failure::of(&reasons::NODE_NOT_REACHABLE).with("socket", format!("{} ({error})", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_in_is_named_by_a_group_that_exists() {
        let groups = "root:x:0:\nhavenlink-consumer:x:990:desk\nhavenlink:x:991:\n";
        let let_in = "sudo usermod -aG havenlink-consumer $USER, then log in again; or use another --role";
        assert_eq!(way_in(Role::Consumer, groups), let_in);
        let made = way_in(Role::Publisher, groups);
        assert!(made.starts_with(
            "sudo groupadd --system havenlink-publisher && sudo usermod -aG havenlink-publisher havenlink"
        ));
        assert!(made.ends_with("usermod -aG havenlink-publisher $USER, then log in again; or use another --role"));
    }
}
