//! Stories of the TLS edge, over real sockets on 127.0.0.1 with a view that the test writes.

mod access;
mod classify;
mod flood;
mod issued;
mod join;
mod local;
mod paced;
mod renewal;
mod world;
