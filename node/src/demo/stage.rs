//! What the demo prints: each step, what was seen, and how long it took.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Prints steps and remembers whether one was not as it should be.
pub struct Stage {
    number: usize,
    started: Instant,
    failed: Vec<String>,
    silent: bool,
}

/// A step that has begun; its time is printed when it ends.
pub struct Step {
    started: Instant,
}

impl Stage {
    pub fn new() -> Self {
        Self { number: 0, started: Instant::now(), failed: Vec::new(), silent: false }
    }

    /// A stage that prints nothing, for tests that only need what the acts build.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::new() }
    }

    /// What was not as it should be.
    pub fn failures(&self) -> &[String] {
        &self.failed
    }

    fn print(&self, line: impl Display) {
        if !self.silent {
            println!("{line}");
        }
    }

    /// Announces a step: what is being done.
    pub fn step(&mut self, what: &str) -> Step {
        self.number += 1;
        self.print(format_args!("\n{:>2}  {what}", self.number));
        Step { started: Instant::now() }
    }

    /// A line of what was seen.
    pub fn saw(&self, line: impl Display) {
        self.print(format_args!("      {line}"));
    }

    /// Ends a step: as it should be, or not.
    pub fn check(&mut self, step: &Step, as_it_should_be: bool, seen: impl Display) {
        let took = Self::readable(step.started.elapsed());
        if as_it_should_be {
            self.print(format_args!("    ✓ {seen}  ({took})"));
        } else {
            self.print(format_args!("    ✗ NOT AS IT SHOULD BE: {seen}  ({took})"));
            self.failed.push(format!("step {}: {seen}", self.number));
        }
    }

    /// The closing lines; true when every step was as it should be.
    pub fn close(&self) -> bool {
        let took = Self::readable(self.started.elapsed());
        if self.failed.is_empty() {
            println!("\nAll {} steps were as they should be, in {took}.", self.number);
        } else {
            println!("\n{} not as it should be, in {took}:", self.failed.len());
            for failure in &self.failed {
                println!("  {failure}");
            }
        }
        self.failed.is_empty()
    }

    fn readable(span: Duration) -> String {
        if span.as_millis() < 10_000 {
            format!("{} ms", span.as_millis())
        } else {
            format!("{:.1} s", span.as_secs_f64())
        }
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}
