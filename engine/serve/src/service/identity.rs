//! Identity: resolve, explain, review, merge, split.

mod apart;
mod columns;
mod profile;
mod waiting;

use std::sync::Arc;

use ontology::status::Verdict;
use ontology::{CustomerId, EntityKey};
use pipeline::InReview;
use proto::v1::identity_service_server::IdentityService;
use proto::v1::{self, resolve_identity_request::Subject};
use resolver::Explanation;
use tonic::{Request, Response, Status};

use self::columns::COLUMNS;
use super::{Api, caller, check_batch, check_etag};
use crate::convert::common::{entity_key, id_of, ratio, source_ref};
use crate::convert::identity;
use crate::decide::Decider;
use crate::filter::{Filter, Order};
use crate::gate::Deadline;
use crate::page::{Arguments, Page};
use crate::reason::{Reason, Refusal};
use crate::request_id::Call;
use crate::token::position_token;

/// Candidates when the caller names no number.
const CANDIDATES_DEFAULT: usize = 10;
/// Candidates at most.
const CANDIDATES_MAX: usize = 100;

/// The service.
pub struct Identities(pub Arc<Api>);

#[tonic::async_trait]
impl IdentityService for Identities {
    async fn resolve_identity(
        &self,
        request: Request<v1::ResolveIdentityRequest>,
    ) -> Result<Response<v1::ResolveIdentityResponse>, Status> {
        let (_, deadline) = caller(&request)?;
        Ok(Response::new(self.0.resolve(request.into_inner(), deadline).await?))
    }

    async fn explain_match(
        &self,
        request: Request<v1::ExplainMatchRequest>,
    ) -> Result<Response<v1::ExplainMatchResponse>, Status> {
        let (_, deadline) = caller(&request)?;
        let request = request.into_inner();
        self.0.wait(&request.min_position, deadline).await?;
        let (left, right) =
            (self.0.party("left", request.left.as_ref())?, self.0.party("right", request.right.as_ref())?);
        let read_position = position_token(self.0.backend.published().position());
        let explained = self.0.backend.explain(left.clone(), right).await?;
        let explanation = Some(identity::explanation(&explained.seen_from(&left)));
        Ok(Response::new(v1::ExplainMatchResponse { explanation, read_position }))
    }

    async fn list_review_items(
        &self,
        request: Request<v1::ListReviewItemsRequest>,
    ) -> Result<Response<v1::ListReviewItemsResponse>, Status> {
        Ok(Response::new(self.0.review(&request.into_inner()).await?))
    }

    async fn decide_review_item(
        &self,
        request: Request<v1::DecideReviewItemRequest>,
    ) -> Result<Response<v1::DecideReviewItemResponse>, Status> {
        let (principal, deadline) = caller(&request)?;
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "DecideReviewItem",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async { Ok(self.0.decide(&request, &principal.name, deadline).await?) };
        Ok(Response::new(self.0.answers.once(call, self.0.now(), write).await?))
    }

    async fn merge_identities(
        &self,
        request: Request<v1::MergeIdentitiesRequest>,
    ) -> Result<Response<v1::MergeIdentitiesResponse>, Status> {
        let (principal, deadline) = caller(&request)?;
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "MergeIdentities",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async { Ok(self.0.merge(&request, &principal.name, deadline).await?) };
        Ok(Response::new(self.0.answers.once(call, self.0.now(), write).await?))
    }

    async fn split_identity(
        &self,
        request: Request<v1::SplitIdentityRequest>,
    ) -> Result<Response<v1::SplitIdentityResponse>, Status> {
        let (principal, deadline) = caller(&request)?;
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "SplitIdentity",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async { Ok(self.0.split(&request, &principal.name, deadline).await?) };
        Ok(Response::new(self.0.answers.once(call, self.0.now(), write).await?))
    }
}

