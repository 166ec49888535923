//! How the API is served, and who may call it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use connectors::edge::credentials::Secret;
use serde::Deserialize;
use serve::auth::{Authentication, BearerTokens, ClientCertificates, JwtKeyError, JwtRules};
use serve::policy::{Principal, Role};
use serve::quota::Quota;
use serve::server::{Options as ApiOptions, Tls};

use super::{Error, SecretRef, suggest};

/// How the API is served.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSection {
    /// Where it listens; default `127.0.0.1:7400`. Another address than loopback needs TLS and a way to know callers.
    #[serde(deserialize_with = "super::file::listen")]
    pub listen: SocketAddr,
    /// Certificate chain in PEM.
    pub certificates: Option<PathBuf>,
    /// Private key in PEM.
    pub key: Option<SecretRef>,
    /// Who may call with which token; without any way to be known, every program on this machine may
    /// do everything.
    pub tokens: Vec<TokenSection>,
    /// Tokens that an identity provider signs.
    pub jwt: Option<ProviderSection>,
    /// Certificate authorities of callers in PEM.
    pub callers_ca: Option<PathBuf>,
    /// Who may call with which certificate.
    pub callers: Vec<CallerSection>,
    /// What each caller may ask for at a time, where callers are known.
    pub quota: QuotaSection,
}

/// What each caller may ask for at a time; 0 is without bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaSection {
    /// Calls in a second; default `1000`.
    pub calls_per_second: u32,
    /// Bytes of requests, and of answers that are no streams, in a second; default `33554432`.
    pub bytes_per_second: u64,
    /// Streams open at a time, watches among them; default `2000`.
    pub streams: u32,
}

impl Default for QuotaSection {
    fn default() -> Self {
        let Quota { calls_per_second, bytes_per_second, streams } = Quota::default();
        QuotaSection { calls_per_second, bytes_per_second, streams }
    }
}

impl Default for ApiSection {
    fn default() -> Self {
        ApiSection {
            listen: SocketAddr::from(([127, 0, 0, 1], 7400)),
            certificates: None,
            key: None,
            tokens: Vec::new(),
            jwt: None,
            callers_ca: None,
            callers: Vec::new(),
            quota: QuotaSection::default(),
        }
    }
}

/// One caller of the API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSection {
    /// Name that is written beside every decision.
    pub name: String,
    /// The bearer token.
    pub token: SecretRef,
    /// What the caller may do.
    pub roles: Vec<String>,
}

/// Tokens that an identity provider signs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSection {
    /// What `iss` has to be.
    pub issuer: String,
    /// What `aud` has to hold; default `opshub`.
    #[serde(default = "ProviderSection::audience")]
    pub audience: String,
    /// The provider's public keys: a file with its JSON Web Key Set, or one key in PEM.
    pub keys: PathBuf,
    /// What tokens may be signed with; default `["RS256"]`.
    #[serde(default = "ProviderSection::algorithms")]
    pub algorithms: Vec<String>,
    /// Claim with the caller's roles; default `roles`.
    #[serde(default = "ProviderSection::roles_claim")]
    pub roles_claim: String,
    /// Claim with the caller's name; default `sub`.
    #[serde(default = "ProviderSection::name_claim")]
    pub name_claim: String,
}

impl ProviderSection {
    fn audience() -> String {
        "opshub".to_owned()
    }

    fn algorithms() -> Vec<String> {
        vec!["RS256".to_owned()]
    }

    fn roles_claim() -> String {
        "roles".to_owned()
    }

    fn name_claim() -> String {
        "sub".to_owned()
    }
}

/// A caller that is known by its certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerSection {
    /// Name that is written beside every decision.
    pub name: String,
    /// A URI, DNS or e-mail name in the certificate, or its common name where it has none of those.
    pub certificate: String,
    /// What the caller may do.
    pub roles: Vec<String>,
}

