//! Every statement of the store, by name: the text stands in `storage/sql/<table>/<verb>.sql`, with `$1` placeholders
//! that SQLite and PostgreSQL both read.
//!
//! SQLite is given `?` in their place, and the values in the order in which they stand in the text: it keeps the names of
//! numbered placeholders in a list, which it walks from the start for each value that is bound.
//!
//! A statement with one tuple after VALUES also comes for many rows. The tuple is repeated, in a few fixed sizes, so
//! that each text is built and prepared once and any number of rows takes few statements.

use std::sync::{Arc, OnceLock};

use crate::unreadable::Table;

/// Rows of one many-row statement, largest first. Any number of rows is a short sum of these.
pub(crate) const SIZES: [usize; 12] = [64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1];

/// One statement.
pub(crate) struct SqlStatement {
    pub text: &'static str,
    /// `<table>/<verb>.sql`.
    pub file: &'static str,
    form: OnceLock<Form>,
    many: [OnceLock<Arc<str>>; SIZES.len()],
    #[cfg(test)]
    pub used: std::sync::atomic::AtomicBool,
}

/// A statement as SQLite is given it.
struct Form {
    text: Arc<str>,
    /// Which value stands at each `?`; `None`: each value once, in order.
    order: Option<Vec<usize>>,
}

impl SqlStatement {
    /// The text for one row.
    pub fn one(&self) -> Arc<str> {
        self.form().text.clone()
    }

    /// The table that it reads, if rows of it can be named.
    pub fn table(&self) -> Option<Table> {
        self.file.split_once('/').and_then(|(folder, _)| Table::of_folder(folder))
    }

    /// The text for as many rows as `SIZES[size]`. Every statement has one for one row: its own.
    pub fn many(&self, size: usize) -> Arc<str> {
        let text = || {
            let Form { text, order } = self.form();
            if SIZES[size] == 1 {
                return text.clone();
            }
            assert!(order.is_none(), "a tuple for many rows has each value once, in order");
            Arc::from(repeat_tuple(text, SIZES[size]))
        };
        self.many[size].get_or_init(text).clone()
    }

    /// Indexes of the values in the order in which the text wants them, one of them perhaps twice; `None`: as they are.
    pub fn order(&self) -> Option<&[usize]> {
        self.form().order.as_deref()
    }

    fn form(&self) -> &Form {
        self.form.get_or_init(|| form(self.text))
    }