impl Api {
    /// A party record that the hub knows.
    fn party(&self, field: &'static str, reference: Option<&v1::SourceRef>) -> Result<EntityKey, Refusal> {
        let reference = reference.ok_or_else(|| Refusal::field(field, "is required"))?;
        let key = entity_key(field, reference)?;
        if !key.kind.is_party() {
            return Err(Refusal::field(field, "is not a party record"));
        }
        if self.backend.published().customer_of(&key).is_none() {
            return Err(Refusal::new(Reason::SourceRecordUnknown).with("record", &key));
        }
        Ok(key)
    }

    /// Whether a party record is there, and not only named by others or deleted.
    fn is_alive(&self, party: &EntityKey) -> bool {
        let published = self.backend.published();
        let slot = published.customer_of(party).and_then(|id| published.slot(&id));
        slot.is_some_and(|slot| slot.view.composite.get(party).is_some())
    }

    async fn resolve(
        &self,
        request: v1::ResolveIdentityRequest,
        deadline: Deadline,
    ) -> Result<v1::ResolveIdentityResponse, Refusal> {
        self.wait(&request.min_position, deadline).await?;
        let read_position = position_token(self.backend.published().position());
        let asked = usize::try_from(request.max_candidates);
        let asked = asked.map_err(|_| Refusal::field("max_candidates", "is negative"))?;
        let limit = if asked == 0 { CANDIDATES_DEFAULT } else { asked.min(CANDIDATES_MAX) };
        if !(0.0..=1.0).contains(&request.min_probability) {
            return Err(Refusal::field("min_probability", "is not within 0 and 1"));
        }
        let mut answer = match &request.subject {
            Some(Subject::SourceRef(reference)) => {
                let key = self.party("source_ref", Some(reference))?;
                self.resolve_record(&key, request.include_explanation).await?
            }
            Some(Subject::Profile(profile)) => {
                let mut found = Vec::new();
                for party in profile::described(profile)? {
                    found.extend(self.backend.resolve(party, limit).await?);
                }
                self.resolve_candidates(&profile::best_of_each(found), request.include_explanation)
            }
            None => return Err(Refusal::field("subject", "source_ref or profile is required")),
        };
        answer.candidates.retain(|candidate| candidate.match_probability >= request.min_probability);
        answer.candidates.truncate(limit);
        answer.read_position = read_position;
        Ok(answer)
    }

    /// A known record: its customer, and the records that hold it there or may belong to it.
    async fn resolve_record(&self, key: &EntityKey, explain: bool) -> Result<v1::ResolveIdentityResponse, Refusal> {
        let published = self.backend.published();
        let found = published.customer_of(key).and_then(|id| published.find(&id));
        let found = found.ok_or_else(|| Refusal::new(Reason::SourceRecordUnknown).with("record", key))?;
        let composite = &found.slot.view.composite;
        let others = composite.members.iter().map(|member| &member.key).filter(|member| *member != key);
        let possible =
            composite.possible.iter().filter(|possible| possible.member == *key).map(|possible| &possible.key);
        let mut explained = Vec::new();
        for other in others.chain(possible) {
            explained.push(self.backend.explain(key.clone(), other.clone()).await?.seen_from(key));
        }
        let candidates = explained.iter().map(|explained| self.candidate(explained, explain));
        let mut candidates: Vec<v1::IdentityCandidate> = candidates.collect();
        candidates.sort_by(|a, b| b.match_probability.total_cmp(&a.match_probability));
        let confidence = composite.members.iter().find(|member| member.key == *key).map(|member| member.confidence);
        Ok(v1::ResolveIdentityResponse {
            customer: format!("customers/{}", composite.id),
            match_probability: ratio(confidence.unwrap_or_default()),
            decision: v1::MatchDecision::Linked.into(),
            model_version: explained.first().map(|one| one.model_version.to_string()).unwrap_or_default(),
            candidates,
            ..v1::ResolveIdentityResponse::default()
        })
    }

