//! No image of a process that holds keys: what the memory of one has is written nowhere.

/// Has the system write no core dump of this process, and let nobody but root look into its memory. Before a key is read, in each
/// command: what holds keys for a second can die in it. Whoever starts another program passes the first on, and not the second.
///
/// # Errors
/// When the system refuses one of the two; the other one holds all the same.
pub fn keep_undumped() -> std::io::Result<()> {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let limited = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    // A limit on size does not hold for a program that takes dumps by a pipe; this does.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(limited?)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::*;

    #[test]
    fn a_process_that_says_so_leaves_no_image() {
        keep_undumped().unwrap();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        #[cfg(target_os = "linux")]
        assert_eq!(
            rustix::process::dumpable_behavior().unwrap(),
            rustix::process::DumpableBehavior::NotDumpable,
            "nor does one that is read by a pipe"
        );
    }
}