/// Checks the section and reads what it refers to.
///
/// # Errors
/// The first key that is missing or cannot be used.
pub(super) fn resolve(api: ApiSection) -> Result<ApiOptions, Error> {
    let authentication = Authentication {
        tokens: tokens(&api.tokens)?,
        jwt: api.jwt.as_ref().map(provider).transpose()?,
        certificates: callers(&api.callers)?,
    };
    let callers_ca_pem = api.callers_ca.map(|path| read("api.callers_ca", &path)).transpose()?;
    if callers_ca_pem.is_none() != api.callers.is_empty() {
        let (missing, beside) = match callers_ca_pem {
            None => ("api.callers_ca", "api.callers: it says whose certificates are believed"),
            Some(_) => ("api.callers", "api.callers_ca: it says whom a certificate stands for"),
        };
        return Err(Error::key(missing, format!("is missing beside {beside}")));
    }
    let tls = match (api.certificates, api.key) {
        (None, None) => None,
        (Some(certificates), Some(key)) => {
            let key_pem = key.read("api.key")?.expose().as_bytes().to_vec();
            Some(Tls { certificates_pem: read("api.certificates", &certificates)?, key_pem, callers_ca_pem })
        }
        (Some(_), None) => return Err(Error::key("api.key", "is missing beside api.certificates")),
        (None, Some(_)) => return Err(Error::key("api.certificates", "is missing beside api.key")),
    };
    if tls.is_none() && !authentication.certificates.is_empty() {
        return Err(Error::key("api.callers", "needs TLS: set api.certificates and api.key"));
    }
    serve::listen::check(api.listen, tls.is_some(), authentication.is_configured())
        .map_err(|error| Error::key("api.listen", format!("cannot be used: {error}")))?;
    let QuotaSection { calls_per_second, bytes_per_second, streams } = api.quota;
    let quota = Quota { calls_per_second, bytes_per_second, streams };
    Ok(ApiOptions { addr: api.listen, tls, authentication, quota, ..ApiOptions::local() })
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::key(key, format!("cannot read {}: {error}", path.display())))
}

fn tokens(sections: &[TokenSection]) -> Result<BearerTokens, Error> {
    let mut known = BearerTokens::default();
    let mut read: Vec<(&str, Secret)> = Vec::with_capacity(sections.len());
    for (i, section) in sections.iter().enumerate() {
        let principal = principal(&section.name, &section.roles, &format!("api.tokens[{i}]"))?;
        let key = format!("api.tokens[{i}].token");
        let token = section.token.read(&key)?;
        // Of two callers with one token the later would act for both, with its own roles.
        if let Some((other, _)) = read.iter().find(|(_, other)| other.is(token.expose())) {
            let problem = format!(
                "is the token of `{other}` too: give `{}` one of its own, a token says who calls",
                section.name
            );
            return Err(Error::key(key, problem));
        }
        known.add(token.expose(), principal);
        read.push((section.name.as_str(), token));
    }
    Ok(known)
}

fn callers(sections: &[CallerSection]) -> Result<ClientCertificates, Error> {
    let mut known = ClientCertificates::default();
    for (i, section) in sections.iter().enumerate() {
        let principal = principal(&section.name, &section.roles, &format!("api.callers[{i}]"))?;
        known
            .add(&section.certificate, principal)
            .map_err(|problem| Error::key(format!("api.callers[{i}].certificate"), problem.to_string()))?;
    }
    Ok(known)
}

fn provider(section: &ProviderSection) -> Result<JwtRules, Error> {
    for (key, text) in [("issuer", &section.issuer), ("audience", &section.audience)] {
        if text.is_empty() {
            return Err(Error::key(format!("api.jwt.{key}"), "is empty"));
        }
    }
    let keys = read("api.jwt.keys", &section.keys)?;
    let wrong = |error: JwtKeyError| {
        let key = if matches!(error, JwtKeyError::Algorithm(_)) { "api.jwt.algorithms" } else { "api.jwt.keys" };
        Error::key(key, error.to_string())
    };
    let rules = JwtRules::new(&section.issuer, &section.audience, &section.algorithms, &String::from_utf8_lossy(&keys));
    Ok(rules.map_err(wrong)?.with_claims(&section.roles_claim, &section.name_claim))
}

fn principal(name: &str, roles: &[String], key: &str) -> Result<Principal, Error> {
    if name.trim().is_empty() {
        return Err(Error::key(format!("{key}.name"), "is empty: it is written beside every decision of this caller"));
    }
    if roles.is_empty() {
        let known: Vec<&str> = Role::ALL.iter().map(|(_, name)| *name).collect();
        let problem = format!("is empty, so this caller could do nothing: write some of {}", known.join(", "));
        return Err(Error::key(format!("{key}.roles"), problem));
    }
    let roles = roles.iter().map(|role_name| role(role_name, key)).collect::<Result<Vec<Role>, Error>>()?;
    Ok(Principal { name: name.to_owned(), roles })
}

fn role(name: &str, key: &str) -> Result<Role, Error> {
    Role::ALL.iter().find(|(_, known)| *known == name).map(|(role, _)| *role).ok_or_else(|| {
        let known: Vec<&str> = Role::ALL.iter().map(|(_, name)| *name).collect();
        let hint = suggest::nearest(name, known.iter().copied()).map(|near| format!(", did you mean `{near}`?"));
        let problem = format!("names the role `{name}`; there are: {}{}", known.join(", "), hint.unwrap_or_default());
        Error::key(format!("{key}.roles"), problem)
    })
}
