//! The section of the contact centre: its webhooks, and the list job over Search.

use connectors::edge::credentials::Secret;
use connectors::wxcc::api::TOKEN_URL;
use connectors::wxcc::caller::Country;
use connectors::wxcc::{WxccAuth, WxccConfig, WxccSearchConfig, WxccSubscriptionsConfig};
use serde::Deserialize;

use super::address::Plaintext;
use super::connectors::{SECRETS_MAX, Section};
use super::file::Span;
use super::{Error, SecretRef};

/// What names of subscriptions begin with.
const SUBSCRIPTION: &str = "opshub";

/// Webex Contact Center: signed webhooks, and the list job over Search.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WxccSection {
    /// Live signing secrets; two while one is being replaced, the new one first.
    pub secrets: Vec<SecretRef>,
    /// Name of the partition; default `contact-centre`.
    pub partition: Option<String>,
    /// Country of callers' numbers that name none, by the two letters of ISO 3166.
    pub country: Option<String>,
    /// The list job.
    pub search: Option<WxccSearchSection>,
}

/// The list job over the Search API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WxccSearchSection {
    /// Base address of the region.
    pub base_url: Option<String>,
    /// Organisation id.
    pub org_id: Option<String>,
    /// Bearer token that somebody else keeps fresh.
    pub token: Option<SecretRef>,
    /// An app whose refresh token keeps the connector in tokens.
    pub oauth: Option<WxccOauthSection>,
    /// Time between runs; default `60s`.
    pub interval: Option<Span>,
    /// Known reporting lag, taken off the watermark; default `2m`.
    pub lag: Option<Span>,
    /// How far back the first run reaches; default `90d`.
    pub first: Option<Span>,
    /// Read the transcripts of chats too; default `false`.
    pub transcripts: Option<bool>,
    /// Subscriptions that are kept right; without it they are left to people.
    pub subscriptions: Option<WxccSubscriptionsSection>,
}

/// An app that tokens are fetched for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WxccOauthSection {
    /// Client id.
    pub client_id: Option<String>,
    /// Client secret.
    pub client_secret: Option<SecretRef>,
    /// Refresh token.
    pub refresh_token: Option<SecretRef>,
    /// Where tokens are given out; default `https://webexapis.com/v1/access_token`.
    pub token_url: Option<String>,
}

/// Subscriptions that are kept right.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WxccSubscriptionsSection {
    /// Public https address of the hub's door for webhooks.
    pub destination_url: Option<String>,
    /// What their names begin with; default `opshub`.
    pub name: Option<String>,
}

/// The contact centre's door and its list job.
#[derive(Debug)]
pub struct WxccSetup {
    /// Country of callers' numbers that name none.
    pub country: Option<Country>,
    /// The door.
    pub door: WxccConfig,
    /// The list job.
    pub search: Option<WxccSearchConfig>,
}

pub(super) fn resolve(section: WxccSection, plaintext: Plaintext) -> Result<WxccSetup, Error> {
    if section.secrets.is_empty() || section.secrets.len() > SECRETS_MAX {
        let problem = "names no signing secret, or more than two: write one, and two while one is being replaced";
        return Err(Error::key("connectors.wxcc.secrets", problem));
    }
    let secrets = section.secrets.iter().enumerate();
    let secrets: Vec<Secret> =
        secrets.map(|(i, secret)| secret.read(&format!("connectors.wxcc.secrets[{i}]"))).collect::<Result<_, _>>()?;
    let partition = section.partition.unwrap_or_else(|| "contact-centre".to_owned());
    let search = section.search.map(|section| search(section, &partition, &secrets[0], plaintext)).transpose()?;
    let country = section.country.map(|letters| {
        Country::parse(&letters).ok_or_else(|| {
            let problem = format!("is `{letters}`, which is no country: write the two letters of ISO 3166, such as DE");
            Error::key("connectors.wxcc.country", problem)
        })
    });
    let country = country.transpose()?;
    Ok(WxccSetup { country, door: WxccConfig { secrets, partition, is_freshness_checked: true }, search })
}

fn search(
    section: WxccSearchSection,
    partition: &str,
    secret: &Secret,
    plaintext: Plaintext,
) -> Result<WxccSearchConfig, Error> {
    let at = Section("connectors.wxcc.search");
    let auth = auth(&at, plaintext, section.token, section.oauth)?;
    let subscriptions = section.subscriptions.map(|section| subscriptions(section, secret)).transpose()?;
    let (base_url, org_id) = (at.login(plaintext, "base_url", section.base_url)?, at.need("org_id", section.org_id)?);
    let first = section.first.map(|span| span.above_zero("connectors.wxcc.search.first")).transpose()?;
    let usual = WxccSearchConfig::new(&base_url, &org_id, auth, partition);
    Ok(WxccSearchConfig {
        interval: at.span("interval", section.interval, usual.interval)?,
        lag_ms: section.lag.map_or(usual.lag_ms, Span::ms),
        first_ms: first.map_or(usual.first_ms, Span::ms),
        with_transcripts: section.transcripts.unwrap_or(usual.with_transcripts),
        subscriptions,
        ..usual
    })
}

