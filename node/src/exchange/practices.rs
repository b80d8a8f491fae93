//! Practices: search in one's own and in received ones, by coded fields and by words.
//!
//! Coded fields find a practice whatever language it is written in; words find it in any language that it has. Newest
//! first, received before own; a version that a later one replaces is left out.

use std::sync::Arc;

use crate::domain::audit::ActorRole;
use crate::domain::handling::Handling;
use crate::domain::policy::ReadPurpose;
use crate::domain::record::{RecordKey, ReferenceKind};
use crate::domain::records::practice::{Practice, PracticeAudience, PracticeOutcome, PracticeText, PracticeTopic};
use crate::domain::records::{Content, RecordKind};
use crate::domain::time::UnixMs;
use crate::exchange::context::{Context, Error};
use crate::exchange::road::Road;
use crate::storage::Store;
use crate::storage::rows::{InboxRow, PublicationRow};
use crate::wire;

/// All given fields must match; a list matches any of its values; an empty list matches all.
#[derive(Clone, Debug, Default)]
pub struct PracticeQuery {
    pub topics: Vec<PracticeTopic>,
    pub audiences: Vec<PracticeAudience>,
    pub outcomes: Vec<PracticeOutcome>,
    pub resolution_paragraphs: Vec<String>,
    /// Words that all occur in the texts of one language, case folded; at most 120 characters.
    pub words: String,
}

/// Where a search goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PracticeCursor {
    /// Received ones below this inbox position.
    Received(u64),
    /// Own ones below this sequence.
    Own(u64),
}

/// A practice that was found.
#[derive(Clone, Debug)]
pub struct FoundPractice {
    pub key: RecordKey,
    pub practice: Practice,
    pub handling: Handling,
    pub created: UnixMs,
    /// Where a search goes on behind it.
    pub place: PracticeCursor,
}

/// Rows looked at per read.
const LOOK: usize = 200;
/// Characters of the words.
const WORDS_CHARS: usize = 120;

/// The search in practices.
pub struct PracticeSearch {
    context: Arc<Context>,
    road: Arc<Road>,
}

impl PracticeSearch {
    pub(super) fn new(context: Arc<Context>, road: Arc<Road>) -> Self {
        Self { context, road }
    }

    fn store(&self) -> &dyn Store {
        self.context.store()
    }

    /// Matches behind a place, `limit` at most.
    ///
    /// # Errors
    /// `FIELD_TOO_LONG` for too many words; when the store cannot be read.
    pub async fn search_practices(
        &self,
        role: ActorRole,
        query: &PracticeQuery,
        from: Option<PracticeCursor>,
        limit: usize,
    ) -> Result<Vec<FoundPractice>, Error> {
        if query.words.chars().count() > WORDS_CHARS {
            let detail = format!("at most {WORDS_CHARS} characters");
            return Err(wire::Error::new(crate::domain::reason::Reason::FieldTooLong, "words", detail).into());
        }
        let search = Search { words: folded_words(&query.words), role, query, limit };
        let mut found = Vec::new();
        let (received, own) = match from {
            None => (Some(None), None),
            Some(PracticeCursor::Received(before)) => (Some(Some(before)), None),
            Some(PracticeCursor::Own(before)) => (None, Some(before)),
        };
        if let Some(before) = received {
            self.search_received(&search, before, &mut found).await?;
        }
        self.search_own(&search, own, &mut found).await?;
        Ok(found)
    }

    async fn search_received(
        &self,
        search: &Search<'_>,
        mut before: Option<u64>,
        found: &mut Vec<FoundPractice>,
    ) -> Result<(), Error> {
        loop {
            let rows = self.store().inbox_before(RecordKind::Practice, before, LOOK).await?;
            let keys = rows.iter().map(|row| row.key.clone()).collect();
            let later = self.road.received_superseded(keys).await?;
            for row in rows.iter().filter(|row| !later.contains_key(&row.key)) {
                if found.len() == search.limit {
                    return Ok(());
                }
                found.extend(self.practice_received(search.role, row).filter(|found| search.matches(&found.practice)));
            }
            before = rows.last().map(|row| row.position);
            if rows.len() < LOOK {
                return Ok(());
            }
        }
    }

    async fn search_own(
        &self,
        search: &Search<'_>,
        mut before: Option<u64>,
        found: &mut Vec<FoundPractice>,
    ) -> Result<(), Error> {
        loop {
            let rows = self.store().publications(RecordKind::Practice, before, LOOK).await?;
            for row in &rows {
                if found.len() == search.limit {
                    return Ok(());
                }
                let matches = |found: &FoundPractice| search.matches(&found.practice);
                if let Some(practice) = self.practice_own(search.role, row).filter(matches)
                    && self.road.own_superseded(&practice.key).await?.is_none()
                {
                    found.push(practice);
                }
            }
            before = rows.last().map(|row| row.sequence);
            if rows.len() < LOOK {
                return Ok(());
            }
        }
    }

    /// A received practice that this role may read; one that has lost its form matches nothing, and is noted.
    fn practice_received(&self, role: ActorRole, row: &InboxRow) -> Option<FoundPractice> {
        let reading = self.context.may_read(&row.record, role, ReadPurpose::Show).ok()?;
        let (envelope, content) = self.context.opened_received(row, reading).ok()?;
        let Content::Practice(practice) = content else { return None };
        if envelope.target(ReferenceKind::Cancels).is_some() {
            return None;
        }
        let (handling, created) = (envelope.handling, envelope.created);
        let place = PracticeCursor::Received(row.position);
        Some(FoundPractice { key: row.key.clone(), practice, handling, created, place })
    }

    fn practice_own(&self, role: ActorRole, row: &PublicationRow) -> Option<FoundPractice> {
        let reading = self.context.may_read(&row.record, role, ReadPurpose::Show).ok()?;
        let publication = self.context.opened_own(row, reading).ok()?;
        let cancels = publication.references.iter().any(|reference| reference.kind == ReferenceKind::Cancels);
        let Content::Practice(practice) = publication.content else { return None };
        if cancels {
            return None;
        }
        let (handling, place) = (publication.sharing.handling, PracticeCursor::Own(row.sequence));
        Some(FoundPractice { key: row.key(), practice, handling, created: row.created, place })
    }
}

struct Search<'a> {
    query: &'a PracticeQuery,
    words: Vec<String>,
    limit: usize,
    role: ActorRole,
}

impl Search<'_> {
    fn matches(&self, practice: &Practice) -> bool {
        let query = self.query;
        any(&query.topics, &practice.topics)
            && any(&query.audiences, &practice.audiences)
            && any(&query.outcomes, &[practice.outcome])
            && any(&query.resolution_paragraphs, &practice.resolution_paragraphs)
            && (self.words.is_empty() || practice.texts.iter().any(|text| self.in_text(text)))
    }

    fn in_text(&self, text: &PracticeText) -> bool {
        let all = [&text.title, &text.problem, &text.measure, &text.evidence].map(|part| part.to_lowercase());
        self.words.iter().all(|word| all.iter().any(|part| part.contains(word)))
    }
}

fn any<T: PartialEq>(asked: &[T], has: &[T]) -> bool {
    asked.is_empty() || asked.iter().any(|value| has.contains(value))
}

fn folded_words(words: &str) -> Vec<String> {
    words.split_whitespace().map(str::to_lowercase).collect()
}
