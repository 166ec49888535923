//! Admin: sources, quarantine, digest.

mod columns;

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use ontology::{System, Vocabulary};
use proto::v1::admin_service_server::AdminService;
use proto::v1::{self, QuarantineState as WireState};
use state::freshness::SourceState;
use storage::{QuarantineFilter, QuarantineId, QuarantineState, Quarantined};
use tonic::{Request, Response, Status};

use self::columns::COLUMNS;
use super::{Api, BATCH_MAX, caller, check_batch};
use crate::backend::SourceReport;
use crate::convert::common::{duration, freshness_of, id_of, millis, system, time};
use crate::filter::Filter;
use crate::page::{Arguments, Page};
use crate::reason::{Reason, Refusal};
use crate::request_id::Call;
use crate::token::position_token;

/// Records read from the store at a time while a filter looks for its matches.
const SCAN: usize = 1_000;

/// The service.
pub struct Admin(pub Arc<Api>);

#[tonic::async_trait]
impl AdminService for Admin {
    type CreateBackupStream = BoxStream<'static, Result<v1::CreateBackupResponse, Status>>;

    async fn list_sources(
        &self,
        request: Request<v1::ListSourcesRequest>,
    ) -> Result<Response<v1::ListSourcesResponse>, Status> {
        let request = request.into_inner();
        let page = Page::read(Arguments::of("ListSources", &[]), request.page_size, &request.page_token)?;
        let position = self.0.backend.published().position();
        let turn = self
            .0
            .source_walks
            .turn(&page, position, || self.0.backend.sources().iter().map(|report| self.0.source(report)).collect())?;
        let answer = v1::ListSourcesResponse { sources: turn.items, next_page_token: turn.next_page_token };
        Ok(Response::new(answer))
    }

    async fn list_quarantine(
        &self,
        request: Request<v1::ListQuarantineRequest>,
    ) -> Result<Response<v1::ListQuarantineResponse>, Status> {
        Ok(Response::new(self.0.list_quarantine(&request.into_inner()).await?))
    }

    async fn get_quarantine(
        &self,
        request: Request<v1::GetQuarantineRequest>,
    ) -> Result<Response<v1::GetQuarantineResponse>, Status> {
        let name = request.into_inner().name;
        let found = self.0.backend.quarantined(quarantine_id(&name)?).await?;
        let (record, payload) = found.ok_or_else(|| unknown(&name))?;
        let record = v1::QuarantinedRecord { payload, ..quarantined(&record) };
        Ok(Response::new(v1::GetQuarantineResponse { record: Some(record) }))
    }

    async fn replay_quarantine(
        &self,
        request: Request<v1::ReplayQuarantineRequest>,
    ) -> Result<Response<v1::ReplayQuarantineResponse>, Status> {
        let (principal, _) = caller(&request)?;
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "ReplayQuarantine",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async {
            let ids = self.0.chosen(&request.names, &request.filter).await?;
            let done = self.0.backend.replay(ids, request.validate_only).await?;
            Ok(v1::ReplayQuarantineResponse {
                replayed_names: names(&done.replayed),
                refused_names: names(&done.refused),
                position: done.position.map(position_token).unwrap_or_default(),
            })
        };
        Ok(Response::new(self.0.answers.once(call, self.0.now(), write).await?))
    }

    async fn discard_quarantine(
        &self,
        request: Request<v1::DiscardQuarantineRequest>,
    ) -> Result<Response<v1::DiscardQuarantineResponse>, Status> {
        let (principal, _) = caller(&request)?;
        let request = request.into_inner();
        let call = Call {
            caller: &principal.name,
            method: "DiscardQuarantine",
            request_id: &request.request_id,
            request: &request,
        };
        let write = async {
            let ids = self.0.chosen(&request.names, &request.filter).await?;
            let discarded = self.0.backend.discard(ids.clone(), request.validate_only).await?;
            let unchanged: Vec<_> = ids.into_iter().filter(|id| !discarded.contains(id)).collect();
            Ok(v1::DiscardQuarantineResponse { discarded_names: names(&discarded), unchanged_names: names(&unchanged) })
        };
        Ok(Response::new(self.0.answers.once(call, self.0.now(), write).await?))
    }

    async fn get_digest(
        &self,
        request: Request<v1::GetDigestRequest>,
    ) -> Result<Response<v1::GetDigestResponse>, Status> {
        let (_, deadline) = caller(&request)?;
        let request = request.into_inner();
        let at = request.at.as_ref().map(|time| millis("at", time)).transpose()?;
        self.0.wait(&request.min_position, deadline).await?;
        let (digest, position) = self.0.backend.digest(at).await?;
        Ok(Response::new(v1::GetDigestResponse { digest, position: position_token(position) }))
    }

    async fn get_process(
        &self,
        _request: Request<v1::GetProcessRequest>,
    ) -> Result<Response<v1::GetProcessResponse>, Status> {
        let process = self.0.backend.process();
        let role = if process.is_owner { v1::Role::Owner } else { v1::Role::Replica };
        Ok(Response::new(v1::GetProcessResponse {
            role: role.into(),
            owner: process.owner.unwrap_or_default(),
            position: position_token(self.0.backend.published().position()),
            lag_positions: i64::try_from(process.lag_positions).unwrap_or(i64::MAX),
            lag: process.lag_ms.map(duration),
        }))
    }