/// A token, or what fetches tokens: one of them.
fn auth(
    at: &Section,
    plaintext: Plaintext,
    token: Option<SecretRef>,
    oauth: Option<WxccOauthSection>,
) -> Result<WxccAuth, Error> {
    match (token, oauth) {
        (Some(_), Some(_)) => {
            let problem = "stands beside token: write one of them, by which the connector proves who it is";
            Err(Error::key("connectors.wxcc.search.oauth", problem))
        }
        (token, None) => Ok(WxccAuth::Token(at.secret("token", token)?)),
        (None, Some(oauth)) => {
            let at = Section("connectors.wxcc.search.oauth");
            Ok(WxccAuth::Refresh {
                token_url: at.login(
                    plaintext,
                    "token_url",
                    Some(oauth.token_url.unwrap_or_else(|| TOKEN_URL.to_owned())),
                )?,
                client_id: at.need("client_id", oauth.client_id)?,
                client_secret: at.secret("client_secret", oauth.client_secret)?,
                refresh_token: at.secret("refresh_token", oauth.refresh_token)?,
            })
        }
    }
}

fn subscriptions(section: WxccSubscriptionsSection, secret: &Secret) -> Result<WxccSubscriptionsConfig, Error> {
    let at = Section("connectors.wxcc.search.subscriptions");
    let destination_url = at.need("destination_url", section.destination_url)?;
    if !destination_url.starts_with("https://") || destination_url.contains(['?', '#']) {
        let problem = "is not an https address without query: the vendor posts webhooks to no other";
        return Err(Error::key("connectors.wxcc.search.subscriptions.destination_url", problem));
    }
    let name = section.name.unwrap_or_else(|| SUBSCRIPTION.to_owned());
    Ok(WxccSubscriptionsConfig { destination_url, name, secret: secret.clone() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const OAUTH: &str =
        "[search.oauth]\nclient_id = \"a\"\nclient_secret = \"env:PATH\"\nrefresh_token = \"env:PATH\"\n";

    fn resolved(search: &str) -> Result<WxccSetup, String> {
        let text = format!("secrets = [\"env:PATH\"]\n[search]\nbase_url = \"https://x\"\norg_id = \"o\"\n{search}");
        resolve(toml::from_str(&text).unwrap(), Plaintext::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn one_way_to_prove_oneself_is_needed() {
        let search = |text: &str| resolved(text).unwrap().search.unwrap();
        assert!(matches!(search("token = \"env:PATH\"\n").auth, WxccAuth::Token(_)));
        let WxccAuth::Refresh { token_url, .. } = search(OAUTH).auth else { panic!("an app fetches tokens") };
        assert_eq!(token_url, TOKEN_URL);
        assert!(resolved("").unwrap_err().contains("connectors.wxcc.search.token is missing"));
        for zero in ["interval", "first"] {
            let error = resolved(&format!("token = \"env:PATH\"\n{zero} = \"0s\"\n")).unwrap_err();
            assert!(error.contains(&format!("connectors.wxcc.search.{zero} is 0s")), "{error}");
        }
        assert!(resolved(&format!("token = \"env:PATH\"\n{OAUTH}")).unwrap_err().contains("beside token"));
    }

    #[test]
    fn a_country_is_two_letters() {
        let country = |line: &str| {
            let section = toml::from_str(&format!("secrets = [\"env:PATH\"]\n{line}")).unwrap();
            resolve(section, Plaintext::default()).map(|setup| setup.country).map_err(|error| error.to_string())
        };
        assert_eq!(country(""), Ok(None));
        assert_eq!(country("country = \"DE\""), Ok(Country::parse("DE")));
        for bad in ["UK", "DEU", "Germany", ""] {
            let error = country(&format!("country = \"{bad}\"")).unwrap_err();
            assert!(error.contains("connectors.wxcc.country") && error.contains("two letters"), "{error}");
        }
    }

    #[test]
    fn subscriptions_lead_to_an_address_that_the_vendor_takes() {
        let lead = |url: &str| {
            resolved(&format!("token = \"env:PATH\"\n[search.subscriptions]\ndestination_url = \"{url}\"\n"))
        };
        let setup = lead("https://hub.example.com/webhooks/wxcc").unwrap();
        assert_eq!(setup.search.unwrap().subscriptions.unwrap().name, "opshub");
        assert!(lead("http://hub.example.com/").unwrap_err().contains("is not an https address"));
    }
}
