//! One table out, and the same as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::measure::{Loop, Sample};

/// One row: ours, with the ceiling of the same run beside it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub scenario: String,
    pub ours: Loop,
    /// Processor time per operation in microseconds, by process.
    pub cpu_us: BTreeMap<&'static str, f64>,
    pub ceiling: Option<Ceiling>,
    pub gates: Vec<Gate>,
}

/// The best that could be had on this machine in this minute.
#[derive(Clone, Debug, Serialize)]
pub struct Ceiling {
    pub what: &'static str,
    pub per_second: f64,
    pub p50_us: u64,
}

impl Ceiling {
    /// A measured loop as a ceiling.
    pub fn of(what: &'static str, measured: &Sample) -> Self {
        Self { what, per_second: measured.ran.per_second, p50_us: measured.ran.p50_us }
    }
}

/// A figure that the project asks for.
#[derive(Clone, Debug, Serialize)]
pub struct Gate {
    pub what: String,
    pub met: bool,
}

impl Gate {
    /// A figure that must not be lower.
    pub fn at_least(value: f64, bound: f64, unit: &str) -> Self {
        Self { what: format!("≥ {bound:.0}{unit}"), met: value >= bound }
    }

    /// A figure that must not be higher.
    pub fn at_most(value: f64, bound: f64, unit: &str) -> Self {
        Self { what: format!("≤ {bound:.0}{unit}"), met: value <= bound && value > 0.0 }
    }
}

/// A figure that is not a rate: memory, size, time to ready.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    pub gate: Option<Gate>,
}

/// Everything that a run measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub rows: Vec<Row>,
    pub figures: Vec<Figure>,
    /// What could not be measured, and why.
    pub skipped: Vec<String>,
}

impl Report {
    /// Adds a measured loop.
    pub fn row(&mut self, scenario: &str, sample: Sample) -> &mut Row {
        let row = Row {
            scenario: scenario.to_owned(),
            ours: sample.ran,
            cpu_us: sample.cpu_us,
            ceiling: None,
            gates: Vec::new(),
        };
        eprintln!("  {} · {} in flight: {:.0}/s", row.scenario, row.ours.in_flight, row.ours.per_second);
        self.rows.push(row);
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    /// Adds a figure.
    pub fn figure(&mut self, what: &str, value: f64, unit: &'static str, gate: Option<Gate>) {
        let figure = Figure { what: what.to_owned(), value, unit, gate };
        eprintln!("  {}: {:.1} {}", figure.what, figure.value, figure.unit);
        self.figures.push(figure);
    }

    /// Adds what could not be measured.
    pub fn skip(&mut self, what: String) {
        eprintln!("  skipped: {what}");
        self.skipped.push(what);
    }

    /// For people.
    pub fn print(&self) {
        Row::head();
        self.rows.iter().for_each(Row::print);
        println!();
        self.figures.iter().for_each(Figure::print);
        let mut ceilings: Vec<_> = self.rows.iter().filter_map(|r| r.ceiling.as_ref()).map(|c| c.what).collect();
        ceilings.sort_unstable();
        ceilings.dedup();
        if !ceilings.is_empty() {
            println!("\nratio: ours / the ceiling measured beside it ({})", ceilings.join("; "));
        }
        self.skipped.iter().for_each(|what| println!("skipped: {what}"));
        match self.missed() {
            0 => println!("all gates met"),
            n => println!("{n} gates MISSED"),
        }
    }

    /// How many gates were missed.
    pub fn missed(&self) -> usize {
        let rows = self.rows.iter().flat_map(|r| &r.gates);
        rows.chain(self.figures.iter().filter_map(|f| f.gate.as_ref())).filter(|g| !g.met).count()
    }
}

impl Row {
    fn head() {
        println!(
            "\n{:<40} {:>6} {:>9} {:>9} {:>9} {:>6} {:>10} {:>6}  {:<34} gate",
            "scenario", "flight", "per s", "p50 µs", "p99 µs", "errors", "ceiling/s", "ratio", "CPU µs per operation"
        );
    }

    fn print(&self) {
        let ceiling = self.ceiling.as_ref();
        let cpu: Vec<_> = self.cpu_us.iter().map(|(process, us)| format!("{process} {us:.0}")).collect();
        let gates: Vec<_> = self.gates.iter().map(verdict).collect();
        println!(
            "{:<40} {:>6} {:>9.0} {:>9} {:>9} {:>6} {:>10} {:>6}  {:<34} {}",
            self.scenario,
            if self.ours.in_flight == 0 { "open".to_owned() } else { self.ours.in_flight.to_string() },
            self.ours.per_second,
            self.ours.p50_us,
            self.ours.p99_us,
            self.ours.errors,
            ceiling.map_or(String::new(), |c| format!("{:.0}", c.per_second)),
            ceiling.map_or(String::new(), |c| format!("{:.3}", self.ours.per_second / c.per_second)),
            cpu.join(" "),
            gates.join(", "),
        );
    }
}

impl Figure {
    fn print(&self) {
        let gate = self.gate.as_ref().map(verdict).unwrap_or_default();
        println!("{:<58} {:>9.1} {:<4} {gate}", self.what, self.value, self.unit);
    }
}

fn verdict(gate: &Gate) -> String {
    format!("{} {}", if gate.met { "met" } else { "MISSED" }, gate.what)
}