    /// A described party: the best candidate decides.
    fn resolve_candidates(&self, found: &[Explanation], explain: bool) -> v1::ResolveIdentityResponse {
        let candidates = found.iter().map(|explained| self.candidate(explained, explain));
        let candidates: Vec<v1::IdentityCandidate> = candidates.collect();
        let best = candidates.first().cloned().unwrap_or_default();
        let is_linked = best.decision == i32::from(v1::MatchDecision::Linked);
        let none = i32::from(v1::MatchDecision::None);
        v1::ResolveIdentityResponse {
            customer: if is_linked { best.customer } else { String::new() },
            match_probability: best.match_probability,
            decision: if best.decision == 0 { none } else { best.decision },
            model_version: found.first().map(|one| one.model_version.to_string()).unwrap_or_default(),
            candidates,
            ..v1::ResolveIdentityResponse::default()
        }
    }

    /// What an explanation says of the record on its right: the one that was asked about is on the left.
    fn candidate(&self, explained: &Explanation, explain: bool) -> v1::IdentityCandidate {
        let other = &explained.right;
        let customer = self.backend.published().customer_of(other);
        v1::IdentityCandidate {
            customer: customer.map(|id| format!("customers/{id}")).unwrap_or_default(),
            r#ref: Some(source_ref(other)),
            match_probability: ratio(explained.confidence.0),
            decision: identity::decision(explained).into(),
            explanation: explain.then(|| identity::explanation(explained)),
        }
    }

    async fn review(&self, request: &v1::ListReviewItemsRequest) -> Result<v1::ListReviewItemsResponse, Refusal> {
        let filter = Filter::parse(&request.filter, COLUMNS)?;
        let order = Order::parse(&request.order_by, COLUMNS)?;
        let explained = if request.include_explanation { "explained" } else { "" };
        let arguments = Arguments::of("ListReviewItems", &[&request.filter, &request.order_by, explained]);
        let page = Page::read(arguments, request.page_size, &request.page_token)?;
        let position = self.backend.published().position();
        let waiting = if page.position.is_none() { self.backend.review_items().await? } else { Vec::new() };
        let mut turn = self.review_walks.turn(&page, position, || {
            let mut items: Vec<v1::ReviewItem> = waiting.iter().map(|item| self.review_item(item)).collect();
            items.retain(|item| filter.matches(item));
            items.sort_by(|a, b| order.compare(a, b).then_with(|| waiting::by_urgency(a, b)));
            items
        })?;
        if request.include_explanation {
            for item in &mut turn.items {
                let (left, right) = identity::reviewed_pair(&item.name)?;
                // A record that has gone since leaves nothing to explain.
                item.explanation = self.backend.explain(left, right).await.ok().as_ref().map(identity::explanation);
            }
        }
        Ok(v1::ListReviewItemsResponse {
            review_items: turn.items,
            next_page_token: turn.next_page_token,
            read_position: position_token(turn.position),
        })
    }

    fn review_item(&self, item: &InReview) -> v1::ReviewItem {
        let published = self.backend.published();
        let waiting = waiting::on(published, &item.item.left, &item.item.right);
        identity::review_item(item, published.now(), waiting)
    }

    async fn decide(
        &self,
        request: &v1::DecideReviewItemRequest,
        actor: &str,
        deadline: Deadline,
    ) -> Result<v1::DecideReviewItemResponse, Refusal> {
        let (left, right) = identity::reviewed_pair(&request.name)?;
        let verdict = match v1::ReviewState::try_from(request.decision) {
            Ok(v1::ReviewState::Approved) => Verdict::Link,
            Ok(v1::ReviewState::Rejected) => Verdict::Unlink,
            Ok(v1::ReviewState::Unspecified | v1::ReviewState::Pending) | Err(_) => {
                return Err(Refusal::field("decision", "is neither APPROVED nor REJECTED"));
            }
        };
        let pairs = [(left.clone(), right.clone())];
        let turn = self.turn_of_pairs(&pairs, deadline).await?;
        let waiting = self.backend.review_items().await?;
        let is_asked = |waiting: &&InReview| waiting.item.left == left && waiting.item.right == right;
        let Some(item) = waiting.iter().find(is_asked) else {
            let explained = self.backend.explain(left, right).await?;
            let is_decided = !explained.judgements.is_empty();
            let reason = if is_decided { Reason::ReviewAlreadyDecided } else { Reason::ReviewItemNotFound };
            return Err(Refusal::new(reason).with("name", &request.name));
        };
        let mut answered = self.review_item(item);
        check_etag(&request.name, &request.etag, &answered.etag)?;
        let decider = Decider { actor, reason: &request.comment, at: self.now(), request_id: &request.request_id };
        let position = self.judge(turn, &pairs, verdict, decider).await?;
        answered.state = request.decision;
        Ok(v1::DecideReviewItemResponse { review_item: Some(answered), position: position_token(position) })
    }

