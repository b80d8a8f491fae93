//! What each partner may take of this node, as the configuration says it now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::ids::AuthorityId;
use crate::domain::record::StreamClass;
use crate::services::layers::{Budget, Charge, StreamPermit, StreamPermits};
use crate::services::peer::Rows;
use crate::transport::budget::Allowance;
use crate::transport::{Budgets, Cost, ViewSource};

/// How many times as much a steward may ask and propose: it passes on what others ask of it.
const STEWARDS: u32 = 10;

/// What each partner may take: of the exchange, of what the register is asked, and of the register's log. Clones are one.
#[derive(Clone)]
pub struct PartnerBudgets {
    exchange: Budgets,
    control: Budgets,
    /// Of members, and of stewards.
    statements: [Budgets; 2],
    asked: [Budgets; 2],
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
            havenlink_runtime::repeated!(warn by peer.as_str(); %peer, ended, "a partner went on calling with its budget exhausted; its connections were ended");
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
            statements: [1, STEWARDS].map(|times| of(statements(config, times))),
            asked: [1, STEWARDS].map(|times| of(questions(config, times))),
        }
    }

    /// Puts what this configuration says in force.
    pub fn change(&self, config: &Config) {
        self.exchange.change(&exchange(config));
        self.control.change(&control(config));
        for (n, times) in [1, STEWARDS].into_iter().enumerate() {
            self.statements[n].change(&statements(config, times));
            self.asked[n].change(&questions(config, times));
        }
    }

    /// For the guard of the peer port, and for what stores rows.
    pub fn doors(&self, view: ViewSource) -> (Budget, StreamPermits, Rows) {
        let Self { exchange: budgets, control, statements, asked } = self.clone();
        let (rows, streams) = (budgets.clone(), budgets.clone());
        let permit = move |peer: &AuthorityId| -> Result<StreamPermit, _> {
            streams.stream(peer).map(|permit| Box::new(permit) as StreamPermit).map_err(|wait| wait.0)
        };
        let spend = move |peer: &AuthorityId, spent| {
            let (from, cost) = match spent {
                Charge::ExchangeCall => (&budgets, Cost::call(0)),
                Charge::ExchangeBytes(bytes) => (&budgets, Cost { bytes, ..Cost::default() }),
                Charge::RegisterCall => (of(&view, peer, &asked), Cost::call(0)),
                Charge::RegisterBytes(bytes) => (of(&view, peer, &asked), Cost { bytes, ..Cost::default() }),
                Charge::Statement => (of(&view, peer, &statements), Cost { calls: 1, rows: 1, bytes: 0 }),
            };
            from.check(peer, cost).map_err(|wait| wait.0)
        };
        let store = move |peer: &AuthorityId, class, items| {
            if class == StreamClass::Control {
                control.check(peer, Cost::rows(items)).map_err(|wait| wait.0)?;
            }
            rows.check(peer, Cost::rows(items)).map_err(|wait| wait.0)
        };
        (Arc::new(spend), Arc::new(permit), Arc::new(store))
    }
}
