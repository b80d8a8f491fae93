//! Nodes at rest: whether one uses a processor, or fills its log, while nothing is asked of it.
//!
//! What is looked at is what the system tells of a process (`/proc/PID/stat`) and what it wrote into its log. A look of a
//! second is at the end of every story, before its nodes go; who is busy in it is looked at for ten seconds more, and only
//! those judge. Logs are read whole: a condition that is told too often is found wherever in the story it was.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use havenlink::demo::city::City;
use havenlink::demo::sample::CitySample;

/// As long as a rest is.
pub const REST: Duration = Duration::from_secs(10);
/// The first look.
const LOOK: Duration = Duration::from_secs(1);
/// Rests after which a node that was busy in each is one that does not come to rest.
const RESTS: usize = 3;
/// Most of one processor core that a node uses at rest, in percent.
const MOST_PERCENT: u128 = 5;
/// Most lines about one condition within `MINUTE_MS`.
const MOST_LINES: usize = 20;
const MINUTE_MS: i64 = 60_000;
/// What `/proc` counts in: USER_HZ, which is 100 on every machine that Linux runs on today.
const TICK: Duration = Duration::from_millis(10);

/// A process that is looked at.
#[derive(Clone, Debug)]
pub struct Looked {
    pub name: String,
    pub pid: u32,
}

/// The nodes of these cities that run.
pub fn running(cities: &[City]) -> Vec<Looked> {
    cities.iter().filter_map(|city| Some(Looked { name: city.id().to_owned(), pid: city.pid()? })).collect()
}

/// Processor time that a process has used since it began; `None`: it is no more.
pub fn processor_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and brackets; what follows on it are numbers: state is the first, utime the twelfth.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * ticks()?.checked_add(ticks()?)?)
}

/// Who used more than a node at rest does, over so long, and how much.
pub fn busy(nodes: &[Looked], time: Duration) -> Vec<(Looked, String)> {
    let began = Instant::now();
    let before: Vec<_> = nodes.iter().map(|node| processor_time(node.pid)).collect();
    std::thread::sleep(time);
    let spent = began.elapsed();
    let used = |(node, before): (&Looked, Option<Duration>)| {
        let used = processor_time(node.pid)?.saturating_sub(before?);
        let too_much = used.as_micros() * 100 > spent.as_micros() * MOST_PERCENT;
        too_much.then(|| (node.clone(), format!("{}: {used:?} of processor time in {spent:?}", node.name)))
    };
    nodes.iter().zip(before).filter_map(used).collect()
}

/// Nodes that do not come to rest, each with what it used: busy in a first look, and in as many rests of such a length.
fn restless(nodes: &[Looked], first: Duration, rest: Duration) -> Vec<String> {
    let mut busy_ones = busy(nodes, first);
    for _ in 0..RESTS {
        if busy_ones.is_empty() {
            break;
        }
        let nodes: Vec<Looked> = busy_ones.into_iter().map(|(node, _)| node).collect();
        busy_ones = busy(&nodes, rest);
    }
    busy_ones.into_iter().map(|(_, used)| used).collect()
}

/// A city that is none of a `Federation`'s, and is looked at in the same way when its story ends.
pub struct Watched(City);

impl Watched {
    /// As `City::prepare`.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn prepare(root: &Path, sample: &'static CitySample, binary: &Path) -> anyhow::Result<Self> {
        City::prepare(root, sample, binary).map(Self)
    }
}

impl Deref for Watched {
    type Target = City;

    fn deref(&self) -> &City {
        &self.0
    }
}

impl DerefMut for Watched {
    fn deref_mut(&mut self) -> &mut City {
        &mut self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let cities = std::slice::from_ref(&self.0);
        let faults = if std::thread::panicking() { Vec::new() } else { faults(cities) };
        assert!(faults.is_empty(), "at rest, at the end of the story:\n{}", faults.join("\n"));
    }
}

/// What is wrong with the nodes of these cities at the end of a story.
pub fn faults(cities: &[City]) -> Vec<String> {
    faults_over(cities, LOOK)
}

/// The same of cities that are watched for the whole of a rest.
pub fn faults_at_rest(cities: &[City]) -> Vec<String> {
    faults_over(cities, REST)
}

fn faults_over(cities: &[City], first: Duration) -> Vec<String> {
    let mut faults = restless(&running(cities), first, REST);
    for log in cities.iter().map(log_of) {
        let text = std::fs::read(&log).unwrap_or_default();
        let told = told_too_often(&String::from_utf8_lossy(&text));
        faults.extend(told.into_iter().map(|told| format!("{}: {told}", log.display())));
    }
    faults
}

fn log_of(city: &City) -> PathBuf {
    Path::join(&city.dir, "node.log")
}

