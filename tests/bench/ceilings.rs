//! The best that this machine can do in this minute: raw echo over the node's own TLS, one-row commits of SQLite, and a
//! quorum of three that does nothing but write, fsync and answer.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::transport::{Connections, JoinGate, Limits, Listener, ListenerParts, server_builder};
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::peer::v1::exchange_service_server::{ExchangeService, ExchangeServiceServer};
use havenlink_proto::peer::v1::{
    DeliverRequest, DeliverResponse, GreetRequest, GreetResponse, HoldRequest, HoldResponse, ListCapacityRequest,
    ListCapacityResponse, ListEndsRequest, ListEndsResponse, ListWithdrawalsRequest, ListWithdrawalsResponse,
};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

use crate::measure::{Loop, closed};
use crate::stand;

/// What a server of the ceiling does with a call.
#[derive(Clone)]
enum Work {
    Echo,
    /// Append the payload to a file and fdatasync, calls that wait together share one.
    Store(mpsc::Sender<(Bytes, oneshot::Sender<()>)>),
}

struct Server(Work);

#[tonic::async_trait]
impl ExchangeService for Server {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let hello = request.into_inner().hello;
        if let Work::Store(disk) = &self.0 {
            store(disk, hello.clone()).await.map_err(|e| Status::internal(e.to_string()))?;
        }
        Ok(Response::new(GreetResponse { hello, ..Default::default() }))
    }

    async fn list_capacity(&self, _: Request<ListCapacityRequest>) -> Result<Response<ListCapacityResponse>, Status> {
        Ok(Response::new(ListCapacityResponse::default()))
    }

    async fn list_withdrawals(
        &self,
        _: Request<ListWithdrawalsRequest>,
    ) -> Result<Response<ListWithdrawalsResponse>, Status> {
        Ok(Response::new(ListWithdrawalsResponse::default()))
    }

    async fn hold(&self, _: Request<HoldRequest>) -> Result<Response<HoldResponse>, Status> {
        Err(Status::unimplemented("the ceiling only greets"))
    }

    async fn list_ends(&self, _: Request<ListEndsRequest>) -> Result<Response<ListEndsResponse>, Status> {
        Err(Status::unimplemented("the ceiling only greets"))
    }

    async fn deliver(&self, _: Request<DeliverRequest>) -> Result<Response<DeliverResponse>, Status> {
        Err(Status::unimplemented("the ceiling only greets"))
    }
}

async fn store(disk: &mpsc::Sender<(Bytes, oneshot::Sender<()>)>, payload: Bytes) -> anyhow::Result<()> {
    let (done, stored) = oneshot::channel();
    disk.send((payload, done)).await?;
    Ok(stored.await?)
}

/// A file with grouped fdatasync.
fn disk(path: &Path) -> std::io::Result<mpsc::Sender<(Bytes, oneshot::Sender<()>)>> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    let (sender, mut queue) = mpsc::channel::<(Bytes, oneshot::Sender<()>)>(1024);
    std::thread::spawn(move || {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            while group.len() < 256 {
                match queue.try_recv() {
                    Ok(more) => group.push(more),
                    Err(_) => break,
                }
            }
            let bytes: Vec<u8> = group.iter().flat_map(|(b, _)| b.iter().copied()).collect();
            if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
                return;
            }
            for (_, done) in group {
                let _ = done.send(());
            }
        }
    });
    Ok(sender)
}

/// Starts a server with this work and gives a client's channel to it, over mutual TLS of the node's own transport.
async fn serve(work: Work, name: &str) -> anyhow::Result<ExchangeServiceClient<havenlink::transport::PeerChannel>> {
    let listener = Listener::bind("127.0.0.1:0".parse()?).await?;
    let server = stand::party(&format!("zz-{name}-server"), Some(listener.local_addr()))?;
    let client = stand::party(&format!("zz-{name}-client"), None)?;
    let view = stand::view(&[server.clone(), client.clone()]);
    let clock = SystemClock::shared();
    let serving = listener.serve(ListenerParts {
        identity: server.identity.clone(),
        view: view.clone(),
        clock: clock.clone(),
        connections: Connections::new(view.clone(), clock, &Limits::default()),
        issued: false,
        gate: JoinGate::closed(),
        limits: Limits::default(),
    })?;
    tokio::spawn(async move {
        let _joins = serving.joins;
        let served = server_builder().add_service(ExchangeServiceServer::new(Server(work)));
        let _ = served.serve_with_incoming(serving.peers).await;
    });
    let channel = stand::pool(&client, &view).channel(&server.id)?;
    Ok(ExchangeServiceClient::new(channel))
}

