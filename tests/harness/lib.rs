//! What the stories stand on: nodes as real binaries, clients over the public API, waiting for a condition.
//!
//! What lives here: starting and killing nodes, authorities that sign, a city's view of its own sockets, its tools as a
//! person runs them, connections to a peer port as a partner or a stranger makes them, `eventually`, and the look at the end
//! of every story whether its nodes rest. What does not: stories.
//! Invariant: nothing here knows the inside of a node; it sees what an operator and a partner see.

pub mod asker;
pub mod authors;
pub mod chance;
pub mod collector;
pub mod credulous;
pub mod federation;
pub mod hostile;
pub mod impostor;
pub mod intruder;
pub mod local_tls;
pub mod operator;
pub mod peer;
pub mod probe;
pub mod raw;
pub mod refused;
pub mod rest;
pub mod restored;
pub mod road;
pub mod tools;
pub mod wait;