/// Conditions of which a log tells more often than it may within some minute, each with the most that it has of one.
pub fn told_too_often(log: &str) -> Vec<String> {
    let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (at, condition) in log.lines().filter_map(read_line) {
        times.entry(condition).or_default().push(at);
    }
    let most = |times: &[i64]| {
        let within = |from: &i64| times.iter().filter(|at| (0..MINUTE_MS).contains(&(*at - from))).count();
        times.iter().map(within).max().unwrap_or(0)
    };
    let told = times.iter().map(|(condition, times)| (condition, most(times)));
    told.filter(|(_, most)| *most > MOST_LINES)
        .map(|(told, most)| format!("{most} lines in a minute: {told}"))
        .collect()
}

/// When a line was written, and which condition it tells of: its words and its causes, whom it is about among them, without what
/// counts or measures.
fn read_line(line: &str) -> Option<(i64, String)> {
    let (time, rest) = line.split_once(' ')?;
    let at = read_time(time)?;
    let level = rest.split_whitespace().next()?;
    let counts = |word: &str| word.starts_with("trace=") || word.chars().any(|c| c.is_ascii_digit());
    let cause = |word: &&str| word.starts_with("authority=") || !counts(word);
    let words: Vec<&str> = rest.split_whitespace().filter(cause).collect();
    matches!(level, "INFO" | "WARN" | "ERROR").then(|| (at, words.join(" ")))
}

/// Milliseconds of `2026-05-04T03:02:01.000Z` from some instant on; two times of one month are as far apart as they are.
fn read_time(text: &str) -> Option<i64> {
    let numbers: Vec<i64> =
        text.strip_suffix('Z')?.split(['-', 'T', ':', '.']).map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second, ms] = numbers[..] else { return None };
    let days = (year * 12 + month) * 31 + day;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A process that goes with the test.
    struct Running(Child);

    impl Running {
        fn shell(line: &str) -> Self {
            Self(Command::new("sh").args(["-c", line]).spawn().expect("a shell"))
        }

        fn looked(&self) -> Looked {
            Looked { name: "a shell".to_owned(), pid: self.0.id() }
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_busy_process_is_caught_and_one_that_waits_is_not() {
        let (busy_one, waits) = (Running::shell("while :; do :; done"), Running::shell("exec sleep 600"));
        let found = busy(&[busy_one.looked(), waits.looked()], LOOK);
        assert_eq!(found.iter().map(|(node, _)| node.pid).collect::<Vec<_>>(), [busy_one.0.id()], "{found:?}");
        assert!(restless(&[waits.looked()], LOOK, LOOK).is_empty());
        assert!(processor_time(waits.0.id()).is_some_and(|used| used < LOOK));
    }

    #[test]
    fn one_that_was_busy_and_comes_to_rest_is_not_restless() {
        let settles = Running::shell("i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; exec sleep 600");
        let found = restless(&[settles.looked()], LOOK / 10, LOOK);
        assert!(found.is_empty(), "{found:?}");
    }

    fn line(second: usize, rest: &str) -> String {
        format!("2026-05-04T03:{:02}:{:02}.000Z {rest}\n", second / 60, second % 60)
    }

    #[test]
    fn a_condition_that_is_told_too_often_is_named_whatever_it_counts() {
        let told = |lines: usize, apart: usize| {
            let line = |n| {
                line(
                    n * apart,
                    &format!("WARN  exchange::road an attempt failed reason=NO_LEADER count={n} trace=ab{n}"),
                )
            };
            told_too_often(&(0..lines).map(line).collect::<String>())
        };
        assert_eq!(told(MOST_LINES, 1), [""; 0]);
        assert_eq!(told(200, 3), [""; 0], "20 in each minute");
        let found = told(MOST_LINES + 1, 1);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("21 lines") && found[0].contains("NO_LEADER"), "{found:?}");
    }

    #[test]
    fn other_causes_levels_and_words_are_other_conditions() {
        let many = |rest: &str| (0..15).map(|n| line(n, rest)).collect::<String>();
        let apart = [
            "WARN  exchange::road an attempt failed reason=NO_LEADER",
            "WARN  exchange::road an attempt failed reason=TIMED_OUT",
            "DEBUG exchange::road an attempt failed reason=NO_LEADER",
            "WARN  exchange::road an answer was lost reason=NO_LEADER",
        ];
        assert_eq!(told_too_often(&apart.map(many).concat()), [""; 0]);
        assert_eq!(told_too_often(&(many(apart[0]) + &many(apart[0]))).len(), 1);
        let joined = |n| line(n, &format!("INFO  journal the register has a new member authority=de-city-{n}"));
        assert_eq!(told_too_often(&(0..59).map(joined).collect::<String>()), [""; 0], "each is about another one");
        assert_eq!(told_too_often("no line of ours\n\n2026 either\n"), [""; 0]);
    }
}
