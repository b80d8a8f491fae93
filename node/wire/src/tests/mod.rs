//! Tests of the record half of `wire`: against the compiled contract, by example, and against arbitrary bytes.

mod bases;
mod contract;
mod holds;
mod records;
