//! Text in languages: BCP 47 tags, lengths, and what free text may carry.

use std::fmt;

use super::closed::closed_enum;
use super::fault::Fault;
use super::limits;
use super::reason::Reason;
use super::screen;

closed_enum! {
    /// Who made the text in this language.
    pub enum TranslationProvenance {
        Original = 1 => "ORIGINAL", Human = 2 => "HUMAN", Machine = 3 => "MACHINE", MachineReviewed = 4 => "MACHINE_REVIEWED",
    }
}

/// A well-formed language tag (BCP 47, RFC 5646) in its normal case, at most 35 characters, e.g. `sr-Latn`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(Box<str>);

impl Language {
    /// Longest tag (RFC 5646 §4.4.1 recommends room for 35 characters).
    pub const MAX_LEN: usize = 35;

    /// `None` unless the text is a well-formed tag.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_LEN || !text.is_ascii() {
            return None;
        }
        let tag = oxilangtag::LanguageTag::parse_and_normalize(text).ok()?;
        Some(Self(tag.into_inner().into_boxed_str()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The primary subtag: `sr` of `sr-Latn`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub language: Language,
    pub text: String,
}

/// One text per language, each within the limit and without anything that can identify a person or place.
pub fn check_texts(field: &str, texts: &[Text], max_chars: usize) -> Result<(), Fault> {
    if texts.len() > limits::LANGUAGES {
        return Err(Fault::too_long(field, limits::LANGUAGES, "languages"));
    }
    for (i, text) in texts.iter().enumerate() {
        if texts[..i].iter().any(|other| other.language == text.language) {
            return Err(Fault::invalid(format!("{field}[{i}].language"), "one text per language"));
        }
        check_free_text(&format!("{field}[{i}].text"), &text.text, max_chars)?;
    }
    Ok(())
}

/// A free text that is not empty, within the limit, printable, and passes the screen.
pub fn check_free_text(field: &str, text: &str, max_chars: usize) -> Result<(), Fault> {
    check_line(field, text, max_chars)?;
    let spans = screen::screen(text);
    if spans.is_empty() {
        return Ok(());
    }
    let spans: Vec<String> = spans.iter().map(|s| format!("{} {}..{}", s.kind, s.start, s.end)).collect();
    Err(Fault::new(Reason::PersonalDataInText, field, spans.join(", ")))
}

/// A text that is not empty, within the limit and printable; line feeds and tabs may stand in it.
pub fn check_line(field: &str, text: &str, max_chars: usize) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(Fault::missing(field));
    }
    // Bytes first: counting the characters of a megabyte is work for nothing.
    if text.len() > max_chars * 4 || text.chars().count() > max_chars {
        return Err(Fault::too_long(field, max_chars, "characters"));
    }
    if text.chars().any(unprintable) {
        return Err(Fault::invalid(field, "no control or direction characters"));
    }
    Ok(())
}

/// Control characters (terminal escapes) and bidirectional overrides (text that reads differently than it is).
fn unprintable(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_tags_are_well_formed_and_in_their_normal_case() {
        for (given, normal) in
            [("FR", "fr"), ("sr-latn", "sr-Latn"), ("de-ch", "de-CH"), ("bfi", "bfi"), ("ku-Arab", "ku-Arab")]
        {
            let tag = Language::parse(given).unwrap();
            assert_eq!((tag.as_str(), tag.primary()), (normal, normal.split('-').next().unwrap()));
        }
        for bad in ["", "f", "fr_FR", "français", "12", "fr-", &"a".repeat(36)] {
            assert_eq!(Language::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_text_is_one_per_language_within_its_limit_printable_and_screened() {
        let text =
            |language: &str, text: &str| Text { language: Language::parse(language).unwrap(), text: text.into() };
        let check = |texts: &[Text]| check_texts("summary", texts, 10).map_err(|f| (f.reason, f.field));
        assert_eq!(check(&[text("fr", "dix lettre"), text("de", "zwölf öäü!")]), Ok(()));
        let refused = |texts: &[Text], reason, field: &str| assert_eq!(check(texts), Err((reason, field.to_owned())));
        refused(&[text("fr", "onze lettre")], Reason::FieldTooLong, "summary[0].text");
        refused(&[text("fr", "a"), text("FR", "b")], Reason::FieldInvalid, "summary[1].language");
        refused(&[text("fr", " \n")], Reason::FieldMissing, "summary[0].text");
        refused(&[text("fr", "a\u{1b}[31m")], Reason::FieldInvalid, "summary[0].text");
        refused(&[text("fr", "a\u{202e}b")], Reason::FieldInvalid, "summary[0].text");
        refused(&[text("fr", "0612345678")], Reason::PersonalDataInText, "summary[0].text");
        let fault = check_texts("summary", &[text("fr", "0612345678")], 10).unwrap_err();
        assert_eq!(fault.detail, "PHONE 0..10");
    }
}
