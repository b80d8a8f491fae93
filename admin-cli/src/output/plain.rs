//! Text that others wrote, made harmless for a terminal and a spreadsheet: what is not to be seen is shown as such.
//!
//! By Unicode property, not by a list of ours: controls, formats, private use, what is ignored by default, and what
//! changes the direction of the text around it. Joiners are letters of Persian, Kurdish or Hindi words and of families of
//! emoji: they stay where they join something.

use std::sync::LazyLock;

use regex::Regex;

/// Signs of Arabic numbers are formats by category, and are seen.
const UNSEEN: &str = r"[\p{Cc}\p{Cf}\p{Co}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Zl}\p{Zp}--\p{Prepended_Concatenation_Mark}]";

static UNSEEN_CHAR: LazyLock<Regex> = LazyLock::new(|| Regex::new(UNSEEN).expect("a class that a test compiles"));

/// In the place of what is not to be seen.
const SHOWN_AS: char = '\u{fffd}';
/// No joiner, joiner, and the two selectors of how an emoji looks.
const JOINERS: [char; 4] = ['\u{200c}', '\u{200d}', '\u{fe0e}', '\u{fe0f}'];

/// One line without control characters, changes of direction or invisible characters.
pub fn clean(text: &str) -> String {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let stays = !c.is_control() && !is_unseen(c) || JOINERS.contains(&c) && joins(&line, c, chars.peek());
        line.push(match c {
            '\n' | '\t' | '\r' => ' ',
            c if stays => c,
            _ => SHOWN_AS,
        });
    }
    line
}

/// Whether a joiner stands between two letters, or a selector behind one.
fn joins(before: &str, joiner: char, after: Option<&char>) -> bool {
    let seen = |c: char| !c.is_whitespace() && c != SHOWN_AS && (is_selector(c) || !is_unseen(c));
    before.chars().next_back().is_some_and(seen) && (is_selector(joiner) || after.is_some_and(|after| seen(*after)))
}

/// As `clean`, but keeps line breaks that are ours.
pub fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// At most this many characters; the rest is said to be missing. No letter is cut off from what belongs to it.
pub fn cut(text: &str, most: usize) -> String {
    use unicode_segmentation::UnicodeSegmentation;
    if text.graphemes(true).count() <= most {
        return text.to_owned();
    }
    text.graphemes(true).take(most.saturating_sub(1)).chain(["…"]).collect()
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

fn is_unseen(c: char) -> bool {
    !c.is_ascii() && UNSEEN_CHAR.is_match(c.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_play_with_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{9b}d"), "a\u{fffd}[31mb c\u{fffd}d");
        for hidden in [
            '\u{61c}',
            '\u{ad}',
            '\u{200b}',
            '\u{200e}',
            '\u{202e}',
            '\u{2028}',
            '\u{2060}',
            '\u{2067}',
            '\u{180e}',
            '\u{3164}',
            '\u{e000}',
            '\u{fff9}',
            '\u{feff}',
            '\u{e0041}',
            '\u{115f}',
        ] {
            assert_eq!(clean(&format!("a{hidden}b")), "a\u{fffd}b", "{:x}", u32::from(hidden));
        }
        assert_eq!(clean("\u{600}\u{661}\u{662}"), "\u{600}\u{661}\u{662}", "the sign of an Arabic number is seen");
    }

    #[test]
    fn joiners_stay_where_they_join_and_nowhere_else() {
        for word in [
            "شب\u{200c}ها",
            "می\u{200c}کند",
            "👩\u{200d}👧\u{200d}👦 Familienhilfe",
            "क\u{94d}\u{200d}ष",
            "❤\u{fe0f}\u{200d}🔥",
        ] {
            assert_eq!(clean(word), word);
        }
        assert_eq!(clean("\u{200d}a \u{200c}b c\u{200d}"), "\u{fffd}a \u{fffd}b c\u{fffd}");
        assert_eq!(clean("a\u{200d}\u{200d}b"), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn what_is_cut_is_cut_between_letters() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("👩\u{200d}👧\u{200d}👦abc", 3), "👩\u{200d}👧\u{200d}👦a…");
    }
}
