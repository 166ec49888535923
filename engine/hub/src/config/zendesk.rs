//! The section of Zendesk: its webhooks, and the list job over its incremental export.

use std::time::Duration;

use connectors::edge::credentials::Secret;
use connectors::zendesk::export::{Login, Stream, ZendeskExportConfig};
use connectors::zendesk::signature::TEST_SECRET;
use connectors::zendesk::transport::ZendeskConfig;
use serde::Deserialize;

use super::address::Plaintext;
use super::connectors::{LIST_EVERY, SECRETS_MAX, Section};
use super::file::Span;
use super::{Error, SecretRef};

/// Pause between two pages of an export: ten requests a minute are answered.
const PAGE_PAUSE: Duration = Duration::from_millis(6_500);

/// Zendesk: signed webhooks, and the list job over the incremental export.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ZendeskSection {
    /// Live signing secrets of webhooks; two while one is being replaced.
    pub secrets: Vec<SecretRef>,
    /// Name of the partition; default `desk`.
    pub partition: Option<String>,
    /// The list job.
    pub export: Option<ZendeskExportSection>,
}

/// The list job over Zendesk's incremental export.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ZendeskExportSection {
    /// Base address of the account.
    pub base_url: Option<String>,
    /// Agent that an API token belongs to; leave it out where the token is one of OAuth.
    pub email: Option<String>,
    /// API token, or OAuth access token.
    pub token: Option<SecretRef>,
    /// What is read: `tickets`, `organizations`, `users`; default `["tickets", "organizations"]`.
    pub streams: Option<Vec<String>>,
    /// Time between runs; default `60s`.
    pub interval: Option<Span>,
    /// Pause between two pages; default `6500ms`.
    pub page_pause: Option<Span>,
}

/// Zendesk's door and its list job.
#[derive(Debug)]
pub struct ZendeskSetup {
    /// The door.
    pub door: ZendeskConfig,
    /// The list job.
    pub export: Option<ZendeskExportConfig>,
}

pub(super) fn resolve(section: ZendeskSection, plaintext: Plaintext) -> Result<ZendeskSetup, Error> {
    if section.secrets.is_empty() || section.secrets.len() > SECRETS_MAX {
        let problem = "names no signing secret, or more than two: write one, and two while one is being replaced";
        return Err(Error::key("connectors.zendesk.secrets", problem));
    }
    let mut secrets: Vec<Secret> = Vec::with_capacity(section.secrets.len());
    for (i, secret) in section.secrets.iter().enumerate() {
        let key = format!("connectors.zendesk.secrets[{i}]");
        let secret = secret.read(&key)?;
        if secret.is(TEST_SECRET) {
            let problem = "is the secret of the vendor's test button, which everybody knows: \
                           show the webhook's own signing secret and refer to that";
            return Err(Error::key(key, problem));
        }
        secrets.push(secret);
    }
    let partition = section.partition.unwrap_or_else(|| "desk".to_owned());
    let export = section.export.map(|section| export(section, &partition, plaintext)).transpose()?;
    Ok(ZendeskSetup { door: ZendeskConfig { secrets, partition, is_freshness_checked: true }, export })
}

fn export(section: ZendeskExportSection, partition: &str, plaintext: Plaintext) -> Result<ZendeskExportConfig, Error> {
    let at = Section("connectors.zendesk.export");
    let token = at.secret("token", section.token)?;
    let streams = match section.streams {
        None => vec![Stream::Tickets, Stream::Organizations],
        Some(names) => names.iter().map(|name| stream(name)).collect::<Result<_, _>>()?,
    };
    Ok(ZendeskExportConfig {
        base_url: at.login(plaintext, "base_url", section.base_url)?,
        login: match section.email {
            Some(email) => Login::ApiToken { email, token },
            None => Login::Bearer(token),
        },
        streams,
        partition: partition.to_owned(),
        interval: at.span("interval", section.interval, LIST_EVERY)?,
        page_pause: section.page_pause.map_or(PAGE_PAUSE, Span::timer),
    })
}

fn stream(name: &str) -> Result<Stream, Error> {
    Stream::ALL.iter().find(|(_, known)| *known == name).map(|(stream, _)| *stream).ok_or_else(|| {
        let problem = format!("names `{name}`: write tickets, organizations or users");
        Error::key("connectors.zendesk.export.streams", problem)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolved(text: &str) -> Result<ZendeskSetup, String> {
        let section: ZendeskSection = toml::from_str(text).map_err(|error| error.to_string())?;
        resolve(section, Plaintext::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_desk_is_read_with_its_defaults() {
        let setup = resolved(
            "secrets = [\"env:PATH\"]\n[export]\nbase_url = \"https://acme.example/\"\nemail = \"a@acme.example\"\n\
             token = \"env:PATH\"",
        );
        let ZendeskSetup { door, export } = setup.unwrap();
        let export = export.unwrap();
        assert_eq!(
            (door.partition.as_str(), door.is_freshness_checked, export.partition.as_str()),
            ("desk", true, "desk")
        );
        assert_eq!(export.base_url, "https://acme.example");
        assert_eq!(export.streams, [Stream::Tickets, Stream::Organizations]);
        assert!(matches!(export.login, Login::ApiToken { .. }));
        let oauth = resolved(
            "secrets = [\"env:PATH\"]\n[export]\nbase_url = \"https://x\"\ntoken = \"env:PATH\"\nstreams = [\"users\"]",
        );
        let export = oauth.unwrap().export.unwrap();
        assert!(matches!(export.login, Login::Bearer(_)));
        assert_eq!(export.streams, [Stream::Users]);
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let check = |text: &str, expected: &str| {
            let error = resolved(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("", "connectors.zendesk.secrets");
        check("secrets = [\"env:PATH\", \"env:PATH\", \"env:PATH\"]", "more than two");
        check("secrets = [\"env:PATH\"]\n[export]\ntoken = \"env:PATH\"", "connectors.zendesk.export.base_url");
        let export = "secrets = [\"env:PATH\"]\n[export]\nbase_url = \"https://x\"\ntoken = \"env:PATH\"\n";
        check(&export.replace("https", "http"), "connectors.zendesk.export.base_url leads to x");
        check(&format!("{export}interval = \"0s\""), "connectors.zendesk.export.interval is 0s");
        check(&format!("{export}streams = [\"ticket\"]"), "write tickets, organizations or users");
        check(&format!("{export}stream = [\"tickets\"]"), "unknown field `stream`");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, TEST_SECRET).unwrap();
        check(&format!("secrets = [\"file:{}\"]", path.display()), "test button");
    }
}
