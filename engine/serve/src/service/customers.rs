//! Customer states: get, batch, query, watch, timeline.

mod columns;
mod timeline;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use futures::Stream;
use ontology::CustomerId;
use pipeline::sources::LastEvents;
use prost::Message as _;
use proto::v1::customer_state_service_server::CustomerStateService;
use proto::v1::get_customer_state_request::{At, Customer};
use proto::v1::{self, batch_get_customer_states_item as item, watch_customer_states_response as watched};
use tonic::{Request, Response, Status};

use self::columns::COLUMNS;
use super::{Api, check_batch, deadline};
use crate::backend::{AsOf, Lookup, Then};
use crate::convert::common::{check_staleness, entity_key, id_of, millis, source_ref, tell_last_events};
use crate::convert::customer;
use crate::filter::{Filter, Order};
use crate::fitting::fitted;
use crate::gate::Deadline;
use crate::mask::ReadMask;
use crate::page::{Arguments, Page};
use crate::reason::{Reason, Refusal};
use crate::token::{position_token, read_position};
use crate::view::CustomerView;
use crate::views::{Found, Slot};
use crate::walk::{ANSWER_BYTES_MAX, check_size, too_large};
use crate::watch::{Event, Selection, Stamp, Watch, WatchRequest};

const MESSAGE: &str = "opshub.v1.CustomerState";
/// Bytes of an item of a batch without its state: its name, and an error.
const ITEM_BYTES: usize = 768;
/// Bytes of the paths that a refusal names at the most: whatever it tells is cut a little later.
const PATHS_BYTES_MAX: usize = 480;

/// The service.
pub struct Customers(pub Arc<Api>);

type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl CustomerStateService for Customers {
    async fn get_customer_state(
        &self,
        request: Request<v1::GetCustomerStateRequest>,
    ) -> Result<Response<v1::GetCustomerStateResponse>, Status> {
        let deadline = deadline(&request)?;
        Ok(Response::new(self.0.get(request.into_inner(), deadline).await?))
    }

    async fn batch_get_customer_states(
        &self,
        request: Request<v1::BatchGetCustomerStatesRequest>,
    ) -> Result<Response<v1::BatchGetCustomerStatesResponse>, Status> {
        Ok(Response::new(self.0.batch(request.into_inner()).await?))
    }

    async fn query_customer_states(
        &self,
        request: Request<v1::QueryCustomerStatesRequest>,
    ) -> Result<Response<v1::QueryCustomerStatesResponse>, Status> {
        Ok(Response::new(self.0.query(&request.into_inner())?))
    }

    type WatchCustomerStatesStream = Messages<v1::WatchCustomerStatesResponse>;

    async fn watch_customer_states(
        &self,
        request: Request<v1::WatchCustomerStatesRequest>,
    ) -> Result<Response<Self::WatchCustomerStatesStream>, Status> {
        let watch = self.0.watch(&request.into_inner())?;
        Ok(Response::new(Box::pin(watch.into_stream())))
    }

    async fn list_timeline_entries(
        &self,
        request: Request<v1::ListTimelineEntriesRequest>,
    ) -> Result<Response<v1::ListTimelineEntriesResponse>, Status> {
        Ok(Response::new(self.0.timeline(&request.into_inner())?))
    }
}

impl Api {
    async fn get(
        self: &Arc<Self>,
        request: v1::GetCustomerStateRequest,
        deadline: Deadline,
    ) -> Result<v1::GetCustomerStateResponse, Refusal> {
        let mask = ReadMask::read(&self.pool, MESSAGE, request.read_mask.as_ref())?;
        let lookup = lookup(request.customer.as_ref())?;
        let past = match &request.at {
            None => None,
            Some(At::MinPosition(position)) => {
                self.wait(position, deadline).await?;
                None
            }
            Some(At::AsOfPosition(position)) => read_position("as_of_position", position)?.map(AsOf::Position),
            Some(At::AsOfTime(time)) => Some(AsOf::Time(millis("as_of_time", time)?)),
        };
        let max_staleness = request.max_staleness.as_ref();
        if let Some(at) = past {
            let then = self.backend.customers_as_of(vec![lookup.clone()], at).await?.pop().flatten();
            let then = then.ok_or_else(|| unknown(&lookup))?;
            check_staleness(&then.view.composite.freshness, then.view.evaluated_at, max_staleness)?;
            let redirected_from = redirected_from(&lookup, then.view.id());
            return single(past_state(then), &mask, redirected_from);
        }
        check_staleness(&self.backend.published().freshness(), self.now(), max_staleness)?;
        let found = self.find(&lookup).ok_or_else(|| unknown(&lookup))?;
        let redirected_from = redirected_from(&lookup, found.slot.view.id());
        single(self.state_of(&found), &mask, redirected_from)
    }

