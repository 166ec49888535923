//! The systems that commands are carried out in, each with a lane of its own: one that does not
//! answer holds up its own commands only.

use std::time::Duration;

use axum::Router;
use connectors::SharedClock;
use connectors::outbound::oracle::OracleOutbound;
use connectors::outbound::salesforce::SalesforceOutbound;
use connectors::outbound::sap::SapOutbound;
use connectors::outbound::wxcc::WxccOutbound;
use connectors::outbound::{Command, Done, Failure, Outbound, Verb};
use ontology::System;

use crate::config::CommandsConfig;
use crate::receiver::Pause;

/// The targets of a hub; none is the default, so nothing is carried out that nobody enabled.
#[derive(Default)]
pub struct Targets(Vec<Lane>);

/// A target, and how long its commands wait yet.
pub struct Lane {
    target: Target,
    away: Pause,
}

enum Target {
    Salesforce(SalesforceOutbound),
    Oracle(OracleOutbound),
    Sap(SapOutbound),
    Wxcc(WxccOutbound),
}

impl Targets {
    /// The targets that are configured, and the door that flows of the contact centre ask.
    #[must_use]
    pub fn new(config: CommandsConfig, clock: &SharedClock) -> (Self, Option<Router>) {
        let CommandsConfig { salesforce, oracle, sap, wxcc } = config;
        let salesforce =
            salesforce.map(|(rest, verbs)| Target::Salesforce(SalesforceOutbound::new(rest, verbs, clock.clone())));
        let oracle = oracle.map(|(ords, verbs)| Target::Oracle(OracleOutbound::new(ords, verbs)));
        let sap = sap.map(|(service, verbs)| Target::Sap(SapOutbound::new(service, verbs)));
        let wxcc = wxcc.map(|(token, verbs)| WxccOutbound::new(token, verbs, clock.clone()));
        let door = wxcc.as_ref().map(WxccOutbound::router);
        let wxcc = wxcc.map(Target::Wxcc);
        let lanes = [salesforce, oracle, sap, wxcc].into_iter().flatten().map(Lane::new);
        (Targets(lanes.collect()), door)
    }

    /// The lane of a verb, if a target carries it out.
    pub fn of(&mut self, verb: Verb) -> Option<&mut Lane> {
        self.0.iter_mut().find(|lane| lane.target.verbs().contains(&verb))
    }

    /// Whether any command is carried out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets `pause` go by for every lane that waits.
    pub fn rest(&mut self, pause: Duration) {
        for lane in &mut self.0 {
            lane.away.rest(pause);
        }
    }
}

impl Lane {
    fn new(target: Target) -> Self {
        Lane { target, away: Pause::default() }
    }

    /// The system that the lane leads to.
    #[must_use]
    pub fn system(&self) -> System {
        self.target.system()
    }

    /// Whether its commands wait.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.away.is_on()
    }

    /// Carries a command out. A target that does not answer is left in peace for a while.
    pub async fn perform(&mut self, command: &Command) -> Result<Done, Failure> {
        let result = match &self.target {
            Target::Salesforce(target) => target.perform(command).await,
            Target::Oracle(target) => target.perform(command).await,
            Target::Sap(target) => target.perform(command).await,
            Target::Wxcc(target) => target.perform(command).await,
        };
        match &result {
            Ok(_) => self.away.end(),
            Err(Failure::Later(_)) => self.away.begin(),
            Err(Failure::NotYet(_) | Failure::Refused(_)) => {}
        }
        result
    }
}

impl Target {
    fn system(&self) -> System {
        match self {
            Target::Salesforce(target) => target.system(),
            Target::Oracle(target) => target.system(),
            Target::Sap(target) => target.system(),
            Target::Wxcc(target) => target.system(),
        }
    }

    fn verbs(&self) -> &[Verb] {
        match self {
            Target::Salesforce(target) => target.verbs(),
            Target::Oracle(target) => target.verbs(),
            Target::Sap(target) => target.verbs(),
            Target::Wxcc(target) => target.verbs(),
        }
    }
}
