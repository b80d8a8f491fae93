//! The same number, written in another way.

/// A name, and how a number is written then.
pub type Way = (&'static str, fn(&str) -> String);

pub const WAYS: [Way; 9] = [
    ("as it is", |number| number.to_owned()),
    ("in keycaps", |number| each(number, |c| format!("{c}\u{fe0f}\u{20e3}"))),
    ("in circles", |number| each(number, |c| shifted(c, '①', '⓪'))),
    ("in full width", |number| each(number, |c| shifted(c, '１', '０'))),
    ("in Arabic figures", |number| each(number, |c| shifted(c, '١', '٠'))),
    ("with hidden blanks", |number| each(number, |c| format!("{c}\u{200b}"))),
    ("with commas", |number| parted(number, ",")),
    ("with colons", |number| parted(number, ":")),
    ("with four blanks", |number| parted(number, "    ")),
];

fn each(number: &str, write: impl Fn(char) -> String) -> String {
    number.chars().map(|c| if c.is_ascii_digit() { write(c) } else { c.to_string() }).collect()
}

/// The digit in a block that has its one and its zero where these are.
fn shifted(c: char, one: char, zero: char) -> String {
    let digit = c.to_digit(10).unwrap();
    let shifted = if digit == 0 { Some(zero) } else { char::from_u32(u32::from(one) + digit - 1) };
    shifted.unwrap().to_string()
}

/// The groups of a number with a mark between them; of one without groups, in fours.
fn parted(number: &str, mark: &str) -> String {
    let chars: Vec<char> = number.chars().collect();
    if chars.iter().all(char::is_ascii_digit) {
        return chars.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(mark);
    }
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let between = i > 0 && i + 1 < chars.len() && matches!(c, ' ' | '-' | '.' | '/');
        let again = between && matches!(chars[i - 1], ' ' | '-' | '.' | '/');
        match between {
            true if again => {}
            true => out.push_str(mark),
            false => out.push(*c),
        }
    }
    out
}
