//! Key figures: list.

use std::sync::Arc;

use proto::v1;
use proto::v1::kpi_service_server::KpiService;
use tonic::{Request, Response, Status};

use super::Api;
use crate::convert::kpi::kpi;
use crate::page::{Arguments, Page};
use crate::token::position_token;

/// The service.
pub struct Kpis(pub Arc<Api>);

#[tonic::async_trait]
impl KpiService for Kpis {
    async fn list_kpis(&self, request: Request<v1::ListKpisRequest>) -> Result<Response<v1::ListKpisResponse>, Status> {
        let request = request.into_inner();
        let page = Page::read(Arguments::of("ListKpis", &[]), request.page_size, &request.page_token)?;
        let position = self.0.backend.published().position();
        let figures = if page.position.is_none() { self.0.backend.kpis().await? } else { Vec::new() };
        let turn = self.0.kpi_walks.turn(&page, position, || figures.iter().map(kpi).collect())?;
        Ok(Response::new(v1::ListKpisResponse {
            kpis: turn.items,
            next_page_token: turn.next_page_token,
            read_position: position_token(turn.position),
        }))
    }
}
