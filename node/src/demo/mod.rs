//! `havenlink demo`: the main job, played by three cities in three countries on this machine.
//!
//! What lives here: starting three child processes of this binary, the acts of the story, the bundled sample. What does
//! not: any shortcut. The demo speaks to the nodes as an operator, a coordinator and a city's own software would, over
//! their sockets; what it prints is what the nodes answered.
//! Invariants: a step that was not as it should be makes `--exit` end with an error; no node outlives the demo, whatever ends it.

pub mod acts;
pub mod city;
pub mod ports;
pub mod sample;
pub mod stage;

use std::path::{Path, PathBuf};

use city::City;
use stage::Stage;

/// The three cities, by name.
pub struct Cities {
    pub strasbourg: City,
    pub kehl: City,
    pub esch: City,
}

impl Cities {
    /// Lays out the three folders; nothing runs yet.
    ///
    /// # Errors
    /// When a folder cannot be made, or no port is free.
    pub fn prepare(root: &Path, binary: &Path) -> anyhow::Result<Self> {
        let [strasbourg, kehl, esch] = &sample::CITIES;
        Ok(Self {
            strasbourg: City::prepare(root, strasbourg, binary)?,
            kehl: City::prepare(root, kehl, binary)?,
            esch: City::prepare(root, esch, binary)?,
        })
    }

    pub fn all(&mut self) -> [&mut City; 3] {
        [&mut self.strasbourg, &mut self.kehl, &mut self.esch]
    }
}

/// What the command line asked for.
pub struct Options {
    /// End after the last step.
    pub exit: bool,
    /// Folder for the three nodes; otherwise a temporary one that goes when the demo ends.
    pub dir: Option<PathBuf>,
    /// Alerts in the act in which a node is killed.
    pub alerts: usize,
}

/// Plays the demo, until `ended` says otherwise. Gives false when a step was not as it should be.
///
/// # Errors
/// When the stage itself cannot be set: no folder, no free port, a node that does not start.
pub async fn run(options: Options, ended: impl Future<Output = ()>) -> anyhow::Result<bool> {
    let temporary =
        if options.dir.is_none() { Some(tempfile::Builder::new().prefix("havenlink-demo-").tempdir()?) } else { None };
    let root = match (&options.dir, &temporary) {
        (Some(dir), _) => std::path::absolute(dir)?,
        (None, Some(dir)) => dir.path().to_owned(),
        (None, None) => unreachable!("one of the two was made above"),
    };
    let mut cities = Cities::prepare(&root, &std::env::current_exe()?)?;
    println!("Three cities in three countries, three processes, folder {}", root.display());
    println!("Nothing leaves 127.0.0.1.");
    let mut stage = Stage::new();
    tokio::pin!(ended);
    let played = tokio::select! {
        played = play(&mut stage, &mut cities, options.alerts) => played,
        () = &mut ended => Err(anyhow::anyhow!("interrupted")),
    };
    if let Err(error) = &played {
        println!("    ✗ the demo stopped: {error:#}");
    }
    let fine = stage.close() && played.is_ok();
    if !options.exit && played.is_ok() {
        next(&cities);
        ended.await;
    }
    for city in cities.all() {
        city.stop().await?;
    }
    Ok(fine)
}

async fn play(stage: &mut Stage, cities: &mut Cities, alerts: usize) -> anyhow::Result<()> {
    acts::founding::play(stage, cities).await?;
    acts::agreeing::play(stage, cities).await?;
    acts::alerting::play(stage, cities).await?;
    acts::learning::play(stage, cities).await?;
    acts::places::play(stage, cities).await?;
    acts::holding::play(stage, cities).await?;
    acts::referring::play(stage, cities).await?;
    acts::crash::play(stage, cities, alerts).await?;
    acts::suspension::play(stage, cities).await?;
    acts::footprint::play(stage, cities);
    Ok(())
}

fn next(cities: &Cities) {
    println!("\nThe three nodes stay up. Try next, in another terminal:");
    for (city, command) in [(&cities.strasbourg, "status"), (&cities.kehl, "alert list"), (&cities.esch, "offer list")]
    {
        println!("  havenctl --sockets {} {command}", city.sockets().display());
    }
    println!("Ctrl-C ends the demo, and so does the end of this terminal.");
}
