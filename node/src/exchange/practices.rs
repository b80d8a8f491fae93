//! Practices: search in one's own and in received ones, by coded fields and by words.
//!
//! Coded fields find a practice whatever language it is written in; words find it in any language that it has. Newest
//! first, received before own; a version that a later one replaces is left out.

use std::collections::HashSet;

use crate::domain::handling::Handling;
use crate::domain::practice::{Practice, PracticeAudience, PracticeOutcome, PracticeText, PracticeTopic};
use crate::domain::publication::Record;
use crate::domain::record::{RecordKey, RecordKind, ReferenceKind};
use crate::domain::time::UnixMs;
use crate::storage::rows::{InboxRow, PublicationRow};
use crate::wire::body::Body;
use crate::wire::{self, sealed, stored};

use super::Exchange;
use super::error::Error;

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
}

/// A page of a search.
#[derive(Clone, Debug, Default)]
pub struct PracticePage {
    pub practices: Vec<FoundPractice>,
    pub next: Option<PracticeCursor>,
}

/// Rows looked at per read.
const LOOK: usize = 200;
/// Characters of the words.
const WORDS_CHARS: usize = 120;

impl Exchange {
    /// One page of matches.
    ///
    /// # Errors
    /// `FIELD_TOO_LONG` for too many words; when the store cannot be read.
    pub async fn search_practices(
        &self,
        query: &PracticeQuery,
        from: Option<PracticeCursor>,
        limit: usize,
    ) -> Result<PracticePage, Error> {
        if query.words.chars().count() > WORDS_CHARS {
            let detail = format!("at most {WORDS_CHARS} characters");
            return Err(wire::Error::new(crate::domain::reason::Reason::FieldTooLong, "words", detail).into());
        }
        let search = Search { words: folded_words(&query.words), query, limit, now: self.now() };
        let mut page = PracticePage::default();
        let mut replaced = HashSet::new();
        let own_from = match from {
            Some(PracticeCursor::Own(before)) => Some(before),
            Some(PracticeCursor::Received(before)) => {
                if self.search_received(&search, Some(before), &mut replaced, &mut page).await? {
                    return Ok(page);
                }
                None
            }
            None => {
                if self.search_received(&search, None, &mut replaced, &mut page).await? {
                    return Ok(page);
                }
                None
            }
        };
        self.search_own(&search, own_from, &mut page).await?;
        Ok(page)
    }

    /// True when the page is full.
    async fn search_received(
        &self,
        search: &Search<'_>,
        mut before: Option<u64>,
        replaced: &mut HashSet<RecordKey>,
        page: &mut PracticePage,
    ) -> Result<bool, Error> {
        loop {
            let rows = self.store().inbox_before(RecordKind::Practice, before, LOOK).await?;
            for row in &rows {
                if page.practices.len() == search.limit {
                    page.next = Some(PracticeCursor::Received(before.unwrap_or(u64::MAX)));
                    return Ok(true);
                }
                before = Some(row.position);
                if let Some(found) =
                    received(row, replaced, search.now)?.filter(|found| search.matches(&found.practice))
                {
                    page.practices.push(found);
                }
            }
            if rows.len() < LOOK {
                return Ok(false);
            }
        }
    }

    async fn search_own(
        &self,
        search: &Search<'_>,
        mut before: Option<u64>,
        page: &mut PracticePage,
    ) -> Result<(), Error> {
        loop {
            let rows = self.store().publications(RecordKind::Practice, before, LOOK).await?;
            for row in &rows {
                if page.practices.len() == search.limit {
                    page.next = Some(PracticeCursor::Own(before.unwrap_or(u64::MAX)));
                    return Ok(());
                }
                before = Some(row.sequence);
                if let Some(found) = own(row, search.now)?.filter(|found| search.matches(&found.practice)) {
                    page.practices.push(found);
                }
            }
            if rows.len() < LOOK {
                return Ok(());
            }
        }
    }
}

struct Search<'a> {
    query: &'a PracticeQuery,
    words: Vec<String>,
    limit: usize,
    now: UnixMs,
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

fn received(row: &InboxRow, replaced: &mut HashSet<RecordKey>, now: UnixMs) -> Result<Option<FoundPractice>, Error> {
    let opened = sealed::own_opened(&row.envelope)?;
    // Newest first: the later version comes by before the one that it replaces.
    if let Some(target) = opened.envelope.target(ReferenceKind::Replaces) {
        replaced.insert(target.clone());
    }
    let Body::Practice(practice) = opened.body else { return Ok(None) };
    if replaced.contains(&row.key) || row.expires <= now {
        return Ok(None);
    }
    let (handling, created) = (opened.envelope.handling, opened.envelope.created);
    Ok(Some(FoundPractice { key: row.key.clone(), practice, handling, created }))
}

fn own(row: &PublicationRow, now: UnixMs) -> Result<Option<FoundPractice>, Error> {
    let publication = stored::decode(row.body.clone())?;
    let Record::Practice(practice) = publication.record else { return Ok(None) };
    if row.expires <= now {
        return Ok(None);
    }
    let key = RecordKey { origin: row.authority.clone(), record_id: row.record_id };
    let handling = publication.sharing.handling;
    Ok(Some(FoundPractice { key, practice, handling, created: row.created }))
}
