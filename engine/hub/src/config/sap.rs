//! The section of SAP: the doors for IDocs and events, a folder, and the list job over OData.

use std::path::PathBuf;

use connectors::edge::oauth::{ClientCredentials, Login};
use connectors::sap::{RefetchConfig, SapAccess, SapConfig, SapFolderConfig, SapListConfig, SapSet};
use serde::Deserialize;

use super::address::Plaintext;
use super::connectors::Section;
use super::file::Span;
use super::{Error, SecretRef};

/// SAP: posted IDocs and events, a watched folder, and the list job over OData.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SapSection {
    /// User that SAP logs on with.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretRef>,
    /// Name of the system; default `s4`.
    pub partition: Option<String>,
    /// Origins that may push events, as they call themselves in the handshake; default any that knows the password.
    pub event_origins: Vec<String>,
    /// The list job, which also reads the records that events name.
    pub list: Option<SapListSection>,
    /// A folder that documents are laid into.
    pub folder: Option<SapFolderSection>,
}

/// The list job over SAP's OData services.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SapListSection {
    /// Base address of the services, up to `/sap/opu/odata/sap`.
    pub base_url: Option<String>,
    /// User, of basic authentication.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretRef>,
    /// A client that gets tokens, instead of user and password.
    pub oauth: Option<OAuthSection>,
    /// Sets that are read, by name; default all of the shipped mapping.
    pub sets: Option<Vec<String>>,
    /// Time between runs; default `60s`.
    pub interval: Option<Span>,
    /// Known reporting lag, taken off the watermark; default `0s`.
    pub lag: Option<Span>,
    /// Read every row before the first run; default `true`.
    pub read_all_first: Option<bool>,
}

/// A client of a communication arrangement, which gets tokens.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OAuthSection {
    /// Where tokens are given out, such as `https://s4.example/sap/bc/sec/oauth2/token`.
    pub token_url: Option<String>,
    /// Client id: the communication user.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<SecretRef>,
    /// Scope that is asked for; default all that the client may.
    pub scope: Option<String>,
}

/// A folder that documents are laid into.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SapFolderSection {
    /// The folder.
    pub path: Option<PathBuf>,
    /// Where files go that were read; default `done` in it.
    pub done: Option<PathBuf>,
    /// Where files go of which something was not understood; default `failed` in it.
    pub failed: Option<PathBuf>,
    /// Time between looks; a file must stay as it is for that long; default `2s`.
    pub interval: Option<Span>,
}

/// SAP's doors, its folder and its list job.
#[derive(Debug)]
pub struct SapSetup {
    /// The doors.
    pub door: SapConfig,
    /// The list job.
    pub list: Option<SapListConfig>,
    /// How records are read that events name.
    pub refetch: Option<RefetchConfig>,
    /// The folder.
    pub folder: Option<SapFolderConfig>,
}

pub(super) fn resolve(section: SapSection, plaintext: Plaintext) -> Result<SapSetup, Error> {
    let at = Section("connectors.sap");
    let partition = section.partition.unwrap_or_else(|| "s4".to_owned());
    let list = section.list.map(|section| list(section, &partition, plaintext)).transpose()?;
    let folder = section.folder.map(|section| folder(section, &partition)).transpose()?;
    let refetch = list.as_ref().map(|list| RefetchConfig {
        access: list.access.clone(),
        sets: list.sets.clone(),
        partition: partition.clone(),
    });
    let door = SapConfig {
        event_origins: section.event_origins,
        ..SapConfig::new(&at.need("user", section.user)?, at.secret("password", section.password)?, &partition)
    };
    Ok(SapSetup { door, list, refetch, folder })
}

fn list(section: SapListSection, partition: &str, plaintext: Plaintext) -> Result<SapListConfig, Error> {
    let at = Section("connectors.sap.list");
    let access = SapAccess {
        base_url: at.login(plaintext, "base_url", section.base_url)?,
        login: login(&at, plaintext, section.oauth, section.user, section.password)?,
    };
    let usual = SapListConfig::new(access, partition);
    Ok(SapListConfig {
        sets: section.sets.map_or_else(|| Ok(SapSet::usual()), |names| sets(&names))?,
        interval: at.span("interval", section.interval, usual.interval)?,
        lag_ms: section.lag.map_or(usual.lag_ms, Span::ms),
        is_full_read_first: section.read_all_first.unwrap_or(usual.is_full_read_first),
        ..usual
    })
}

