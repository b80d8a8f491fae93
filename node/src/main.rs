//! The node's binary: arguments, configuration, telemetry, run, exit code.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use havenlink::app::{self, CommandFailure};
use havenlink::config::{self, Config, Sources};

#[derive(Parser)]
#[command(
    name = "havenlink",
    version,
    about = "One small node for one authority of the federation",
    max_term_width = 100
)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Common {
    /// The configuration file [default: /etc/havenlink/node.toml].
    #[arg(long, global = true, env = "HAVENLINK_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A key of the configuration, over file and environment; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// The keys that a new node needs, as arguments.
#[derive(Args, Default)]
struct Identity {
    /// Id of the authority: country code, hyphen, name; `join` takes it from the token.
    #[arg(long, value_name = "ID")]
    authority: Option<String>,
    /// Name of the authority, with its language: fr=Strasbourg. May be repeated.
    #[arg(long, value_name = "LANGUAGE=NAME")]
    name: Vec<String>,
    /// Address under which partners reach this node: host:port. May be repeated.
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Vec<String>,
    /// Mailbox of a desk that partners may write to, never of a person; asked for in a terminal.
    #[arg(long, value_name = "ADDRESS")]
    contact_email: Option<String>,
    /// Telephone of that desk in international form; asked for in a terminal.
    #[arg(long, value_name = "NUMBER")]
    contact_phone: Option<String>,
    /// Address on which partners' nodes are heard.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Directory of keys, register and records.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Directory of the local sockets.
    #[arg(long, value_name = "DIR")]
    run_dir: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a federation: keys, and a register with this authority as its only steward.
    Init {
        #[command(flatten)]
        identity: Identity,
        #[command(flatten)]
        recovery: Recovery,
        #[command(flatten)]
        policy: GenesisPolicy,
    },
    /// Joins a federation with the token of an invitation.
    Join {
        /// The token, or `-` to read from standard input the mail that it came in; wrapped, quoted or indented does not matter.
        #[arg(required_unless_present = "token_file")]
        token: Vec<String>,
        /// Reads it from a file: the mail that it came in, or the token alone.
        #[arg(long, value_name = "FILE", conflicts_with = "token")]
        token_file: Option<PathBuf>,
        #[command(flatten)]
        identity: Identity,
        #[command(flatten)]
        recovery: Recovery,
        /// Waits for the decision instead of leaving that to `havenlink run`.
        #[arg(long)]
        wait: bool,
    },
    /// Takes an application to join back, while it waits for approval.
    Withdraw,
    /// Shows what is lost here and how it comes back, from a backup or with a ticket; with --yes does it.
    Recover {
        /// The line that `havenctl member recovery-ticket` printed at another member, or `-` to read it from standard input: asks
        /// the stewards for a new authority key.
        ticket: Option<String>,
        /// A backup, or the folder of them [default: where the last one was put].
        #[arg(long, value_name = "PATH", conflicts_with = "ticket")]
        from: Option<PathBuf>,
        /// The recovery key that opens it, in a file, or `-` to read it from standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "ticket")]
        identity: Option<String>,
        /// Puts a key aside that is still here and of no use any more.
        #[arg(long, requires = "ticket")]
        replace_key: bool,
        /// Does what is planned.
        #[arg(long, conflicts_with = "ticket")]
        yes: bool,
    },
    /// Runs the node.
    Run {
        /// Of the only steward: orders by this clock although members agree on another time. Ask a clock that you trust first.
        #[arg(long)]
        clock_is_right: bool,
        /// Ends with whoever holds the other end of standard input, which is a pipe then.
        #[arg(long, hide = true)]
        with_starter: bool,
    },
    /// Plays the main job with three cities on this machine.
    Demo {
        /// Keeps everything in this directory; otherwise in a temporary one.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Ends after the play; fails if a step was not as it should be.
        #[arg(long)]
        exit: bool,
    },
    /// Checks configuration, files and keys, and changes nothing.
    Check,
    /// Makes a backup of a node, running or not, and seals it to the recovery key.
    Backup {
        /// Directory that takes the backup.
        directory: PathBuf,
        /// Leaves it open: whoever gets it can act as this authority.
        #[arg(long)]
        unsealed: bool,
    },
    /// Gives a node that has none a recovery key: later backups are sealed to it.
    RecoveryKey {
        /// The public half of one that is somewhere already: age1…
        #[arg(long, value_name = "RECIPIENT")]
        recipient: Option<String>,
        /// In place of the one that is here.
        #[arg(long)]
        replace: bool,
    },
    /// Puts a backup in place of the data directory; the node starts a new incarnation.
    Restore {
        /// The file that `backup` made, or its folder: the newest complete one of it is taken.
        file: PathBuf,
        /// The recovery key that opens it, in a file, or `-` to read it from standard input.
        #[arg(long, value_name = "FILE")]
        identity: Option<String>,
        /// Only opens it and looks whether all is there; what was opened is erased again.
        #[arg(long)]
        drill: bool,
    },
    /// Completions for a shell, on stdout.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Manual pages, one for each command, into a folder.
    #[command(hide = true)]
    Manual {
        /// The folder.
        folder: PathBuf,
    },
}

/// What a new node's backups are sealed to.
#[derive(Args, Default)]
struct Recovery {
    /// The public half of a recovery key, age1…; without it one is made, and its secret half is printed once.
    #[arg(long, value_name = "RECIPIENT")]
    recovery_recipient: Option<String>,
}

/// Times that a federation may set at its beginning; a majority changes them later.
#[derive(Args, Default)]
struct GenesisPolicy {
    /// Age of the stewards' signs of life beyond which a node is not fresh, e.g. 10m.
    #[arg(long, value_name = "SPAN", hide = true)]
    freshness_limit: Option<String>,
    /// Between two signs of life of a steward, e.g. 15s.
    #[arg(long, value_name = "SPAN", hide = true)]
    beat_interval: Option<String>,
    /// Changes between two snapshots of the register.
    #[arg(long, value_name = "NUMBER", hide = true)]
    snapshot_interval: Option<u64>,
    /// Stewards that must approve an admission.
    #[arg(long, value_name = "NUMBER", hide = true)]
    admission_approvals: Option<u32>,
}

impl Identity {
    /// The arguments as keys of the configuration, in the form of `--set`.
    fn into_set(self) -> Vec<String> {
        let one = |key: &str, value: Option<String>| value.map(|v| format!("{key}={v}"));
        let many = |key: &str, values: Vec<String>| (!values.is_empty()).then(|| format!("{key}={}", values.join(",")));
        // A path given by hand is meant from where the person stands; in the file it has to be absolute.
        let absolute = |path: Option<String>| {
            path.map(|p| std::path::absolute(&p).map_or(p, |absolute| absolute.display().to_string()))
        };
        let set = [
            one("authority", self.authority),
            many("names", self.name),
            many("endpoints", self.endpoint),
            one("contact.email", self.contact_email),
            one("contact.phone", self.contact_phone),
            one("listen", self.listen),
            one("data_dir", absolute(self.data_dir)),
            one("run_dir", absolute(self.run_dir)),
        ];
        set.into_iter().flatten().collect()
    }
}

fn main() -> ExitCode {
    // No key was read yet, nor a token.
    if let Err(error) = app::keep_undumped() {
        eprintln!("core dumps could not be turned off: {error}");
    }
    let Arguments { common, command } = Arguments::parse();
    match dispatch(common, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // In one piece: whoever follows a log sees all of it or nothing.
            let text = failure.to_string();
            eprint!("{text}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(common: Common, command: Command) -> Result<(), CommandFailure> {
    match command {
        Command::Demo { dir, exit } => app::demo(dir, exit),
        Command::Init { identity, recovery, policy } => {
            let (config, kept) = new_node(&common, identity, Vec::new())?;
            let policy = policy.read()?;
            app::init(&config, policy, recovery.recovery_recipient.as_deref())?;
            kept.write()
        }
        Command::Join { token, token_file, identity, recovery, wait } => {
            let token = match token_file {
                Some(file) => app::Token::in_file(&file)?,
                None => app::Token::read(&token.join(" "))?,
            };
            let (config, kept) = new_node(&common, identity, vec![format!("authority={}", token.intended_for())])?;
            app::join(&config, &token, wait, recovery.recovery_recipient.as_deref(), || kept.write())
        }
        Command::Withdraw => app::withdraw(&load(&common, Vec::new())?),
        Command::Recover { ticket: Some(ticket), replace_key, .. } => {
            app::recover(&load(&common, Vec::new())?, &ticket, replace_key)
        }
        Command::Recover { from, identity, yes, .. } => {
            let config = load(&common, Vec::new())?;
            let identities = identities(identity)?;
            app::planned(&config, &app::Recovery { from: from.as_deref(), identities: &identities, yes })
        }
        Command::Run { clock_is_right, with_starter } => {
            let config = load(&common, Vec::new())?;
            app::run(config, Box::new(move || load(&common, Vec::new())), with_starter, clock_is_right)
        }
        Command::Check => app::check(&load(&common, Vec::new())?),
        Command::Backup { directory, unsealed } => app::backup(&load(&common, Vec::new())?, &directory, unsealed),
        Command::RecoveryKey { recipient, replace } => {
            app::recovery_key(&load(&common, Vec::new())?, recipient.as_deref(), replace)
        }
        Command::Restore { file, identity, drill } => {
            let config = load(&common, Vec::new())?;
            let identities = identities(identity)?;
            let act = if drill { app::drill } else { app::restore };
            act(&config, &file, &identities)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "havenlink", &mut script);
            // Who reads only its beginning closes the pipe.
            _ = std::io::stdout().write_all(&script);
            Ok(())
        }
        Command::Manual { folder } => {
            clap_mangen::generate_to(Arguments::command(), &folder).map_err(|e| CommandFailure::file(&folder, &e))
        }
    }
}

/// What may open a sealed backup; nothing where none was named.
fn identities(from: Option<String>) -> Result<Vec<app::Identity>, CommandFailure> {
    from.as_deref().map(app::read_identity).transpose().map(Option::unwrap_or_default)
}

fn sources(common: &Common, more: Vec<String>) -> Result<Sources, CommandFailure> {
    let mut set = more;
    set.extend(common.set.iter().cloned());
    Sources::read(common.config.as_deref(), set)
        .map_err(|e| CommandFailure::config_unreadable(common.config.as_deref(), &e))
}

fn load(common: &Common, more: Vec<String>) -> Result<Config, CommandFailure> {
    Ok(config::load(&sources(common, more)?)?)
}

/// The configuration of a node that is being made. Where no file says anything yet, the arguments become one, so that
/// nobody has to edit it. `assumed` holds where nothing else says.
fn new_node(common: &Common, identity: Identity, assumed: Vec<String>) -> Result<(Config, Kept), CommandFailure> {
    let path = common.config.clone().unwrap_or_else(|| PathBuf::from(config::DEFAULT_PATH));
    let mut set = identity.into_set();
    set.extend(common.set.iter().cloned());
    let there = match std::fs::read_to_string(&path) {
        // The one that the package brings.
        Ok(text) if config::says_nothing(&text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Ok(_) | Err(_) => {
            let sources = Sources { assumed, ..sources(common, set)? };
            return Ok((with_contact(sources)?.0, Kept(None)));
        }
    };
    let variables = Sources::read(None, Vec::new()).map(|s| s.variables).unwrap_or_default();
    let (config, sources) = with_contact(Sources { file: None, variables, set, assumed })?;
    let written = [sources.assumed, sources.set].concat();
    Ok((config, Kept(Some((path, there + &config::as_file(&written))))))
}

/// With what a person answers where the configuration names no contact.
fn with_contact(mut sources: Sources) -> Result<(Config, Sources), CommandFailure> {
    let config = config::load(&sources)?;
    let answered = app::ask_for_contact(&config);
    if answered.is_empty() {
        return Ok((config, sources));
    }
    sources.set.extend(answered);
    Ok((config::load(&sources)?, sources))
}

/// A configuration file to write once the node is made.
struct Kept(Option<(PathBuf, String)>);

impl Kept {
    fn write(&self) -> Result<(), CommandFailure> {
        let Some((path, text)) = &self.0 else { return Ok(()) };
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text));
        written.map_err(|e| CommandFailure::config_unreadable(Some(path), &e))
    }
}

impl GenesisPolicy {
    fn read(self) -> Result<app::GenesisPolicy, CommandFailure> {
        let span = |name: &str, text: Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                config::span_of(&text).map(Some).ok_or_else(|| CommandFailure::argument(name, "a span such as 10s"))
            }
        };
        Ok(app::GenesisPolicy {
            freshness_limit: span("--freshness-limit", self.freshness_limit)?,
            beat_interval: span("--beat-interval", self.beat_interval)?,
            snapshot_interval: self.snapshot_interval,
            admission_approvals: self.admission_approvals,
        })
    }
}
