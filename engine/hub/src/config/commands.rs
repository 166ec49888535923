//! The section of commands: which of them are carried out in the systems themselves. None is, until
//! it is named.

use connectors::edge::credentials::Secret;
use connectors::oracle::OrdsConfig;
use connectors::outbound::Verb;
use connectors::outbound::sap::SapOutboundConfig;
use connectors::salesforce::rest::RestConfig;
use ontology::System;
use serde::Deserialize;

use super::address::Plaintext;
use super::connectors::{ConnectorsConfig, Section};
use super::sap::{self, OAuthSection};
use super::{Error, SecretRef, suggest};

/// Which commands are carried out, and where.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommandsSection {
    /// Names of the commands that are carried out; default none.
    pub enabled: Vec<String>,
    /// The service of the organisation in SAP.
    pub sap: Option<SapCommandsSection>,
    /// The flows of the contact centre.
    pub wxcc: Option<WxccCommandsSection>,
}

/// The service that commands to SAP go to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SapCommandsSection {
    /// Base address of the service.
    pub base_url: Option<String>,
    /// User, of basic authentication.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretRef>,
    /// A client that gets tokens, instead of user and password.
    pub oauth: Option<OAuthSection>,
}

/// The flows that ask before they transfer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WxccCommandsSection {
    /// Bearer token that flows carry.
    pub token: Option<SecretRef>,
}

/// The systems that carry commands out, each with the commands that are enabled.
#[derive(Debug, Default)]
pub struct CommandsConfig {
    /// Salesforce, by the connector's own login.
    pub salesforce: Option<(RestConfig, Vec<Verb>)>,
    /// Oracle, by the list job's own login.
    pub oracle: Option<(OrdsConfig, Vec<Verb>)>,
    /// SAP.
    pub sap: Option<(SapOutboundConfig, Vec<Verb>)>,
    /// The contact centre.
    pub wxcc: Option<(Secret, Vec<Verb>)>,
}

pub(super) fn resolve(
    section: CommandsSection,
    connectors: &ConnectorsConfig,
    plaintext: Plaintext,
) -> Result<CommandsConfig, Error> {
    let verbs: Vec<Verb> = section.enabled.iter().map(|name| verb(name)).collect::<Result<_, _>>()?;
    let of = |system: System| {
        let mine: Vec<Verb> = verbs.iter().copied().filter(|verb| verb.system() == system).collect();
        Some(mine).filter(|mine| !mine.is_empty())
    };
    let unconnected = |section: &str| {
        let problem = format!("names a command that needs the section [{section}], which is missing");
        Error::key("commands.enabled", problem)
    };
    let salesforce = of(System::Salesforce).map(|verbs| match &connectors.salesforce {
        Some(config) => Ok((config.rest.clone(), verbs)),
        None => Err(unconnected("connectors.salesforce")),
    });
    let oracle = of(System::Oracle).map(|verbs| {
        let list = connectors.oracle.as_ref().and_then(|oracle| oracle.list.as_ref());
        list.map(|list| (list.ords.clone(), verbs)).ok_or_else(|| unconnected("connectors.oracle.list"))
    });
    let sap = of(System::Sap).map(|verbs| Ok((sap_target(section.sap.unwrap_or_default(), plaintext)?, verbs)));
    let wxcc = of(System::Wxcc).map(|verbs| {
        let token = section.wxcc.unwrap_or_default().token;
        Ok((Section("commands.wxcc").secret("token", token)?, verbs))
    });
    Ok(CommandsConfig {
        salesforce: salesforce.transpose()?,
        oracle: oracle.transpose()?,
        sap: sap.transpose()?,
        wxcc: wxcc.transpose()?,
    })
}

fn sap_target(section: SapCommandsSection, plaintext: Plaintext) -> Result<SapOutboundConfig, Error> {
    let at = Section("commands.sap");
    Ok(SapOutboundConfig {
        base_url: at.login(plaintext, "base_url", section.base_url)?,
        login: sap::login(&at, plaintext, section.oauth, section.user, section.password)?,
    })
}

fn verb(name: &str) -> Result<Verb, Error> {
    Verb::parse(name).ok_or_else(|| {
        let known: Vec<&str> = Verb::ALL.iter().map(|(_, known, _)| *known).collect();
        let hint = suggest::nearest(name, known.iter().copied()).map(|near| format!(", did you mean `{near}`?"));
        let problem = format!("names `{name}`; there are: {}{}", known.join(", "), hint.unwrap_or_default());
        Error::key("commands.enabled", problem)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolved(text: &str) -> Result<CommandsConfig, String> {
        let section: CommandsSection = toml::from_str(text).map_err(|error| error.to_string())?;
        resolve(section, &ConnectorsConfig::default(), Plaintext::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_carried_out_until_it_is_named() {
        let none = resolved("").unwrap();
        assert!(none.salesforce.is_none() && none.oracle.is_none() && none.sap.is_none() && none.wxcc.is_none());
        let sap = "enabled = [\"note_order\"]\n[sap]\nbase_url = \"https://x/\"\nuser = \"u\"\npassword = \"env:PATH\"";
        let (config, verbs) = resolved(sap).unwrap().sap.unwrap();
        assert_eq!((config.base_url.as_str(), verbs), ("https://x", vec![Verb::NoteOrder]));
        let flow = "enabled = [\"hold_transfer\", \"release_transfer\"]\n[wxcc]\ntoken = \"env:PATH\"";
        assert_eq!(resolved(flow).unwrap().wxcc.unwrap().1.len(), 2);
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let check = |text: &str, expected: &str| {
            let error = resolved(text).err().unwrap();
            assert!(error.contains(expected), "{error}");
        };
        check("enabled = [\"create_tsk\"]", "did you mean `create_task`");
        check("enabled = [\"create_task\"]", "[connectors.salesforce]");
        check("enabled = [\"flag_invoice\"]", "[connectors.oracle.list]");
        check("enabled = [\"delay_dispatch\"]", "commands.sap.base_url");
        let plain =
            "enabled = [\"note_order\"]\n[sap]\nbase_url = \"http://s4/\"\nuser = \"u\"\npassword = \"env:PATH\"";
        check(plain, "commands.sap.base_url leads to s4 on another machine without TLS");
        check("enabled = [\"hold_transfer\"]", "commands.wxcc.token");
        check("enable = []", "unknown field `enable`");
    }
}