/// Who calls: a client that gets tokens, or a user.
pub(super) fn login(
    at: &Section,
    plaintext: Plaintext,
    oauth: Option<OAuthSection>,
    user: Option<String>,
    password: Option<SecretRef>,
) -> Result<Login, Error> {
    let Some(oauth) = oauth else {
        return Ok(Login::basic(at.need("user", user)?, at.secret("password", password)?));
    };
    if user.is_some() || password.is_some() {
        return Err(Error::key(at.0, "names both a user and an oauth client: write one of them"));
    }
    Ok(Login::tokens(ClientCredentials {
        token_url: at.login(plaintext, "oauth.token_url", oauth.token_url)?,
        client_id: at.need("oauth.client_id", oauth.client_id)?,
        client_secret: at.secret("oauth.client_secret", oauth.client_secret)?,
        scope: oauth.scope.unwrap_or_default(),
    }))
}

fn sets(names: &[String]) -> Result<Vec<SapSet>, Error> {
    let find = |name: &String| {
        SapSet::usual().into_iter().find(|set| set.name == *name).ok_or_else(|| {
            let known: Vec<String> = SapSet::usual().into_iter().map(|set| set.name).collect();
            let problem = format!("names `{name}`: write some of {}", known.join(", "));
            Error::key("connectors.sap.list.sets", problem)
        })
    };
    names.iter().map(find).collect()
}

fn folder(section: SapFolderSection, partition: &str) -> Result<SapFolderConfig, Error> {
    let at = Section("connectors.sap.folder");
    let usual = SapFolderConfig::new(at.need("path", section.path)?, partition);
    Ok(SapFolderConfig {
        done: section.done.unwrap_or(usual.done),
        failed: section.failed.unwrap_or(usual.failed),
        interval: at.span("interval", section.interval, usual.interval)?,
        ..SapFolderConfig::new(usual.path, partition)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    fn resolved(more: &str) -> Result<SapSetup, String> {
        let text = format!("user = \"u\"\npassword = \"env:PATH\"\n{more}");
        resolve(toml::from_str(&text).unwrap(), Plaintext::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn events_are_read_again_where_there_is_a_list_job() {
        assert!(resolved("").unwrap().refetch.is_none());
        let list = "[list]\nbase_url = \"https://s4/odata/\"\nuser = \"u\"\npassword = \"env:PATH\"\n";
        let setup = resolved(list).unwrap();
        assert_eq!(setup.refetch.unwrap().access.base_url, "https://s4/odata");
        assert_eq!(setup.list.unwrap().sets.len(), 3);
        let one = resolved(&format!("{list}sets = [\"A_ServiceOrder\"]\n")).unwrap();
        assert_eq!(one.list.unwrap().sets.len(), 1);
        let tokens = "[list]\nbase_url = \"https://x\"\n[list.oauth]\ntoken_url = \"https://s4/token\"\nclient_id = \"c\"\nclient_secret = \"env:PATH\"\n";
        assert!(matches!(resolved(tokens).unwrap().list.unwrap().access.login, Login::Tokens(..)));
        let both = tokens.replace("[list.oauth]", "user = \"u\"\n[list.oauth]");
        assert!(resolved(&both).unwrap_err().contains("both a user and an oauth client"));
        assert!(resolved(&tokens.replace("client_id", "scope")).unwrap_err().contains("oauth.client_id is missing"));
        assert!(resolved(&list.replace("https", "http")).unwrap_err().contains("in the clear"));
        assert!(resolved(&tokens.replace("https://s4", "http://s4")).unwrap_err().contains("list.oauth.token_url"));
        let none = resolved(&format!("{list}sets = [\"A_Order\"]\n")).unwrap_err();
        assert!(none.contains("names `A_Order`: write some of A_ServiceOrder"), "{none}");
    }

    #[test]
    fn a_folder_has_its_own_places() {
        let folder = |text: &str| resolved(&format!("[folder]\n{text}")).map(|setup| setup.folder.unwrap());
        assert_eq!(folder("path = \"/in\"\n").unwrap().done, Path::new("/in/done"));
        assert_eq!(folder("path = \"/in\"\nfailed = \"/bad\"\n").unwrap().failed, Path::new("/bad"));
        assert!(folder("").unwrap_err().contains("connectors.sap.folder.path is missing"));
    }
}
