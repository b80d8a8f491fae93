//! Forty commands that were mistyped, misplaced or taken from another tool: each is answered with a way on, before anything
//! is sent.

use std::path::Path;

use super::played::run_in;

const TYPED: [(&str, &str); 44] = [
    // Words of other tools.
    ("offer find", "havenctl offer list --kind KIND"),
    ("offer delete 019aa000", "havenctl offer pause"),
    ("offer create", "havenctl offer set"),
    ("offer hold 019aa000", "havenctl offer show"),
    ("offer renew", "havenctl offer confirm --all-unchanged"),
    ("alert send", "havenctl alert publish"),
    ("alert ack 019aa000", "havenctl alert answer"),
    ("alert delete 019aa000", "havenctl alert cancel"),
    ("alert search", "havenctl alert list"),
    ("agreement accept 3f9a12c4", "havenctl agreement sign"),
    ("agreement new de-kehl", "havenctl agreement propose"),
    ("agreement terminate 3f9a12c4", "havenctl agreement end"),
    ("agreement extend 3f9a12c4", "havenctl agreement renew"),
    ("steward add de-kehl", "havenctl steward promote"),
    ("invite new", "havenctl invite create --for AUTHORITY"),
    ("member add de-kehl", "havenctl invite create --for AUTHORITY"),
    ("member block de-kehl", "havenctl member suspend"),
    ("member pending", "havenctl member list --pending"),
    ("practice list", "havenctl practice search"),
    ("delivery retry", "havenctl delivery list"),
    ("sharing revoke", "havenctl sharing withdraw"),
    ("audit log", "havenctl audit tail"),
    ("node status", "havenctl status"),
    ("backup", "havenlink backup DIRECTORY"),
    ("version", "havenctl --version"),
    ("logs", "journalctl -u havenlink"),
    ("config", "havenlink check"),
    ("restart", "systemctl"),
    ("join hl1abc", "havenlink --help"),
    ("partners", "havenctl member list"),
    ("--role operator consent", "havenctl sharing show --case CASE"),
    // Slips of the hand.
    ("offers", "'offer'"),
    ("membr list", "'member'"),
    ("statsu", "'status'"),
    ("member lst", "'list'"),
    ("agreement propse de-kehl", "'propose'"),
    ("alert publish --knid AT_RISK_SITE", "'--kind'"),
    ("alert publish --kind ADVERTISING", "nearest: SUSPICIOUS_ADVERTISING"),
    ("status -o jsn", "'json'"),
    ("--role operater status", "'operator'"),
    ("alert publish --pap AMBER_STRICT", "allowed: CLEAR, GREEN, AMBER, RED"),
    ("delivery list --since 2d", "Usage: havenctl delivery list"),
    // Times that are none.
    ("alert publish --first-seen 2050-01-01", "is still to come"),
    ("alert publish --last-seen gestern", "a span before now"),
];

#[test]
fn what_was_mistyped_is_answered_with_the_way_on() {
    for (typed, meant) in TYPED {
        let (code, out, err) = run_in(Path::new("/nonexistent"), &typed.split(' ').collect::<Vec<_>>());
        assert_eq!((code, out.as_str()), (2, ""), "{typed}: {err}");
        assert!(err.contains(meant), "{typed}: {err}");
    }
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    let nowhere = Path::new("/nonexistent");
    let (code, _, err) = run_in(nowhere, &["alert", "publish", "--kind", "SUSPICIOUS_ADVERTISING"]);
    let all = ["--basis OBSERVED", "--place LAU:CODE", "--channel CHANNEL", "--to all"];
    assert!(code == 2 && all.iter().all(|option| err.contains(option)), "{err}");
    let (code, _, err) = run_in(nowhere, &["practice", "publish", "--language", "de"]);
    let all = ["--title TEXT", "--problem TEXT", "--measure TEXT", "--outcome EFFECTIVE", "--topic TOPIC", "--to all"];
    assert!(code == 2 && all.iter().all(|option| err.contains(option)), "{err}");
    let (code, _, err) = run_in(nowhere, &["referral", "send", "--case", "CASE-17"]);
    let all = ["--to", "--service", "--urgency", "--household", "--callback"];
    assert!(code == 2 && all.iter().all(|option| err.contains(option)), "{err}");
}
