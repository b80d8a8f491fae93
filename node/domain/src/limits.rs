//! Every limit of the product, in one place (9.14). A test sends each maximum and one more.

use super::time::Millis;

/// Bytes of one `Deliver` call: 1 MiB of envelopes and 64 KiB around them.
pub const DELIVER_BYTES: usize = (1 << 20) + (64 << 10);
/// Bytes of envelopes in one batch.
pub const BATCH_BYTES: usize = 1 << 20;
/// Items of one batch.
pub const BATCH_ITEMS: usize = 256;
/// Bytes of one encoded, signed content envelope.
pub const ENVELOPE_BYTES: usize = 48 << 10;
/// Bytes of one encoded, signed control envelope.
pub const CONTROL_BYTES: usize = 8 << 10;
/// Bytes of one encoded, signed register statement.
pub const STATEMENT_BYTES: usize = 16 << 10;
/// Bytes of one Raft append call.
pub const RAFT_APPEND_BYTES: usize = 1 << 20;
/// Entries of one Raft append call.
pub const RAFT_APPEND_ENTRIES: u64 = 48;
/// Bytes of one snapshot or attachment chunk.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of every other call.
pub const CALL_BYTES: usize = 64 << 10;
/// Bytes of a call of the Join service.
pub const JOIN_BYTES: usize = 16 << 10;

/// Signatures on one `Signed`.
pub const SIGNATURES: usize = 16;
/// Characters of a summary in one language.
pub const SUMMARY_CHARS: usize = 500;
/// Languages of one text field.
pub const LANGUAGES: usize = 24;
/// Indicators of one alert.
pub const INDICATORS: usize = 24;
/// Characters of a practice's title.
pub const PRACTICE_TITLE_CHARS: usize = 200;
/// Characters of each other text of a practice.
pub const PRACTICE_TEXT_CHARS: usize = 4_000;
/// Bytes of all texts of a practice together, so that it fits an envelope with all that it says in codes.
pub const PRACTICE_TEXTS_BYTES: usize = 44 << 10;
/// References of one envelope: the earlier versions that a later word names, newest first.
pub const REFERENCES: usize = 8;
/// Recipients named in one publication.
pub const RECIPIENTS: usize = 256;
/// For so long after everything that was shared about a person is erased it stays answerable who agreed to it, and who got it (11.16).
pub const ACCOUNTABLE: Millis = Millis::days(365);
/// Notices of withdrawal, or receipts, in one call that asks for them: each about 400 bytes, and at most 8 KiB.
pub const WITHDRAWALS_TOGETHER: usize = 48;
/// Parties of one agreement.
pub const PARTIES: usize = 16;
/// Grants of one agreement.
pub const GRANTS: usize = 64;
/// Countries outside the European Economic Area that one party's data go to: its own, and its host's.
pub const TRANSFERS: usize = 2;
/// Proposals of one authority that wait here for a signature.
pub const OPEN_PROPOSALS: usize = 64;
/// A proposal that not everybody signed is forgotten this long after it was made, by all parties alike.
pub const PROPOSAL_LIFE: Millis = Millis::days(90);
/// How long before its end, its review or the lapse of a basis an agreement is brought to mind.
pub const AGREEMENT_REMINDER: Millis = Millis::days(30);
/// Characters of a request id.
pub const REQUEST_ID_CHARS: usize = 64;
/// Rows of one page, at most; the default is a quarter of it.
pub const PAGE_SIZE: usize = 200;

