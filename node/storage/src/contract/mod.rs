//! What the trait promises, whatever lies beneath: a suite that every store has to pass.
//!
//! Each section gets a fresh store. `every_section` runs them all on one kind of store, for who wants the whole.

mod again;
mod deliver;
mod erasing;
mod fixture;
mod holds;
mod owed;
mod persons;
mod publish;
mod receive;
mod rest;

use futures_util::future::BoxFuture;
use std::sync::Arc;

use super::Store;
pub(crate) use fixture::*;

macro_rules! sections {
    ($($module:ident::$section:ident),+ $(,)?) => {
        /// Runs every section, each on a store of its own.
        pub(crate) async fn every_section(make: impl Fn() -> BoxFuture<'static, Arc<dyn Store>>) {
            $(println!("{}", stringify!($section)); $module::$section(make().await.as_ref()).await;)+
        }

        $(#[tokio::test] async fn $section() {
            let dir = tempfile::tempdir().unwrap();
            $module::$section(&sqlite(dir.path()).await).await;
        })+
    };
}

sections! {
    publish::a_publication_is_pending_until_it_is_dispatched,
    publish::deliveries_made_with_a_publication_are_queued_with_it,
    publish::a_repeated_request_gets_the_first_answer,
    publish::a_taken_key_refuses_one_and_not_its_neighbours,
    publish::lists_go_from_new_to_old,
    deliver::numbers_are_given_in_order_per_stream,
    deliver::batches_keep_both_limits,
    deliver::settling_moves_the_stream_once,
    deliver::each_result_becomes_its_state,
    deliver::attempts_wait_and_skip,
    deliver::a_new_incarnation_queues_again_what_is_unexpired,
    again::a_stream_begins_anew_at_once_and_what_waits_follows_in_pieces,
    again::what_waits_for_its_turn_is_counted_closed_and_expires_as_all_else,
    deliver::what_expires_while_it_waits_is_kept_as_a_number_alone,
    deliver::held_items_wait_and_closed_ones_end,
    deliver::what_is_deferred_makes_room_and_is_queued_again,
    deliver::a_record_knows_the_grants_under_which_it_was_sent,
    deliver::deliveries_are_found_by_recipient_state_and_record,
    deliver::deliveries_are_listed_page_by_page_and_since_an_instant,
    receive::a_batch_is_stored_once_and_in_order,
    receive::a_stream_that_stands_elsewhere_says_where,
    receive::a_taken_key_stores_nothing_of_the_batch,
    receive::a_hidden_record_gets_its_position_when_its_target_comes,
    receive::waiting_records_are_shown_one_after_the_other,
    receive::effects_come_with_the_batch,
    receive::a_partners_offer_goes_with_the_record_that_brought_it,
    receive::readers_page_by_position_and_kind,
    receive::cursors_never_go_back,
    receive::what_is_superseded_is_kept_no_longer_than_the_word_that_says_so,
    rest::agreements_do_not_become_less,
    rest::each_party_leaves_an_agreement_once,
    rest::whether_an_agreement_is_confirmed_is_as_it_is_put,
    rest::offers_are_replaced_by_version,
    rest::named_values_are_compared,
    rest::invitations_compare_and_swap,
    rest::what_a_request_made_is_forgotten_in_time,
    rest::a_partners_incarnation_is_kept_for_each_of_ours,
    rest::the_own_incarnation_only_rises,
    rest::a_write_is_whole_or_not_at_all,
    owed::what_is_owed_is_listed_by_sort_and_recipient_oldest_first,
    owed::what_cannot_be_done_is_in_nobodys_way,
    owed::what_a_clock_that_was_ahead_put_off_is_due_once_it_is_right,
    owed::a_fulfilling_write_settles_in_its_transaction,
    owed::the_dispatchers_and_a_received_batch_owe_too,
    holds::slots_are_replaced_by_version_and_what_goes_with_them_is_whole_or_not_at_all,
    holds::what_was_asked_for_is_kept_until_its_time_and_what_it_is_does_not_change,
    persons::agreements_to_share_are_found_by_their_case_and_replaced_by_version,
    persons::what_is_sealed_opens_until_its_row_is_past,
    persons::each_partner_knows_a_case_by_another_name,
    erasing::what_is_about_a_person_is_read_until_it_is_erased,
    erasing::what_was_on_its_way_travels_as_a_skip,
    erasing::its_time_takes_the_key_with_it,
    erasing::who_got_it_and_what_came_of_it_is_kept,
    erasing::what_was_called_back_is_told_by_its_counter_and_while_it_is_open,
    erasing::who_sent_records_about_persons_and_who_has_said_what_was_withdrawn,
    erasing::the_salts_of_what_was_erased_die_with_the_next_sweep,
    erasing::who_got_it_is_known_for_a_year_and_while_somebody_owes_an_answer,
    rest::a_store_is_one_authoritys_in_one_federation,
    rest::the_ledger_fits_its_root,
    rest::a_sweep_forgets_what_is_past,
    rest::a_salt_dies_with_its_record_and_a_refusal_begins_none,
    rest::sixty_four_writers_at_once,
    rest::a_closed_store_takes_nothing,
}

/// A store on SQLite in a folder.
pub(crate) async fn sqlite(dir: &std::path::Path) -> super::sqlite::SqliteStore {
    super::sqlite::SqliteStore::open(dir, options()).await.unwrap()
}

/// Options without ballast, that never end the process.
pub(crate) fn options() -> super::sqlite::Options {
    let mut options = super::sqlite::Options::new(Arc::new(|| NOW));
    options.ballast_bytes = 0;
    options.end_process = Arc::new(|why| panic!("{why}"));
    options
}
