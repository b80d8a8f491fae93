//! What each partner may take of this node, as the configuration says it now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::exchange::Spent;
use crate::services::layers::{Budget, Charge, StreamPermit, StreamPermits};
use crate::services::peer::BatchBudget;
use crate::telemetry::journal::{Entry, Event};
use crate::transport::budget::{Allowance, RetryAfter};
use crate::transport::debts::{Debts, Rate};
use crate::transport::{Budgets, Cost, ViewSource};

/// How many times as much a steward may ask and propose: it passes on what others ask of it.
const STEWARDS: u32 = 10;

/// What each partner may take: of the exchange, of what the register is asked, and of the register's log. Clones are one.
#[derive(Clone)]
pub struct PartnerBudgets {
    exchange: Budgets,
    control: Budgets,
    /// Questions for capacity.
    capacity: Budgets,
    /// Of members, and of stewards.
    statements: [Budgets; 2],
    asked: [Budgets; 2],
    afterwards: Arc<Afterwards>,
}

/// What is known only when a batch was looked at.
struct Afterwards {
    worked: Debts,
    stored: Debts,
}

/// Seconds of processor time.
fn worked(config: &Config) -> Rate {
    Rate { per_second: f64::from(config.budget_processor.0) / 1_000.0, at_once: Duration::from_secs(5) }
}

/// Bytes; a whole day's at once.
fn stored(config: &Config) -> Rate {
    let day = Duration::from_secs(86_400);
    Rate { per_second: f64::from(config.budget_stored.0) * f64::from(1 << 20) / day.as_secs_f64(), at_once: day }
}

/// Of a partner's batches: rows beforehand, the rest afterwards.
struct OfBatches {
    exchange: Budgets,
    control: Budgets,
    capacity: Budgets,
    afterwards: Arc<Afterwards>,
}

/// How long to wait; whoever has to is in the journal.
fn told<T>(partner: &AuthorityId, taken: Result<T, RetryAfter>) -> Result<T, Duration> {
    taken.map_err(|wait| {
        let reason = Some(Reason::BudgetExhausted);
        Entry { reason, ..Entry::about(Event::Flood, partner) }.count(1);
        wait.0
    })
}

impl BatchBudget for OfBatches {
    fn take(&self, partner: &AuthorityId, class: StreamClass, rows: usize) -> Result<(), Duration> {
        let of_class = || match class {
            // Ends and withdrawals pass whatever content has cost: their own budget bounds them.
            StreamClass::Control => self.control.check(partner, Cost::rows(rows)),
            StreamClass::Content => self.afterwards.stored.check(partner),
        };
        let worked = self.afterwards.worked.check(partner);
        let taken = worked.and_then(|()| of_class()).and_then(|()| self.exchange.check(partner, Cost::rows(rows)));
        told(partner, taken)
    }

    fn take_question(&self, partner: &AuthorityId) -> Result<(), Duration> {
        self.capacity.check(partner, Cost::rows(1)).map_err(|wait| {
            let reason = Some(Reason::BudgetExhausted);
            Entry { reason, ..Entry::about(Event::AskedTooOften, partner) }.count(1);
            wait.0
        })
    }

    fn spent(&self, partner: &AuthorityId, spent: Spent) {
        self.afterwards.worked.spend(partner, spent.worked.as_secs_f64());
        self.afterwards.stored.spend(partner, spent.stored as f64);
    }
}

fn exchange(config: &Config) -> Allowance {
    Allowance {
        calls: config.budget_calls.0,
        bytes: config.budget_bytes.0,
        rows: config.budget_rows.0,
        ..Allowance::default()
    }
}

/// Control needs no agreement (9.2), so its budget is its own, and small.
fn control(config: &Config) -> Allowance {
    Allowance { rows: config.budget_control.0, ..exchange(config) }
}

/// Who looks for places asks now and then; who asks again and again looks for where they are (11.4).
fn capacity(config: &Config) -> Allowance {
    Allowance { rows: config.budget_capacity.0, ..exchange(config) }
}

/// Statements are counted before they are looked at, since one that is refused is numbered, stored and replicated all
/// the same.
fn statements(config: &Config, times: u32) -> Allowance {
    Allowance {
        calls: config.budget_statements.0.saturating_mul(times),
        rows: config.budget_statements_day.0.saturating_mul(times),
        ..Allowance::default()
    }
}

