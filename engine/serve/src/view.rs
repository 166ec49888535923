//! Temporary stand-in for `pipeline::CustomerView`.
use ontology::Millis;
use state::Composite;

/// One customer at one position.
#[derive(Debug, Clone)]
pub struct CustomerView {
    /// Members, records, review candidates.
    pub composite: Composite,
    /// Engine time of the evaluation.
    pub evaluated_at: Millis,
    /// d
    pub discrepancies: Vec<proto::v1::Discrepancy>,
    /// a
    pub alerts: Vec<proto::v1::Alert>,
    /// c
    pub correlations: Vec<proto::v1::Correlation>,
    /// h
    pub handoffs: Vec<proto::v1::Handoff>,
}

impl crate::views::View for CustomerView {
    fn id(&self) -> &ontology::CustomerId {
        &self.composite.id
    }
    fn objects(&self) -> Vec<crate::views::Object> {
        Vec::new()
    }
    fn changed_paths(&self, before: &Self) -> u32 {
        crate::convert::customer::changed_paths(&before.composite, &self.composite)
    }
}
