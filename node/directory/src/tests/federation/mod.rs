//! Federations of whole directories inside one process: real Raft, real files, real gRPC, over pipes that can be cut.

mod cities;
mod deposing;
mod following;
mod hostile;
mod learners;
mod pipes;
mod refounding;
mod silence;
mod speed;
mod stewards;
mod withdrawals;