/// What each partner may ask of the register.
fn questions(config: &Config, times: u32) -> Allowance {
    Allowance {
        calls: config.budget_register_calls.0.saturating_mul(times),
        bytes: config.budget_register_bytes.0.saturating_mul(times),
        ..Allowance::default()
    }
}

/// A member's budget, or a steward's.
fn of<'a>(view: &ViewSource, peer: &AuthorityId, [members, stewards]: &'a [Budgets; 2]) -> &'a Budgets {
    if view.load().is_steward(peer) { stewards } else { members }
}

/// Refusals in a minute after which a partner's connections end: whoever goes on calling does not read the answers, each of
/// which says how long to wait.
const UNHEARD: u32 = 1_000;

/// A budget that ends the connections (`end`; how many) of a partner which calls on and on although it is exhausted. It may come again at once,
/// and pays a handshake each time.
pub fn ending(
    budget: Budget,
    clock: SharedClock,
    end: impl Fn(&AuthorityId) -> usize + Send + Sync + 'static,
) -> Budget {
    let refused: Mutex<HashMap<AuthorityId, (Duration, u32)>> = Mutex::default();
    Arc::new(move |peer, charge| {
        let wait = match budget(peer, charge) {
            Ok(()) => return Ok(()),
            Err(wait) => wait,
        };
        let now = clock.monotonic();
        let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = refused.entry(peer.clone()).or_insert((now, 0));
        if now.saturating_sub(*since) > Duration::from_secs(60) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count >= UNHEARD {
            refused.remove(peer);
            let ended = end(peer);
            Entry::about(Event::FloodEnded, peer).count(ended as u64);
        }
        Err(wait)
    })
}

impl PartnerBudgets {
    pub fn new(config: &Config, clock: &SharedClock) -> Self {
        let of = |allowance| Budgets::new(allowance, clock.clone());
        Self {
            exchange: of(exchange(config)),
            control: of(control(config)),
            capacity: of(capacity(config)),
            statements: [1, STEWARDS].map(|times| of(statements(config, times))),
            asked: [1, STEWARDS].map(|times| of(questions(config, times))),
            afterwards: Arc::new(Afterwards {
                worked: Debts::new(worked(config), clock.clone()),
                stored: Debts::new(stored(config), clock.clone()),
            }),
        }
    }

    /// Puts what this configuration says in force.
    pub fn change(&self, config: &Config) {
        self.exchange.change(&exchange(config));
        self.control.change(&control(config));
        self.capacity.change(&capacity(config));
        self.afterwards.worked.change(worked(config));
        self.afterwards.stored.change(stored(config));
        for (n, times) in [1, STEWARDS].into_iter().enumerate() {
            self.statements[n].change(&statements(config, times));
            self.asked[n].change(&questions(config, times));
        }
    }

    /// For the guard of the peer port, and for what stores rows.
    pub fn doors(&self, view: ViewSource) -> (Budget, StreamPermits, Arc<dyn BatchBudget>) {
        let Self { exchange: budgets, control, capacity, statements, asked, afterwards } = self.clone();
        let (exchange, streams) = (budgets.clone(), budgets.clone());
        let permit = move |peer: &AuthorityId| -> Result<StreamPermit, _> {
            told(peer, streams.stream(peer).map(|permit| Box::new(permit) as StreamPermit))
        };
        let spend = move |peer: &AuthorityId, spent| {
            let (from, cost) = match spent {
                Charge::ExchangeCall => (&budgets, Cost::call(0)),
                Charge::ExchangeBytes(bytes) => (&budgets, Cost { bytes, ..Cost::default() }),
                Charge::RegisterCall => (of(&view, peer, &asked), Cost::call(0)),
                Charge::RegisterBytes(bytes) => (of(&view, peer, &asked), Cost { bytes, ..Cost::default() }),
                Charge::Statement => (of(&view, peer, &statements), Cost { calls: 1, rows: 1, bytes: 0 }),
            };
            told(peer, from.check(peer, cost))
        };
        let batches = OfBatches { exchange, control, capacity, afterwards };
        (Arc::new(spend), Arc::new(permit), Arc::new(batches))
    }
}