    fn find(&self, lookup: &Lookup) -> Option<Found<CustomerView>> {
        let published = self.backend.published();
        match lookup {
            Lookup::Customer(id) => published.find(id),
            Lookup::Record(record) => published.find(&published.customer_of(record)?),
        }
    }

    /// The state of a customer that was found: the same few customers are asked for again and again.
    fn state_of(&self, found: &Found<CustomerView>) -> v1::CustomerState {
        let published = self.backend.published();
        let state = customer::kept_state(&found.slot, &published.freshness(), self.now());
        completed(state, &found.split_into, &published.last_events())
    }

    /// The state of a customer on a walk over many.
    fn state(&self, slot: &Slot<CustomerView>) -> v1::CustomerState {
        let published = self.backend.published();
        let state = customer::state(slot, &published.freshness(), self.now());
        completed(state, &published.split_into(slot.view.id()), &published.last_events())
    }

    async fn batch(
        self: &Arc<Self>,
        request: v1::BatchGetCustomerStatesRequest,
    ) -> Result<v1::BatchGetCustomerStatesResponse, Refusal> {
        check_batch("names", request.names.len())?;
        let mask = ReadMask::read(&self.pool, MESSAGE, request.read_mask.as_ref())?;
        let past = read_position("as_of_position", &request.as_of_position)?;
        let read_position = past.unwrap_or_else(|| self.backend.published().position());
        let lookups: Vec<Result<Lookup, Refusal>> =
            request.names.iter().map(|name| Ok(Lookup::Customer(customer_id("names", name)?))).collect();
        let states = match past {
            None => lookups.iter().flatten().map(|lookup| Some(self.state_of(&self.find(lookup)?))).collect(),
            Some(position) => {
                let asked = lookups.iter().flatten().cloned().collect();
                let views = self.backend.customers_as_of(asked, AsOf::Position(position)).await?;
                views.into_iter().map(|view| view.map(past_state)).collect::<Vec<_>>()
            }
        };
        let mut states = states.into_iter();
        // What does not fit into this answer may be asked for in another.
        let mut bytes = request.names.len() * ITEM_BYTES;
        let mut items = Vec::with_capacity(request.names.len());
        for (name, lookup) in request.names.into_iter().zip(lookups) {
            let state = lookup.and_then(|lookup| states.next().flatten().ok_or_else(|| unknown(&lookup)));
            let state = state.and_then(|state| masked(state, &mask)).and_then(|(state, state_bytes)| {
                check_size(bytes + state_bytes)?;
                bytes += state_bytes;
                Ok(state)
            });
            let result = match state {
                Ok(state) => item::Result::CustomerState(state),
                Err(refusal) => item::Result::Error(refusal.into_item_error()),
            };
            items.push(v1::BatchGetCustomerStatesItem { name, result: Some(result) });
        }
        Ok(v1::BatchGetCustomerStatesResponse { items, read_position: position_token(read_position) })
    }