fn request(bytes: usize) -> GreetRequest {
    GreetRequest { hello: vec![7_u8; bytes].into(), ..Default::default() }
}

/// Unary echo of 1 KiB over mutual TLS.
pub async fn echo(in_flight: usize, span: Duration) -> anyhow::Result<Loop> {
    let client = serve(Work::Echo, "echo").await?;
    closed(in_flight, span, |_| {
        let client = client.clone();
        move || {
            let mut client = client.clone();
            async move { client.greet(request(1024)).await.map(drop).map_err(Into::into) }
        }
    })
    .await
}

/// A write of 512 bytes stored by two of three: locally and at the faster of two others over mutual TLS, fsyncs grouped.
pub async fn quorum(dir: &Path, in_flight: usize, span: Duration) -> anyhow::Result<Loop> {
    let local = disk(&dir.join("leader"))?;
    let mut others = Vec::new();
    for n in 0..2 {
        others.push(serve(Work::Store(disk(&dir.join(format!("follower-{n}")))?), &format!("quorum{n}")).await?);
    }
    let [a, b] = <[_; 2]>::try_from(others).map_err(|_| anyhow::anyhow!("two followers"))?;
    closed(in_flight, span, |_| {
        let (local, a, b) = (local.clone(), a.clone(), b.clone());
        move || {
            let (local, a, b) = (local.clone(), a.clone(), b.clone());
            async move {
                // Both calls run to their end; dropping the slower one would reset its stream.
                let (answered, mut first) = mpsc::channel(2);
                for mut follower in [a, b] {
                    let answered = answered.clone();
                    tokio::spawn(async move { answered.send(follower.greet(request(512)).await.map(drop)).await });
                }
                let (near, far) = tokio::join!(store(&local, Bytes::from_static(&[7; 512])), first.recv());
                near?;
                far.ok_or_else(|| anyhow::anyhow!("no follower answered"))??;
                Ok(())
            }
        }
    })
    .await
}

/// One row of 512 bytes per transaction, WAL, `synchronous=FULL`, one after the other.
pub async fn sqlite_commit(dir: &Path, span: Duration) -> anyhow::Result<Loop> {
    let connection = SqliteConnectOptions::new()
        .filename(dir.join("ceiling.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    let connection = Arc::new(tokio::sync::Mutex::new(connection));
    sqlx::query("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        .execute(&mut *connection.lock().await)
        .await?;
    closed(1, span, |_| {
        let connection = connection.clone();
        move || {
            let connection = connection.clone();
            async move {
                let mut connection = connection.lock().await;
                sqlx::query("INSERT INTO row (body) VALUES ($1)")
                    .bind(vec![7_u8; 512])
                    .execute(&mut *connection)
                    .await?;
                Ok(())
            }
        }
    })
    .await
}

/// Look-ups in a view held in memory, per second on one thread.
pub fn view_reads(span: Duration) -> anyhow::Result<f64> {
    let parties: Vec<_> =
        (0..64).map(|n| stand::party(&format!("zz-member-{n}"), None)).collect::<anyhow::Result<_>>()?;
    let source = stand::view(&parties);
    let (started, mut reads, mut found) = (Instant::now(), 0_u64, 0_u64);
    let now = SystemClock::shared().now();
    while started.elapsed() < span {
        for party in &parties {
            let view = source.load();
            found += u64::from(view.authority_of_pin(&party.identity.pin(), now).is_some());
            found += u64::from(view.member(&party.id).is_some());
            reads += 2;
        }
    }
    anyhow::ensure!(found == reads, "every look-up finds its member");
    Ok(reads as f64 / started.elapsed().as_secs_f64())
}