/// How far an envelope's `created` may lie ahead of the receiver's clock.
pub const CREATED_AHEAD: Millis = Millis::minutes(5);
/// A peer's clock off by more than this is warned about.
pub const CLOCK_WARN: Millis = Millis::minutes(2);
/// A peer's clock off by more than this stops content about a person.
pub const CLOCK_STOP: Millis = Millis::minutes(5);
/// A replaced authority key still verifies for this long.
pub const REPLACED_KEY: Millis = Millis::hours(24);
/// A pin that has ended still counts for this long while nothing can be ordered, so that its successor could not be published.
pub const LAPSED_PIN: Millis = Millis::days(90);
/// A dedup key is kept this long after the record's expiry.
pub const DEDUP_AFTER_EXPIRY: Millis = Millis::days(30);
/// A request id is kept this long.
pub const REQUEST_ID_LIFE: Millis = Millis::hours(24);
/// RETRY_LATER blocks a stream at most this long before the item is skipped.
pub const RETRY_LATER: Millis = Millis::minutes(15);
/// The receiver accepts under an agreement this long after its end date.
pub const AGREEMENT_GRACE: Millis = Millis::minutes(5);
/// Offers of one partner that are kept here at a time; a further one is refused (BUDGET_EXHAUSTED) and its number consumed.
pub const PARTNER_OFFERS: usize = 2_000;
/// Longest life of any record; nothing is eternal.
pub const RECORD_LIFE: Millis = Millis::days(5 * 366);
/// Nothing reported longer ago may show AVAILABLE.
pub const LIGHT_FRESH: Millis = Millis::hours(1);
/// Longer ago is NOT_REPORTED.
pub const LIGHT_STALE: Millis = Millis::hours(8);
/// Longest life of a capacity statement.
pub const CAPACITY_LIFE: Millis = Millis::hours(24);
/// Offers in one page of an owner's answer to what capacity there is: a call holds as many with the longest fields, in bytes and in elements.
pub const CAPACITY_PAGE: usize = 64;
/// Pages of one partner's answer that are asked for; nobody keeps more offers of a partner either.
pub const CAPACITY_PAGES: usize = PARTNER_OFFERS.div_ceil(CAPACITY_PAGE);
/// A search waits so long for partners that do not answer, unless it says otherwise.
pub const BOARD_DEADLINE: Millis = Millis::seconds(2);
/// The longest that a search can wait.
pub const BOARD_LONGEST: Millis = Millis::seconds(10);
/// The longest lease of a hold, and what it gets when it is extended (9.11).
pub const HOLD_LEASE: Millis = Millis::minutes(90);
/// The shortest lease that can be asked for.
pub const HOLD_SHORTEST: Millis = Millis::minutes(1);
/// The slot of a hold is free so long after its end.
pub const HOLD_MARGIN: Millis = Millis::seconds(60);
/// A hold that ended is known so long: what is said about it late is answered by what became of it.
pub const HOLD_KEPT: Millis = Millis::hours(24);
/// No hold that was given lasts longer, its margin and its extension with it.
pub const HOLD_LONGEST: Millis = Millis(2 * HOLD_LEASE.0 + HOLD_MARGIN.0);
/// Units of one offer that one partner holds at a time.
pub const HOLDS_OF_A_PARTNER: usize = 8;
/// Holds of one offer that one partner gets in 24 hours: what ended is known so long, and takes room.
pub const HOLDS_OF_A_PARTNER_A_DAY: usize = 64;
/// Tokens of holds that an incarnation has before those of the next one begin, at least.
pub const HOLD_TOKENS: u64 = 1_000;
/// Default life of an invitation, and the longest.
pub const INVITATION_LIFE: Millis = Millis::hours(48);
/// Longest life of an invitation.
pub const INVITATION_LIFE_MAX: Millis = Millis::days(14);
/// An application is decided within this span, or it expires; as long as a proposal lives.
pub const APPLICATION_LIFE: Millis = Millis::days(7);
/// The door for strangers stays open this long after an invitation was used.
pub const JOIN_GRACE: Millis = Millis::minutes(10);
/// Bytes of text in which a token is looked for: of a mail that it came in.
pub const TOKEN_TEXT_BYTES: usize = 64 << 10;
/// Wrong words after which an application is closed.
pub const WRONG_WORDS: u32 = 3;

/// Register: entry time at most this far ahead of the local clock.
pub const ENTRY_TIME_AHEAD: Millis = Millis::seconds(60);
/// An emergency suspension older than this is refused by the overlay.
pub const OVERLAY_AGE: Millis = Millis::hours(24);
/// An emergency suspension further ahead than this is refused by the overlay.
pub const OVERLAY_AHEAD: Millis = Millis::minutes(10);
/// A beat's time may lie this far ahead of the local clock.
pub const BEAT_AHEAD: Millis = Millis::minutes(2);
/// Whoever has heard no majority of stewards for longer asks members which head they have.
pub const LONG_SILENCE: Millis = Millis::hours(24);
/// One steward may suspend the same authority once in this span.
pub const EMERGENCY_AGAIN: Millis = Millis::days(7);
/// A Raft term may exceed the one that a majority of beats has reached by this much.
pub const TERM_AHEAD: u64 = 1_000;

/// TLS: time for a handshake.
pub const HANDSHAKE: Millis = Millis::seconds(5);
/// TLS: pending handshakes per address.
pub const PENDING_HANDSHAKES: usize = 32;
/// TLS: connections per peer. Three lanes, each twice while a certificate is renewed, and room for one that is ending.
pub const CONNECTIONS: usize = 8;
/// TLS: connections of all applicants together.
pub const JOIN_CONNECTIONS: usize = 4;
/// HTTP/2: streams per connection. Clients open so many before they have read the settings of a fresh connection, and those
/// beyond the limit would be refused: RFC 9113, 6.5.2 asks for no fewer than 100.
pub const STREAMS: u32 = 100;
/// HTTP/2: bytes of the header list.
pub const HEADER_LIST_BYTES: u32 = 8 << 10;
/// Unary calls: deadline.
pub const UNARY: Millis = Millis::seconds(10);
/// A stream without a message for this long ends.
pub const IDLE_STREAM: Millis = Millis::seconds(60);