    fn query(&self, request: &v1::QueryCustomerStatesRequest) -> Result<v1::QueryCustomerStatesResponse, Refusal> {
        let mask = ReadMask::read(&self.pool, MESSAGE, request.read_mask.as_ref())?;
        let filter = Filter::parse(&request.filter, COLUMNS)?;
        let order = Order::parse(&request.order_by, COLUMNS)?;
        let arguments = Arguments::of("QueryCustomerStates", &[&request.filter, &request.order_by]);
        let page = Page::read(arguments, request.page_size, &request.page_token)?;
        let published = self.backend.published();
        let find = || {
            let mut found = published.all();
            found.retain(|slot| filter.matches(slot));
            found.sort_by(|a, b| order.compare(a, b));
            found
        };
        let tell = |slot: &Slot<CustomerView>| mask.apply(self.state(slot));
        let turn = self.customer_walks.turn_told(&page, published.position(), find, tell)?;
        Ok(v1::QueryCustomerStatesResponse {
            customer_states: turn.items,
            next_page_token: turn.next_page_token,
            read_position: position_token(turn.position),
            estimated_total: i64::try_from(turn.total).unwrap_or(i64::MAX),
        })
    }

    fn watch(self: &Arc<Self>, request: &v1::WatchCustomerStatesRequest) -> Result<Watch<CustomerSelection>, Refusal> {
        check_batch("names", request.names.len())?;
        let ids = request.names.iter().map(|name| customer_id("names", name).map(|id| id.0));
        let mut ids = ids.collect::<Result<Vec<CompactString>, Refusal>>()?;
        ids.sort_unstable();
        let mask_paths = request.read_mask.as_ref().map(|mask| mask.paths.join(",")).unwrap_or_default();
        let selection = Arguments::of("WatchCustomerStates", &[&ids.join(","), &request.filter, &mask_paths]);
        let watched = CustomerSelection {
            api: self.clone(),
            filter: Filter::parse(&request.filter, COLUMNS)?,
            mask: ReadMask::read(&self.pool, MESSAGE, request.read_mask.as_ref())?,
        };
        // Whoever watches by a former name follows the customer that it leads to.
        let current: Vec<CompactString> = ids.iter().filter_map(|id| watched.leads_to(id)).collect();
        let watch_request = WatchRequest {
            names: (!ids.is_empty()).then(|| ids.into_iter().chain(current).collect()),
            selection: Some(selection),
            resume_token: request.resume_token.clone(),
            skip_snapshot: request.skip_snapshot,
            bookmark_interval: interval(request.bookmark_interval.as_ref())?,
        };
        let feed = self.backend.published().customers_feed().clone();
        Watch::begin(feed, self.drain.clone(), watched, watch_request)
    }
}

/// The customers that a watch selects.
struct CustomerSelection {
    api: Arc<Api>,
    filter: Filter<Slot<CustomerView>>,
    mask: ReadMask,
}

impl Selection for CustomerSelection {
    type State = v1::CustomerState;
    type Message = v1::WatchCustomerStatesResponse;
    const RESOURCE: &'static str = "customers";

    fn keys(&self) -> Vec<CompactString> {
        self.api.backend.published().ids()
    }

    fn load(&self, key: &str) -> Option<(Stamp, v1::CustomerState)> {
        let slot = self.api.backend.published().slot(&CustomerId(key.into()))?;
        self.filter.matches(&slot).then(|| (slot.changed_at, self.mask.apply(self.api.state(&slot))))
    }

    fn leads_to(&self, key: &str) -> Option<CompactString> {
        let found = self.api.backend.published().find(&CustomerId(key.into()))?;
        found.is_redirected.then(|| found.slot.view.id().0.clone())
    }

    fn is_filtered(&self) -> bool {
        !self.filter.is_empty()
    }

    fn message(&self, resume_token: String, event: Event<v1::CustomerState>) -> v1::WatchCustomerStatesResponse {
        let event = match event {
            Event::Upsert(upsert) => {
                // The stream goes on for a client that could not take the whole state.
                let (state, left_out) = fitted(upsert.state, ANSWER_BYTES_MAX);
                watched::Event::Upsert(v1::CustomerStateUpsert {
                    customer_state: Some(state),
                    changed_paths: customer::path_names(upsert.change.paths),
                    cause_event_ids: upsert.change.causes.iter().map(CompactString::to_string).collect(),
                    coalesced_count: i64::try_from(upsert.coalesced_count).unwrap_or(i64::MAX),
                    omitted_paths: self.mask.names(&left_out),
                })
            }
            Event::Removed(key) => watched::Event::RemovedName(format!("customers/{key}")),
            Event::Bookmark(snapshot_complete) => watched::Event::Bookmark(v1::Bookmark { snapshot_complete }),
            Event::Reset(reason) => watched::Event::Reset(v1::Reset { reason: reason.to_owned() }),
        };
        v1::WatchCustomerStatesResponse { resume_token, event: Some(event) }
    }
}

