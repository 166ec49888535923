//! Lists of derived objects: one way to find, filter, sort and page all of them.

use std::collections::BTreeSet;

use prost::Message;

use super::Api;
use crate::filter::{Column, Filter, Order};
use crate::page::{Arguments, Page};
use crate::reason::Refusal;
use crate::token::position_token;
use crate::view::CustomerView;
use crate::views::{Collection, Slot};
use crate::walk::Walks;

/// What a list call asks for.
pub(super) struct Listing<'a> {
    pub method: &'static str,
    pub collection: Collection,
    pub filter: &'a str,
    pub order_by: &'a str,
    pub page_size: i32,
    pub page_token: &'a str,
}

/// A page of a list.
pub(super) struct Listed<T> {
    pub items: Vec<T>,
    pub next_page_token: String,
    pub read_position: String,
}

impl Api {
    /// Lists the objects that `objects` finds in the views that have some of the collection, and
    /// `others` that belong to no customer.
    /// `newest_first` compares for calls that ask for no order.
    pub(super) fn list<T: Message + Clone>(
        &self,
        listing: Listing<'_>,
        columns: &'static [Column<T>],
        walks: &Walks<T>,
        others: Vec<T>,
        objects: impl Fn(&CustomerView) -> Vec<T>,
        newest_first: impl Fn(&T, &T) -> std::cmp::Ordering,
    ) -> Result<Listed<T>, Refusal> {
        let filter = Filter::parse(listing.filter, columns)?;
        let order = Order::parse(listing.order_by, columns)?;
        let arguments = Arguments::of(listing.method, &[listing.filter, listing.order_by]);
        let page = Page::read(arguments, listing.page_size, listing.page_token)?;
        let position = self.backend.published().position();
        let turn = walks.turn(&page, position, || {
            let views = self.views_with(listing.collection);
            let mut found = others;
            found.extend(views.iter().flat_map(|slot| objects(&slot.view)));
            found.retain(|object| filter.matches(object));
            if order.is_empty() {
                found.sort_by(newest_first);
            } else {
                found.sort_by(|a, b| order.compare(a, b));
            }
            found
        })?;
        Ok(Listed {
            items: turn.items,
            next_page_token: turn.next_page_token,
            read_position: position_token(turn.position),
        })
    }

    /// Views that have objects of a collection, in order of customer id.
    fn views_with(&self, collection: Collection) -> Vec<Slot<CustomerView>> {
        let published = self.backend.published();
        let customers: BTreeSet<_> = published.customers_with(collection).into_iter().collect();
        customers.iter().filter_map(|customer| published.slot(customer)).collect()
    }
}

/// Later timestamps first; absent ones last.
pub(super) fn later_first(
    a: Option<&prost_types::Timestamp>,
    b: Option<&prost_types::Timestamp>,
) -> std::cmp::Ordering {
    let key = |time: Option<&prost_types::Timestamp>| time.map(|time| (time.seconds, time.nanos));
    key(b).cmp(&key(a))
}
