//! Salts of recent records: a record's leaves follow each other closely (published, disclosed to each partner).

use std::collections::{HashMap, VecDeque};

use crate::audit::Salt;
use crate::domain::ids::RecordId;

const KEPT: usize = 4_096;

/// The last few thousand, oldest out first.
#[derive(Default)]
pub(super) struct SaltCache {
    salts: HashMap<RecordId, Salt>,
    order: VecDeque<RecordId>,
}

impl SaltCache {
    pub fn get(&self, id: &RecordId) -> Option<Salt> {
        self.salts.get(id).copied()
    }

    /// Adds what has been committed.
    pub fn extend(&mut self, salts: Vec<(RecordId, Salt)>) {
        for (id, salt) in salts {
            if self.salts.insert(id, salt).is_none() {
                self.order.push_back(id);
            }
            if self.order.len() > KEPT
                && let Some(oldest) = self.order.pop_front()
            {
                self.salts.remove(&oldest);
            }
        }
    }

    /// After a sweep or a failure nothing is known.
    pub fn clear(&mut self) {
        self.salts.clear();
        self.order.clear();
    }
}