fn customer_id(field: &'static str, name: &str) -> Result<CustomerId, Refusal> {
    Ok(CustomerId(id_of(field, "customers", name)?.into()))
}

fn lookup(customer: Option<&Customer>) -> Result<Lookup, Refusal> {
    match customer {
        Some(Customer::Name(name)) => Ok(Lookup::Customer(customer_id("name", name)?)),
        Some(Customer::SourceRef(reference)) => Ok(Lookup::Record(entity_key("source_ref", reference)?)),
        None => Err(Refusal::field("name", "name or source_ref is required")),
    }
}

/// The answer with one state, if it is not too large.
fn single(
    state: v1::CustomerState,
    mask: &ReadMask,
    redirected_from: String,
) -> Result<v1::GetCustomerStateResponse, Refusal> {
    let (state, _) = masked(state, mask)?;
    Ok(v1::GetCustomerStateResponse { customer_state: Some(state), redirected_from })
}

/// What the mask keeps of a state, and its bytes, if an answer carries it. The refusal of a state that is too
/// large names the fields that are not.
fn masked(state: v1::CustomerState, mask: &ReadMask) -> Result<(v1::CustomerState, usize), Refusal> {
    let state = mask.apply(state);
    let bytes = state.encoded_len();
    if bytes <= ANSWER_BYTES_MAX {
        return Ok((state, bytes));
    }
    let (_, left_out) = fitted(state, ANSWER_BYTES_MAX);
    let large = mask.names(&left_out).join(",");
    let mut fit = String::new();
    for path in mask.paths_without(&left_out) {
        if fit.len() + path.len() < PATHS_BYTES_MAX {
            fit.push_str(if fit.is_empty() { "" } else { "," });
            fit.push_str(&path);
        }
    }
    let what =
        if fit.is_empty() { format!("some fields below {large} with read_mask") } else { format!("read_mask {fit}") };
    Err(too_large(bytes).with("what", what).with("read_mask", fit).with("left_out", large))
}

fn unknown(lookup: &Lookup) -> Refusal {
    match lookup {
        Lookup::Customer(id) => Refusal::new(Reason::CustomerNotFound).with("name", format!("customers/{id}")),
        Lookup::Record(record) => {
            let named = source_ref(record);
            let record = format!("{}/{}", named.entity_type, named.native_id);
            Refusal::new(Reason::SourceRecordUnknown).with("record", record)
        }
    }
}

/// The state of a customer of the past, as it was told then; its position stands for its version.
fn past_state(then: Then) -> v1::CustomerState {
    let Then { view, split_into, last_events } = then;
    let (position, evaluated_at) = (view.composite.log_pos, view.evaluated_at);
    let freshness = view.composite.freshness;
    let changed_at = Stamp { position, now: evaluated_at, nth: 0 };
    let state = customer::state(&Slot::new(view, position.0, changed_at), &freshness, evaluated_at);
    completed(state, &split_into, &last_events)
}

/// A state with what its view does not tell.
fn completed(mut state: v1::CustomerState, split_into: &[CustomerId], last_events: &LastEvents) -> v1::CustomerState {
    state.split_into = split_into.iter().map(|id| format!("customers/{id}")).collect();
    tell_last_events(&mut state.freshness, last_events);
    state
}

/// The name that was asked for, if the customer has another now.
fn redirected_from(lookup: &Lookup, found: &CustomerId) -> String {
    match lookup {
        Lookup::Customer(asked) if asked != found => format!("customers/{asked}"),
        Lookup::Customer(_) | Lookup::Record(_) => String::new(),
    }
}

/// A bookmark interval from a request.
pub(crate) fn interval(asked: Option<&prost_types::Duration>) -> Result<Option<Duration>, Refusal> {
    let negative = || Refusal::field("bookmark_interval", "is negative");
    asked.map(|asked| Duration::try_from(*asked).map_err(|_| negative())).transpose()
}
