//! One value: as people read it, and as programs do.

use super::screen::Tone;
use crate::when;

/// What a value is, where that decides how it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    /// Words, names, numbers of phones: whatever others wrote.
    #[default]
    Text,
    /// A figure, an instant, yes or no: ours, and no words.
    Figure,
    /// A word of a closed list that says how something stands: in colour, where there is one.
    State,
    /// An id: in a list as short as it is unique.
    Id,
}

/// One value: as people read it, and as programs do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    pub(super) shown: String,
    pub(super) exact: String,
    sort: Sort,
}

impl Cell {
    /// The same text for people and for programs.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::both(text.clone(), text)
    }

    /// One text for people, another for programs.
    pub fn both(shown: impl Into<String>, exact: impl Into<String>) -> Self {
        Self { shown: shown.into(), exact: exact.into(), sort: Sort::Text }
    }

    pub fn number(n: impl std::fmt::Display) -> Self {
        Self::figure(n.to_string(), n)
    }

    /// People read what is counted behind the figure, or alone where there is none.
    pub fn with(self, unit: &str) -> Self {
        let shown = format!("{} {unit}", self.shown).trim().to_owned();
        Self { shown, ..self }
    }

    /// A figure as people read it, and as it is.
    pub fn figure(shown: impl Into<String>, exact: impl std::fmt::Display) -> Self {
        Self { sort: Sort::Figure, ..Self::both(shown, exact.to_string()) }
    }

    /// How something stands, by a word of a closed list.
    pub fn state(word: impl Into<String>) -> Self {
        Self { sort: Sort::State, ..Self::text(word) }
    }

    /// An id, whole for programs; in a list of it so much that it is the only one, and so can be typed.
    pub fn id(whole: impl Into<String>) -> Self {
        Self { sort: Sort::Id, ..Self::text(whole) }
    }

    /// An instant, Unix ms; 0 is empty.
    pub fn time(ms: i64) -> Self {
        Self::figure(when::show(ms), when::exact(ms))
    }

    /// How long ago something was, ms; where nobody knows, or it never was, `otherwise` for people, and nothing for programs.
    pub fn age(ms: Option<i64>, otherwise: &str) -> Self {
        ms.map_or_else(|| Self::figure(otherwise, ""), |ms| Self::figure(when::span(ms), ms))
    }

    /// Names, joined by commas for people and by semicolons for programs.
    pub fn list(items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let items: Vec<String> = items.into_iter().map(Into::into).collect();
        Self::both(items.join(", "), items.join(";"))
    }

    /// `yes`, or nothing.
    pub fn flag(is: bool, name: &str) -> Self {
        Self::figure(if is { name } else { "" }, is)
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// As programs read it, on one line.
    pub fn for_programs(&self) -> String {
        super::clean(&self.exact)
    }

    pub(super) fn is_id(&self) -> bool {
        self.sort == Sort::Id
    }

    /// Whether a spreadsheet could take it for something else than it is.
    pub(super) fn is_text(&self) -> bool {
        self.sort == Sort::Text
    }

    /// The colour of one of its words.
    pub(super) fn tone(&self, word: &str) -> Tone {
        if self.sort == Sort::State { Tone::of(word) } else { Tone::Plain }
    }
}
