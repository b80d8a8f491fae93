//! Text in languages: BCP 47 tags, lengths, and what free text may carry.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

use super::closed::closed_enum;
use super::fault::Fault;
use super::limits;
use super::reason::Reason;
use super::screen;

/// How many spans of a text a refusal names.
const SPANS_TOLD: usize = 8;

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
    // Where, not what: whoever wrote the text has it. A line for each span, of the first ones: an answer has its limit.
    let mut lines: Vec<String> = spans
        .iter()
        .take(SPANS_TOLD)
        .map(|s| format!("{} {}..{}: {}", s.kind, s.start, s.end, s.kind.instead()))
        .collect();
    if spans.len() > SPANS_TOLD {
        lines.push(format!("and {} more", spans.len() - SPANS_TOLD));
    }
    Err(Fault::new(Reason::PersonalDataInText, field, lines.join("\n")))
}

/// A text in which something can be seen, within the limit, and nothing that cannot; line feeds and tabs may stand in it.
pub fn check_line(field: &str, text: &str, max_chars: usize) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(Fault::missing(field));
    }
    // Bytes first: counting the characters of a megabyte is work for nothing.
    if text.len() > max_chars * 4 || text.chars().count() > max_chars {
        return Err(Fault::too_long(field, max_chars, "characters"));
    }
    if let Some(unseen) = UNSEEN.find(text) {
        let (code, at) = (unseen.as_str().chars().next().map_or(0, u32::from), text[..unseen.start()].chars().count());
        return Err(Fault::invalid(
            field,
            format!("no control, direction or invisible characters: U+{code:04X} at {at}"),
        ));
    }
    if !SEEN.is_match(text) {
        return Err(Fault::invalid(field, "at least one character that can be seen"));
    }
    Ok(())
}

/// By Unicode property: controls (terminal escapes), what changes the direction of the text around it (it reads differently
/// than it is), and what cannot be seen. Joiners are letters of Persian or Hindi words and of families of emoji, and marks
/// of direction and selectors are typed with letters: they may stand.
static UNSEEN: LazyLock<Regex> = LazyLock::new(|| {
    let may_stand =
        r"\n\t\p{Join_Control}\p{Variation_Selector}\p{Prepended_Concatenation_Mark}\x{ad}\x{61c}\x{200e}\x{200f}";
    let unseen = r"\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}";
    Regex::new(&format!("[{unseen}--{may_stand}]")).expect("a class that a test compiles")
});
/// Letters, figures, signs and pictures; a filler or a blank of Braille looks like nothing.
static SEEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\p{L}\p{N}\p{P}\p{S}--\p{Default_Ignorable_Code_Point}\x{2800}]")
        .expect("a class that a test compiles")
});

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
        refused(&[text("fr", "\u{2060}")], Reason::FieldInvalid, "summary[0].text");
        let fault = check_texts("summary", &[text("fr", "0612345678")], 10).unwrap_err();
        assert!(fault.detail.starts_with("PHONE 0..10: leave the number out"), "{}", fault.detail);
        let two = check_texts("summary", &[text("fr", "a@b.c, AB-123-CD")], 20).unwrap_err();
        let kinds: Vec<&str> = two.detail.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(kinds, ["EMAIL", "PLATE"], "a line for each span");
    }

    #[test]
    fn what_cannot_be_seen_is_refused_by_its_property_and_joiners_stand() {
        let check = |text: &str| check_line("title", text, 40).map_err(|fault| fault.detail);
        for hidden in [
            '\u{7}',
            '\u{9b}',
            '\u{200b}',
            '\u{202a}',
            '\u{202e}',
            '\u{2028}',
            '\u{2060}',
            '\u{2067}',
            '\u{180e}',
            '\u{115f}',
            '\u{3164}',
            '\u{ffa0}',
            '\u{e000}',
            '\u{fff9}',
            '\u{feff}',
            '\u{e0041}',
            '\u{34f}',
        ] {
            let code = format!("U+{:04X} at 3", u32::from(hidden));
            let told = check(&format!("äöü{hidden}b")).unwrap_err();
            assert!(told.ends_with(&code), "{code}: {told}");
        }
        for text in [
            "شب\u{200c}ها",
            "می\u{200c}کند",
            "👩\u{200d}👧\u{200d}👦 Familienhilfe",
            "क\u{94d}\u{200d}ष",
            "❤\u{fe0f}",
            "\u{600}\u{661}",
            "שלום\u{200f}!",
            "Donau\u{ad}dampf",
            "two\nlines\tand a tab",
            "!",
            "7",
            "€",
        ] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
        for empty in ["\u{200d}\u{200c}", "\u{2800}", "\u{fe0f}", "\u{301}", "\u{a0}\u{200e}"] {
            assert!(check(empty).unwrap_err().contains("can be seen"), "{empty:?}");
        }
    }
}