    async fn create_backup(
        &self,
        request: Request<v1::CreateBackupRequest>,
    ) -> Result<Response<Self::CreateBackupStream>, Status> {
        caller(&request)?;
        let (parts, drain) = (self.0.backend.backup()?, self.0.drain.clone());
        let sent = futures::stream::unfold(Some(parts), move |parts| {
            let drain = drain.clone();
            async move {
                let mut parts = parts?;
                tokio::select! {
                    part = parts.next() => {
                        let part = part?.map(|part| v1::CreateBackupResponse { part }).map_err(Status::from);
                        Some((part, Some(parts)))
                    }
                    () = drain.draining() => Some((Err(Refusal::new(Reason::Draining).into()), None)),
                }
            }
        });
        Ok(Response::new(sent.boxed()))
    }
}

impl Api {
    fn source(&self, report: &SourceReport) -> v1::Source {
        // A row tells of its own partition: what another one of the system lacks stands in that one's row. One
        // that says nothing of its own progress has only the joint picture.
        let mut joint = self.backend.published().freshness();
        if report.watermark.is_some() {
            let own = joint.source_mut(report.system);
            // The other desk counts with Salesforce, whose missing changes are not the desk's.
            let oldest_gap = own.oldest_gap.filter(|_| report.system != System::Zendesk);
            *own = SourceState { watermark: report.watermark, oldest_gap, is_monitored: true, ..*own };
        }
        let known = freshness_of(&joint, report.system, self.now());
        v1::Source {
            system: system(report.system),
            partition: report.partition.clone(),
            state: known.state,
            source_position: report.source_position.clone(),
            watermark_time: report.watermark.and_then(time),
            lag: known.lag,
            received_count: i64::try_from(report.received_count).unwrap_or(i64::MAX),
            quarantined_count: i64::try_from(report.quarantined_count).unwrap_or(i64::MAX),
            last_error: report.last_error.clone(),
            last_event_time: report.last_event_at.and_then(time),
        }
    }

    async fn list_quarantine(
        &self,
        request: &v1::ListQuarantineRequest,
    ) -> Result<v1::ListQuarantineResponse, Refusal> {
        let filter = Filter::parse(&request.filter, COLUMNS)?;
        let arguments = Arguments::of("ListQuarantine", &[&request.filter]);
        let page = Page::read(arguments, request.page_size, &request.page_token)?;
        let after = page.after.parse().ok().map(QuarantineId);
        let mut found = self.scan(|record| filter.matches(record), after, page.size + 1).await?;
        let has_more = found.len() > page.size;
        found.truncate(page.size);
        let next_page_token = match found.last().filter(|_| has_more) {
            Some(last) => page.next(self.backend.published().position(), found.len(), &last.id.to_string()),
            None => String::new(),
        };
        Ok(v1::ListQuarantineResponse { records: found.iter().map(quarantined).collect(), next_page_token })
    }

    /// The first `limit` records behind `after` that are meant.
    async fn scan(
        &self,
        is_meant: impl Fn(&Quarantined) -> bool + Send,
        mut after: Option<QuarantineId>,
        limit: usize,
    ) -> Result<Vec<Quarantined>, Refusal> {
        let mut found = Vec::new();
        loop {
            let page = self.backend.list_quarantine(QuarantineFilter::default(), after, SCAN).await?;
            found.extend(page.records.into_iter().filter(|record| is_meant(record)));
            after = page.after;
            if after.is_none() || found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }

    /// The records that a write is about: by name, or the oldest of those held that match a filter, as many
    /// as one write may name.
    async fn chosen(&self, names: &[String], filter: &str) -> Result<Vec<QuarantineId>, Refusal> {
        check_batch("names", names.len())?;
        if !names.is_empty() {
            return names.iter().map(|name| quarantine_id(name)).collect();
        }
        if filter.is_empty() {
            return Err(Refusal::field("names", "names or filter is required"));
        }
        let filter = Filter::parse(filter, COLUMNS)?;
        let found = self.scan(|record| is_held(record) && filter.matches(record), None, BATCH_MAX).await?;
        Ok(found.iter().map(|record| record.id).collect())
    }
}

fn is_held(record: &Quarantined) -> bool {
    record.state == QuarantineState::Held
}

fn quarantine_id(name: &str) -> Result<QuarantineId, Refusal> {
    let id = id_of("name", "quarantine", name)?;
    id.parse().map(QuarantineId).map_err(|_| unknown(name))
}

fn unknown(name: &str) -> Refusal {
    Refusal::new(Reason::QuarantineNotFound).with("name", name)
}

fn names(ids: &[QuarantineId]) -> Vec<String> {
    ids.iter().map(|id| format!("quarantine/{id}")).collect()
}

/// The system that a partition belongs to; partitions are named `system` or `system/...`.
fn system_of_partition(partition: &str) -> Option<System> {
    System::parse(partition.split('/').next().unwrap_or_default())
}

fn quarantined(record: &Quarantined) -> v1::QuarantinedRecord {
    let state = match record.state {
        QuarantineState::Held => WireState::Held,
        QuarantineState::Replayed(_) => WireState::Replayed,
        QuarantineState::Discarded(_) => WireState::Discarded,
    };
    v1::QuarantinedRecord {
        name: format!("quarantine/{}", record.id),
        system: system_of_partition(&record.source).map(system).unwrap_or_default(),
        partition: record.source.clone(),
        reason: record.reason.clone(),
        detail: record.detail.clone(),
        state: state.into(),
        observe_time: time(record.received_at),
        source_position: String::from_utf8_lossy(&record.source_position).into_owned(),
        attempt_count: i32::try_from(record.attempts).unwrap_or(i32::MAX),
        payload_bytes: i64::try_from(record.raw_bytes).unwrap_or(i64::MAX),
        payload: Vec::new(),
        mapping_version: 0,
    }
}
