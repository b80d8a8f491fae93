//! What a local door says of itself: gRPC reflection, v1 and v1alpha.
//!
//! What lives here: the two services, by the role that asks, and the files that a role's door shows. What does not: who may call
//! what, which the access table says. Invariant: a door lists the services and methods that it opens, and no others. The ports of
//! the network have no reflection (decisions/061).

mod shown;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tonic::service::Routes;
use tonic_reflection::server::Builder;
use tower::Service;

use super::access::{Listener, Method, opens_at};
use super::errors;
use super::layers::Caller;
use crate::domain::audit::ActorRole;
use crate::domain::reason::Reason;
use shown::Shown;

/// Where it is served.
pub const PATHS: [&str; 2] =
    ["/grpc.reflection.v1.ServerReflection/{*m}", "/grpc.reflection.v1alpha.ServerReflection/{*m}"];

/// Reflection at the local doors. A role's part of it is made when it is first asked for: most doors are never asked.
#[derive(Clone)]
pub struct Reflection {
    served: fn(&Method) -> bool,
    made: Arc<Mutex<HashMap<ActorRole, Routes>>>,
}

impl Reflection {
    /// Of doors behind which these methods are served at all.
    pub fn of(served: fn(&Method) -> bool) -> Self {
        Self { served, made: Arc::default() }
    }

    fn at(&self, role: ActorRole) -> Routes {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let opens = |row: &Method| (self.served)(row) && opens_at(row, Listener::Local(role));
        made.entry(role).or_insert_with(|| door(&Shown::of(opens))).clone()
    }
}

/// Both versions over the same files.
fn door(shown: &Shown) -> Routes {
    let files = || {
        let builder = Builder::configure().include_reflection_service(false);
        let builder = builder.register_encoded_file_descriptor_set(&shown.files);
        shown.services.iter().fold(builder, |builder, service| builder.with_service_name(service))
    };
    let compiled = "the files were compiled with the contract";
    Routes::new(files().build_v1().expect(compiled)).add_service(files().build_v1alpha().expect(compiled))
}

impl<B> Service<Request<B>> for Reflection
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match request.extensions().get() {
            Some(Caller::Local { role, .. }) => Box::pin(self.at(*role).call(request)),
            _ => Box::pin(std::future::ready(Ok(errors::refuse(Reason::MethodNotOpen).into_http()))),
        }
    }
}