    async fn merge(
        &self,
        request: &v1::MergeIdentitiesRequest,
        actor: &str,
        deadline: Deadline,
    ) -> Result<v1::MergeIdentitiesResponse, Refusal> {
        check_batch("sources", request.sources.len())?;
        let target = self.party("target", request.target.as_ref())?;
        let sources = request.sources.iter().map(|source| self.party("sources", Some(source)));
        let mut sources = sources.collect::<Result<Vec<EntityKey>, Refusal>>()?;
        sources.retain(|source| *source != target);
        if sources.is_empty() {
            let problem = "there is no second record";
            return Err(Refusal::new(Reason::MergeForbidden).with("problem", problem));
        }
        if let Some(gone) = std::iter::once(&target).chain(&sources).find(|party| !self.is_alive(party)) {
            let problem = format!("{gone} is deleted in its source, or has not come from there, and links nothing");
            return Err(Refusal::new(Reason::MergeForbidden).with("problem", problem));
        }
        let held_apart = self.held_apart(&target, &sources).await?;
        let position = if request.validate_only {
            String::new()
        } else {
            let pairs: Vec<_> = sources.iter().map(|source| (target.clone(), source.clone())).collect();
            let turn = self.turn_of_pairs(&pairs, deadline).await?;
            let decider = Decider { actor, reason: &request.reason, at: self.now(), request_id: &request.request_id };
            position_token(self.judge(turn, &pairs, Verdict::Link, decider).await?)
        };
        let customer = self.backend.published().customer_of(&target);
        Ok(v1::MergeIdentitiesResponse {
            customer: customer.map(|id| format!("customers/{id}")).unwrap_or_default(),
            moved: sources.iter().map(source_ref).collect(),
            position,
            held_apart,
        })
    }

    async fn split(
        &self,
        request: &v1::SplitIdentityRequest,
        actor: &str,
        deadline: Deadline,
    ) -> Result<v1::SplitIdentityResponse, Refusal> {
        check_batch("members", request.members.len())?;
        let id = CustomerId(id_of("customer", "customers", &request.customer)?.into());
        let found = self.backend.published().find(&id);
        let found = found.ok_or_else(|| Refusal::new(Reason::CustomerNotFound).with("name", &request.customer))?;
        let leaving = request.members.iter().map(|member| entity_key("members", member));
        let leaving = leaving.collect::<Result<Vec<EntityKey>, Refusal>>()?;
        let members = &found.slot.view.composite.members;
        if let Some(stranger) = leaving.iter().find(|key| !members.iter().any(|member| member.key == **key)) {
            return Err(Refusal::field("members", format!("{stranger} is not a member")));
        }
        let staying: Vec<&EntityKey> =
            members.iter().map(|member| &member.key).filter(|key| !leaving.contains(key)).collect();
        if leaving.is_empty() || staying.is_empty() {
            return Err(Refusal::new(Reason::SplitEmpty));
        }
        let position = if request.validate_only {
            String::new()
        } else {
            let pairs = leaving.iter().flat_map(|left| staying.iter().map(|right| (left.clone(), (*right).clone())));
            let pairs: Vec<_> = pairs.collect();
            let turn = self.turn_of_pairs(&pairs, deadline).await?;
            let decider = Decider { actor, reason: &request.reason, at: self.now(), request_id: &request.request_id };
            position_token(self.judge(turn, &pairs, Verdict::Unlink, decider).await?)
        };
        Ok(v1::SplitIdentityResponse { moved: leaving.iter().map(source_ref).collect(), position })
    }
}
