//! What says that a number near it is one to call.

use super::runs::Part;
use super::tokens::{Token, one_of};

/// Words that a number is near to if it is one, without accents.
#[rustfmt::skip]
const SAID: &[&str] = &[
    "tel", "tele*", "phone*", "call*", "ring", "dial", "mobil*", "cell*", "handy*", "fax", "whatsapp", "whats", "signal", "viber",
    "sms", "text", "message*", "messag*", "contact*", "kontakt*", "hotline", "desk", "reach*", "answering", "ruf", "rufen",
    "ruft", "anruf*", "anrufen", "rufnummer*", "erreichbar", "erreichen", "durchwahl", "appel*", "portable", "joindre", "joignable",
    "llam*", "movil", "celular*", "cellulare", "chiam*", "recapito", "dzwon*", "zadzwon*", "zadzwoń", "komork*", "sunati", "suna",
    "apel*", "ligar", "ligue", "bel", "bellen", "gsm", "soita", "puhelin*", "ring*", "zavola*", "volat", "hivja", "hivj*", "telefon*",
    "τηλ*", "καλεσ*", "тел*", "звон*", "позвон*", "мобил*",
];

/// Whether something near says that this is a number to call.
pub(super) fn is_said(part: &Part) -> bool {
    let at = part.tokens().start;
    let near = part.tokens[..at].iter().rev().take(10);
    // What another number stands between is said of that one.
    let near: Vec<&Token> = near.take_while(|t| !t.is_number() && !t.is_mark(";!?")).collect();
    near.iter().filter(|t| t.is_word()).take(6).any(|t| one_of(&t.text, SAID))
}
