//! What every store keeps to, run on the embedded store, on the one in memory, and on real
//! servers: one broker with one Redis, and three brokers with a Redis Cluster.
#![allow(clippy::unwrap_used)]

#[path = "contract/mod.rs"]
mod contract;

macro_rules! on_all {
    ($($module:ident :: $name:ident),* $(,)?) => {
        mod embedded { $(#[test] fn $name() { super::contract::$module::$name(&super::contract::OnDisk::new()); })* }
        mod memory { $(#[test] fn $name() { super::contract::$module::$name(&super::contract::InMemory::new()); })* }
        mod distributed { $(#[test] fn $name() { super::contract::$module::$name(&super::contract::OnServers::new()); })* }
    };
}

on_all! {
    log::positions_are_contiguous_from_one,
    log::reading_begins_with_the_block_that_holds_the_position,
    log::reading_outside_the_log_is_refused,
    log::blocks_are_chained,
    log::source_positions_and_quarantine_come_with_their_facts,
    log::an_intake_without_facts_moves_no_position,
    log::an_empty_block_is_refused_and_nothing_is_kept,
    log::payloads_without_facts_stand_before_the_next_block,
    log::payloads_are_kept_for_their_retention_exactly,
    rows::rows_are_loaded_in_the_order_of_the_keys,
    rows::a_scan_takes_one_prefix_of_one_table_in_key_order,
    rows::later_changes_of_a_batch_win,
    rows::a_scan_of_many_rows_goes_on_while_others_write,
    rows::a_sweep_ends_however_often_others_write,
    rows::actions_stay_pending_until_done,
    rows::the_applied_position_only_moves_forward_and_within_the_log,
    rows::limits_are_kept,
    rows::loads_and_commits_are_counted,
    quarantine::records_are_listed_by_page_and_filter,
    quarantine::attempts_and_decisions_are_kept,
    quarantine::unknown_records_are_refused,
    quarantine::records_expire_oldest_first_and_ids_are_not_given_again,
    restart::everything_is_there_after_a_restart,
    restart::verification_counts_what_is_there,
}

/// A cluster answers as one server does, so one of each subject is asked of it.
mod cluster {
    use super::contract::{OnServers, log, quarantine, restart, rows};

    #[test]
    fn log_rows_and_quarantine_are_kept_on_a_cluster() {
        log::source_positions_and_quarantine_come_with_their_facts(&OnServers::on_a_cluster());
        rows::a_scan_of_many_rows_goes_on_while_others_write(&OnServers::on_a_cluster());
        quarantine::attempts_and_decisions_are_kept(&OnServers::on_a_cluster());
        restart::everything_is_there_after_a_restart(&OnServers::on_a_cluster());
    }
}

macro_rules! on_those_with_stands {
    ($($name:ident),* $(,)?) => {
        mod embedded_stands { $(#[test] fn $name() { super::contract::stands::$name(&super::contract::OnDisk::new()); })* }
        mod memory_stands { $(#[test] fn $name() { super::contract::stands::$name(&super::contract::InMemory::new()); })* }
    };
}

on_those_with_stands! {
    a_stand_tells_the_rows_as_they_stood,
    a_stand_that_is_broken_off_is_none_and_the_next_is_whole,
    what_is_before_the_base_is_forgotten_and_the_rest_goes_on,
    any_course_of_rows_stands_and_forgetting_reads_as_it_stood,
}

#[test]
fn stands_on_servers_are_none() {
    contract::stands::a_store_without_stands_keeps_none(&contract::OnServers::new());
}

/// All rows in one partition are kept by one script per commit, and by parts where that is too large.
mod alone {
    use super::contract::{OnServers, restart, rows};

    #[test]
    fn rows_of_one_partition_are_kept() {
        rows::a_scan_takes_one_prefix_of_one_table_in_key_order(&OnServers::alone());
        rows::a_scan_of_many_rows_goes_on_while_others_write(&OnServers::alone());
        rows::a_sweep_ends_however_often_others_write(&OnServers::alone());
        restart::everything_is_there_after_a_restart(&OnServers::alone());
    }
}

#[test]
fn facts_rows_actions_and_position_are_one_atom() {
    contract::rows::facts_rows_actions_and_position_are_one_atom(&contract::OnDisk::new());
    contract::rows::facts_rows_actions_and_position_are_one_atom(&contract::InMemory::new());
}