    /// Notes, for the contract suite, that the statement was run.
    pub fn mark_used(&self) {
        #[cfg(test)]
        self.used.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Every `$n` becomes `?`.
fn form(text: &str) -> Form {
    let mut parts = text.trim_end().split('$');
    let mut out = String::from(parts.next().unwrap_or_default());
    let mut order = Vec::new();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = part[..digits].parse().expect("a placeholder is a number");
        order.push(number - 1);
        out.push('?');
        out.push_str(&part[digits..]);
    }
    let order = (!order.iter().copied().eq(0..order.len())).then_some(order);
    Form { text: Arc::from(out), order }
}

/// Repeats the tuple after VALUES.
fn repeat_tuple(text: &str, rows: usize) -> String {
    let start = text.find("VALUES (").expect("a statement for many rows has a tuple") + "VALUES ".len();
    let end = start + text[start..].find(')').expect("the tuple ends") + 1;
    let tuples = vec![&text[start..end]; rows].join(", ");
    [&text[..start], &tuples, &text[end..]].concat()
}

macro_rules! statements {
    ($($name:ident $file:literal),+ $(,)?) => {
        $(pub(crate) static $name: SqlStatement = SqlStatement {
            text: include_str!(concat!("../sql/", $file)),
            file: $file,
            form: OnceLock::new(),
            many: [const { OnceLock::new() }; SIZES.len()],
            #[cfg(test)]
            used: std::sync::atomic::AtomicBool::new(false),
        };)+

        /// All of them, for the contract suite.
        #[cfg(test)]
        pub(crate) static ALL: &[&SqlStatement] = &[$(&$name),+];
    };
}

statements! {
    TX_BEGIN "tx/begin.sql",
    TX_COMMIT "tx/commit.sql",
    TX_ROLLBACK "tx/rollback.sql",
    TX_SAVEPOINT "tx/savepoint.sql",
    TX_ROLLBACK_TO "tx/rollback_to.sql",
    TX_RELEASE "tx/release.sql",
    FILE_CHECK "file/check.sql",
    FILE_COUNTS "file/counts.sql",
    FILE_COPY "file/copy.sql",
    AGREEMENT_ALL "agreement/all.sql",
    AGREEMENT_END_FORGET "agreement_end/forget.sql",
    AGREEMENT_END_ORPHANS "agreement_end/orphans.sql",
    AGREEMENT_END_PUT "agreement_end/put.sql",
    AGREEMENT_FORGET "agreement/forget.sql",
    AGREEMENT_GET "agreement/get.sql",
    AGREEMENT_PUT "agreement/put.sql",
    AGREEMENT_UNCONFIRM_ALL "agreement/unconfirm_all.sql",
    AGREEMENT_TO_SHARE_CASE_LASTS "agreement_to_share/case_lasts.sql",
    AGREEMENT_TO_SHARE_DELETE "agreement_to_share/delete.sql",
    AGREEMENT_TO_SHARE_OF_CASE "agreement_to_share/of_case.sql",
    AGREEMENT_TO_SHARE_PAST "agreement_to_share/past.sql",
    AGREEMENT_TO_SHARE_PUT "agreement_to_share/put.sql",
    AGREEMENT_TO_SHARE_UNCONFIRM_ALL "agreement_to_share/unconfirm_all.sql",
    AGREEMENT_TO_SHARE_UNCONFIRMED "agreement_to_share/unconfirmed.sql",
    AGREEMENT_TO_SHARE_VERSION "agreement_to_share/version.sql",
    ASKED_HOLD_ALL "asked_hold/all.sql",
    ASKED_HOLD_DELETE "asked_hold/delete.sql",
    ASKED_HOLD_GET "asked_hold/get.sql",
    ASKED_HOLD_PUT "asked_hold/put.sql",
    ASKED_HOLD_SWEEP "asked_hold/sweep.sql",
    AUDIT_CHECKPOINT_LAST "audit_checkpoint/last.sql",
    AUDIT_CHECKPOINT_LIST "audit_checkpoint/list.sql",
    AUDIT_CHECKPOINT_PUT "audit_checkpoint/put.sql",
    AUDIT_LEAF_INSERT "audit_leaf/insert.sql",
    AUDIT_LEAF_LIST "audit_leaf/list.sql",
    CASE_EPOCH_DESTROY "case_epoch/destroy.sql",
    CASE_EPOCH_GET "case_epoch/get.sql",
    CASE_EPOCH_PUT "case_epoch/put.sql",
    CASE_INDEX_KEY_GET "case_index_key/get.sql",
    CASE_INDEX_KEY_PUT "case_index_key/put.sql",
    CASE_KEY_DESTROY "case_key/destroy.sql",
    CASE_KEY_GET "case_key/get.sql",
    CASE_KEY_PUT "case_key/put.sql",
    DATA_VERSION_GET "data_version/get.sql",
    DATA_VERSION_PUT "data_version/put.sql",
    DELIVERY_BATCH "delivery/batch.sql",
    DELIVERY_CLOSE "delivery/close.sql",
    DELIVERY_DEFERRED "delivery/deferred.sql",
    DELIVERY_ERASE "delivery/erase.sql",
    DELIVERY_EXPIRE "delivery/expire.sql",
    DELIVERY_EXPIRE_DEFERRED "delivery/expire_deferred.sql",
    DELIVERY_INSERT "delivery/insert.sql",
    DELIVERY_LAST_NUMBER "delivery/last_number.sql",
    DELIVERY_LIST "delivery/list.sql",
    DELIVERY_LIST_ENDED "delivery/list_ended.sql",
    DELIVERY_LIST_OPEN "delivery/list_open.sql",
    DELIVERY_LIST_RECORD "delivery/list_record.sql",
    DELIVERY_LIST_STREAM "delivery/list_stream.sql",
    DELIVERY_PUT_QUESTION "delivery/put_question.sql",
    DELIVERY_QUEUE_AGAIN "delivery/queue_again.sql",
    DELIVERY_REQUEUE_CLEAR "delivery/requeue_clear.sql",
    DELIVERY_REQUEUE_FINISH "delivery/requeue_finish.sql",
    DELIVERY_REQUEUE_NUMBER "delivery/requeue_number.sql",
    DELIVERY_REQUEUE_PIECE "delivery/requeue_piece.sql",
    DELIVERY_SENT_UNDER "delivery/sent_under.sql",
    DELIVERY_SETTLE "delivery/settle.sql",
    DELIVERY_SETTLE_SKIPPED "delivery/settle_skipped.sql",
    DELIVERY_SKIP "delivery/skip.sql",
    DELIVERY_SWEEP "delivery/sweep.sql",
    DELIVERY_UNASKED "delivery/unasked.sql",
    DELIVERY_WAIT "delivery/wait.sql",
    DISCLOSURE_DELETE "disclosure/delete.sql",
    DISCLOSURE_GET "disclosure/get.sql",
    DISCLOSURE_IN_STATE "disclosure/in_state.sql",
    DISCLOSURE_LAST_COUNTER "disclosure/last_counter.sql",
    DISCLOSURE_OF_CASE "disclosure/of_case.sql",
    DISCLOSURE_PAST "disclosure/past.sql",
    DISCLOSURE_PUT "disclosure/put.sql",
    DISCLOSURE_WITHDRAWN "disclosure/withdrawn.sql",
    HEAD_GET "head/get.sql",
    HEAD_PUT "head/put.sql",
    HEAD_STRAYS "head/strays.sql",
    HIDDEN_INBOX_DELETE "hidden_inbox/delete.sql",
    HIDDEN_INBOX_ERASE "hidden_inbox/erase.sql",
    HIDDEN_INBOX_FOR_TARGET "hidden_inbox/for_target.sql",
    HIDDEN_INBOX_INSERT "hidden_inbox/insert.sql",
    HIDDEN_INBOX_PAST "hidden_inbox/past.sql",
    HIDDEN_INBOX_SHOW "hidden_inbox/show.sql",
    HIDDEN_INBOX_TARGETS "hidden_inbox/targets.sql",
    INBOX_ABOUT "inbox/about.sql",
    INBOX_ABOUT_ANY "inbox/about_any.sql",
    INBOX_ABOUT_BY_TURNS "inbox/about_by_turns.sql",
    INBOX_AFTER "inbox/after.sql",
    INBOX_AFTER_KIND "inbox/after_kind.sql",
    INBOX_BEFORE "inbox/before.sql",
    INBOX_DELETE "inbox/delete.sql",
    INBOX_ERASE "inbox/erase.sql",
    INBOX_GET "inbox/get.sql",
    INBOX_INSERT "inbox/insert.sql",
    INBOX_PAST "inbox/past.sql",
    INBOX_SENDERS "inbox/senders.sql",
    INBOX_SHORTEN "inbox/shorten.sql",
    INBOX_SHORTEN_TARGET "inbox/shorten_target.sql",
    INVITATION_ALL "invitation/all.sql",
    INVITATION_GET "invitation/get.sql",
    INVITATION_PUT "invitation/put.sql",
    INVITATION_REQUEST_GET "invitation_request/get.sql",
    INVITATION_REQUEST_PUT "invitation_request/put.sql",
    INVITATION_REQUEST_SWEEP "invitation_request/sweep.sql",
    IN_STREAM_ALL "in_stream/all.sql",
    IN_STREAM_GET "in_stream/get.sql",
    IN_STREAM_PUT "in_stream/put.sql",
    KEY_PROOF_GET "key_proof/get.sql",
    KEY_PROOF_PUT "key_proof/put.sql",
    KEY_SALT_DESTROY "key_salt/destroy.sql",
    KEY_SALT_DROP_UNUSED "key_salt/drop_unused.sql",
    KEY_SALT_GET "key_salt/get.sql",
    KEY_SALT_INSERT "key_salt/insert.sql",
    KEY_SALT_LAST "key_salt/last.sql",
    META_DELETE "meta/delete.sql",
    META_GET "meta/get.sql",
    META_LIST "meta/list.sql",
    META_PUT "meta/put.sql",
    OFFER_SLOTS_ALL "offer_slots/all.sql",
    OFFER_SLOTS_GET "offer_slots/get.sql",
    OFFER_SLOTS_PUT "offer_slots/put.sql",
    OUTBOX_CLOSE "outbox/close.sql",
    OUTBOX_ERASE "outbox/erase.sql",
    OUTBOX_INSERT "outbox/insert.sql",
    OUTBOX_SWEEP "outbox/sweep.sql",
    OUT_STREAM_AGAIN "out_stream/again.sql",
    OUT_STREAM_ALL "out_stream/all.sql",
    OUT_STREAM_COUNTS "out_stream/counts.sql",
    OUT_STREAM_GET "out_stream/get.sql",
    OUT_STREAM_OPEN "out_stream/open.sql",
    OUT_STREAM_PUT "out_stream/put.sql",
    OUT_STREAM_TO "out_stream/to.sql",
    OWED_COUNTS "owed/counts.sql",
    OWED_DUE "owed/due.sql",
    OWED_GET "owed/get.sql",
    OWED_POSTPONE "owed/postpone.sql",
    OWED_PUT "owed/put.sql",
    OWED_RECIPIENTS "owed/recipients.sql",
    OWED_SETTLE "owed/settle.sql",
    OWN_OFFER_ALL "own_offer/all.sql",
    OWN_OFFER_GET "own_offer/get.sql",
    OWN_OFFER_PAUSE_ALL "own_offer/pause_all.sql",
    OWN_OFFER_PUT "own_offer/put.sql",
    PARTNER_INCARNATION_GET "partner_incarnation/get.sql",
    PARTNER_INCARNATION_PUT "partner_incarnation/put.sql",
    PARTNER_OFFER_ALL "partner_offer/all.sql",
    PARTNER_OFFER_IDS "partner_offer/ids.sql",
    PARTNER_OFFER_PUT "partner_offer/put.sql",
    PARTNER_OFFER_SWEEP "partner_offer/sweep.sql",
    PUBLICATION_ABOUT "publication/about.sql",
    PUBLICATION_BODIES "publication/bodies.sql",
    PUBLICATION_DELETE "publication/delete.sql",
    PUBLICATION_ERASE "publication/erase.sql",
    PUBLICATION_FIND "publication/find.sql",
    PUBLICATION_GET "publication/get.sql",
    PUBLICATION_INSERT "publication/insert.sql",
    PUBLICATION_LIST "publication/list.sql",
    PUBLICATION_PAST "publication/past.sql",
    PUBLICATION_PAST_ABOUT_PERSONS "publication/past_about_persons.sql",
    PUBLICATION_PUT_BODY "publication/put_body.sql",
    READER_GET "reader/get.sql",
    READER_PUT "reader/put.sql",
    RECEIPT_INSERT "receipt/insert.sql",
    RECEIPT_SWEEP "receipt/sweep.sql",
    RECORD_KEY_DESTROY "record_key/destroy.sql",
    RECORD_KEY_GET "record_key/get.sql",
    RECORD_KEY_PUT "record_key/put.sql",
    RECORD_TOMBSTONE_GET "record_tombstone/get.sql",
    RECORD_TOMBSTONE_PUT "record_tombstone/put.sql",
    REQUEST_FIND "request/find.sql",
    REQUEST_INSERT "request/insert.sql",
    REQUEST_SWEEP "request/sweep.sql",
    SALT_DELETE "salt/delete.sql",
    SALT_ERASE "salt/erase.sql",
    SALT_ERASED "salt/erased.sql",
    SALT_FIND "salt/find.sql",
    SALT_INSERT "salt/insert.sql",
    SALT_PUT "salt/put.sql",
    TAKEN_FIND "taken/find.sql",
    TAKEN_INSERT "taken/insert.sql",
    TAKEN_SHOW "taken/show.sql",
    TAKEN_SWEEP "taken/sweep.sql",
    UNDISPATCHED_DELETE "undispatched/delete.sql",
    UNDISPATCHED_ERASE "undispatched/erase.sql",
    UNDISPATCHED_INSERT "undispatched/insert.sql",
    UNDISPATCHED_LIST "undispatched/list.sql",
    WITHDRAWAL_GET "withdrawal/get.sql",
    WITHDRAWAL_HELD "withdrawal/held.sql",
    WITHDRAWAL_LAST_COUNTER "withdrawal/last_counter.sql",
    WITHDRAWAL_PUT "withdrawal/put.sql",
    WITHDRAWALS_ANSWERED_ALL "withdrawals_answered/all.sql",
    WITHDRAWALS_ANSWERED_FORGET_ALL "withdrawals_answered/forget_all.sql",
    WITHDRAWALS_ANSWERED_PUT "withdrawals_answered/put.sql",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_is_repeated() {
        let many = repeat_tuple("INSERT INTO t (a, b) VALUES (?, ?)\nON CONFLICT (a) DO NOTHING", 3);
        assert_eq!(many, "INSERT INTO t (a, b) VALUES (?, ?), (?, ?), (?, ?)\nON CONFLICT (a) DO NOTHING");
    }

    #[test]
    fn values_stand_in_the_order_of_the_text() {
        let Form { text, order } = form("UPDATE t SET a = $2 WHERE b = $1 AND (c = $2 OR c = $10)\n");
        assert_eq!(text.as_ref(), "UPDATE t SET a = ? WHERE b = ? AND (c = ? OR c = ?)");
        assert_eq!(order.as_deref(), Some([1, 0, 1, 9].as_slice()));
        assert_eq!(form("VALUES ($1, $2)").order, None, "as they are");
    }

    /// What is SQLite's own stands in `file/` and `tx/`.
    #[test]
    fn a_shared_statement_is_read_by_both_databases() {
        for statement in ALL.iter().filter(|s| !s.file.starts_with("file/") && !s.file.starts_with("tx/")) {
            let text = statement.text.to_lowercase();
            for word in ["x'", "ifnull", "insert or ", "rowid", "glob", "strftime", "unixepoch", "printf", "pragma"] {
                assert!(!text.contains(word), "{}: {word}", statement.file);
            }
            for function in ["max(", "min("] {
                for (at, _) in text.match_indices(function) {
                    let inside = text[at..].split(')').next().unwrap_or_default();
                    assert!(!inside.contains(','), "{}: of a group only: {inside})", statement.file);
                }
            }
        }
    }

    #[test]
    fn every_file_is_a_statement() {
        let mut files = 0;
        for table in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql")).unwrap() {
            for verb in std::fs::read_dir(table.unwrap().path()).unwrap() {
                let path = verb.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(ALL.iter().any(|s| s.text == text), "{} is not listed", path.display());
                files += 1;
            }
        }
        assert_eq!(files, ALL.len());
    }
}
