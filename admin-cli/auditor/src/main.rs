//! havenlink-audit: verifies what `havenctl audit export` and `audit prove` printed, anywhere, with public keys alone.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use data_encoding::HEXLOWER;
use havenlink_auditor::keys::Keys;
use havenlink_auditor::lines::{self, Line};
use havenlink_auditor::log::{Fault, Log, Verdict};
use havenlink_auditor::proof;

/// Verifies an exported ledger, or a proof, with public keys alone
#[derive(Debug, Parser)]
#[command(name = "havenlink-audit", version, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 it holds, 1 it does not, 2 it could not be read.")]
struct Cli {
    /// What havenctl audit export or audit prove printed; - is stdin
    #[arg(required_unless_present = "manual")]
    file: Option<PathBuf>,
    /// The authority's keys: what havenctl member show AUTHORITY -o json prints at a node of another member
    #[arg(long, value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// A key of the authority: its SubjectPublicKeyInfo in hexadecimal
    #[arg(long, value_name = "HEX")]
    key: Vec<String>,
    /// An earlier export, or checkpoints of one, that others kept: shows a ledger that was rolled back
    #[arg(long, value_name = "FILE")]
    seen: Vec<PathBuf>,
    /// Writes the manual page into a folder, for a package
    #[arg(long, value_name = "FOLDER", hide = true, exclusive = true)]
    manual: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok((holds, text)) => {
            // A reader that has seen enough takes nothing away from the verdict.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::from(u8::from(!holds))
        }
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "error: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<(bool, String), String> {
    if let Some(folder) = &cli.manual {
        let written = clap_mangen::generate_to(Cli::command(), folder);
        return written.map(|()| (true, String::new())).map_err(|e| named(folder, &e.to_string()));
    }
    let file = cli.file.as_deref().ok_or("no file")?;
    let keys = keys(cli)?;
    let mut log = Log::new(&keys);
    for earlier in &cli.seen {
        for line in rows(earlier)? {
            if let Some(Line::Checkpoint { signed, .. }) = lines::read(&line?) {
                let seen = proof::signed(&signed.0, &keys).map_err(|why| named(earlier, &why.to_string()))?;
                log.seen_before(&seen);
            }
        }
    }
    for (n, row) in rows(file)?.enumerate() {
        let line = lines::read(&row?);
        if let (0, Some(line @ (Line::Inclusion { .. } | Line::Consistency { .. }))) = (n, &line) {
            return Ok(match proof::verify(line, &keys) {
                Ok(proved) => (true, format!("{proved}\n")),
                Err(why) => (false, format!("NOT PROVED: {why}\n")),
            });
        }
        log.push(line);
    }
    let verdict = log.finish();
    Ok((verdict.faults.is_empty(), told(&verdict)))
}

fn keys(cli: &Cli) -> Result<Keys, String> {
    let mut keys = Keys::default();
    for file in &cli.keys {
        let mut text = String::new();
        let read = reader(file)?.read_to_string(&mut text);
        read.map_err(|e| e.to_string()).and_then(|_| keys.add_shown(&text)).map_err(|e| named(file, &e))?;
    }
    cli.key.iter().try_for_each(|key| keys.add(key, false))?;
    if keys.is_empty() {
        return Err("no key of the authority: --keys FILE or --key HEX".to_owned());
    }
    Ok(keys)
}

fn named(file: &Path, what: &str) -> String {
    format!("{}: {what}", file.display())
}

fn reader(file: &Path) -> Result<Box<dyn BufRead>, String> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let opened = File::open(file).map_err(|error| named(file, &error.to_string()))?;
    Ok(Box::new(BufReader::new(opened)))
}

fn rows(file: &Path) -> Result<impl Iterator<Item = Result<String, String>>, String> {
    let name = file.to_owned();
    Ok(reader(file)?.lines().map(move |line| line.map_err(|error| named(&name, &error.to_string()))))
}

/// Says what was proved, and no more.
fn told(verdict: &Verdict) -> String {
    let mut text = String::new();
    // A ledger of its first minute has no signature yet, which is no damage, and no proof.
    let young = verdict.faults == [Fault::NothingSigned] && verdict.worthless == 0;
    for fault in &verdict.faults {
        let _ = writeln!(text, "{}: {fault}", if young { "UNPROVED" } else { "DAMAGED" });
    }
    if young {
        text.push_str("a node signs once a minute what it has written: export again then\n");
    }
    let Verdict { authority, size, checkpoints, covered, .. } = verdict;
    if verdict.faults.is_empty() {
        let root = HEXLOWER.encode(&verdict.root);
        let _ = writeln!(
            text,
            "consistent with itself: {authority}, {size} entries, {checkpoints} signed checkpoints, root {root}"
        );
    }
    if covered < size {
        let _ = writeln!(text, "no checkpoint covers the last {} entries yet", size - covered);
    }
    if verdict.worthless > 0 {
        let _ = writeln!(
            text,
            "{} checkpoints are signed with a key that was stolen: they prove nothing",
            verdict.worthless
        );
    }
    for restored in &verdict.restored {
        let (entry, from, to) = (restored.entry, restored.from, restored.to);
        let _ = writeln!(text, "entry {entry} says that a backup of {to} entries was restored over a ledger of {from}");
    }
    if verdict.lost > 0 {
        let _ = writeln!(text, "{} checkpoints that were seen before cover what such a restore lost", verdict.lost);
    }
    match verdict.seen {
        0 => text.push_str("never cosigned: a rollback to an old checkpoint would not be seen\n"),
        n => {
            let _ = writeln!(text, "begins with what {n} checkpoints cover that were seen before");
        }
    }
    text
}
