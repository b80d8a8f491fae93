//! What an attacker meets at running nodes: in the handshake, in what is delivered, at every limit, at every socket.

mod canaries;
mod delivery;
mod denials;
mod handshake;
mod limits;
mod roles;

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Either;
use havenlink_tests::raw::first_answer;
use tonic::Status;

/// How many later calls have been answered when a stream is taken to stand.
const LATER: usize = 3;
/// Longer than any call waits by itself.
const ANSWERED: Duration = Duration::from_secs(40);

/// Calls any method with one message and gives its first answer. `Ok(None)`: it ended without one; or, where a stream is
/// expected to stand, it still does when later calls over the same connection have been answered. Every other call is
/// answered, however long that takes.
async fn call<C>(channel: C, method: &'static str, message: Bytes, stands: bool) -> Result<Option<Bytes>, Status>
where
    C: tonic::client::GrpcService<tonic::body::Body> + Clone,
    C::ResponseBody: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    <C::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError>,
    C::Error: Into<tonic::codegen::StdError>,
{
    let answered = Box::pin(first_answer(channel.clone(), method, message));
    let whole = async {
        if !stands {
            return answered.await;
        }
        let later = Box::pin(async {
            for _ in 0..LATER {
                // Nobody has this method, so every door answers it; what it answers is another test's matter.
                _ = first_answer(channel.clone(), "/havenlink.nobody.v1.NoService/Nothing", Bytes::new()).await;
            }
        });
        match futures_util::future::select(answered, later).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), standing)) => standing.now_or_never().unwrap_or(Ok(None)),
        }
    };
    let in_time = tokio::time::timeout(ANSWERED, whole).await;
    in_time.unwrap_or_else(|_| panic!("{method} was not answered in {ANSWERED:?}"))
}

/// How a role is written in the configuration, and its socket is named.
fn role_name(role: havenlink::domain::audit::ActorRole) -> String {
    role.name().to_ascii_lowercase().replace('_', "-")
}
