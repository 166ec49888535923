//! Signed tokens of an identity provider (RFC 7519). Algorithms and keys come from the
//! configuration, never from the token (RFC 8725, 3.1 and 3.2).

use std::sync::Arc;

use jsonwebtoken::jwk::{JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::policy::{Principal, Role};

/// How far the clocks of provider and hub may be apart.
const SKEW_S: u64 = 60;
/// No token that we take is longer; the transport takes 16 KiB of headers in all.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Why keys or algorithms cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtKeyError {
    /// Not the name of an algorithm that is verified by a public key.
    #[error(
        "`{0}` is no algorithm that a public key verifies; there are: RS256, RS384, RS512, PS256, PS384, PS512, ES256, \
         ES384, EdDSA"
    )]
    Algorithm(String),
    /// Neither a key set nor a public key.
    #[error("it is neither a JSON Web Key Set nor a public key in PEM: {0}")]
    Unreadable(String),
    /// No key of the set goes with the algorithms.
    #[error("it holds no public key for {0}")]
    NoKey(String),
}

/// Which tokens are good, and what they say of their bearer.
#[derive(Debug, Clone)]
pub struct JwtRules {
    keys: Arc<[JwtKey]>,
    roles_claim: String,
    name_claim: String,
}

/// A public key of the provider, with what it may verify.
#[derive(Clone)]
pub struct JwtKey {
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What every token has to say, in the types it has to say it in; the library compares the values.
#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "iss")]
    _issuer: String,
    #[serde(rename = "exp")]
    _expires_at: serde_json::Number,
    #[serde(rename = "nbf")]
    _not_before: serde_json::Number,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl JwtRules {
    /// Takes tokens of `issuer` for `audience`, signed with one of `algorithms` by one of `keys`: a
    /// JSON Web Key Set (RFC 7517) or one public key in PEM. Roles stand in the claim `roles` and
    /// the caller's name in `sub`, unless [`JwtRules::with_claims`] says otherwise.
    ///
    /// # Errors
    /// If an algorithm is none that a public key verifies, or there is no key for any of them.
    pub fn new(issuer: &str, audience: &str, algorithms: &[String], keys: &str) -> Result<Self, JwtKeyError> {
        let algorithms = algorithms.iter().map(|name| algorithm(name)).collect::<Result<Vec<_>, _>>()?;
        let found = if keys.trim_start().starts_with('{') { keys_of_set(keys)? } else { vec![key_of_pem(keys)?] };
        let usable = found.into_iter().filter_map(|Found { id, key, only }| {
            let mut fitting = algorithms.iter().copied().filter(|algorithm| algorithm.family() == key.family());
            let fitting: Vec<Algorithm> = match only {
                Some(only) => fitting.find(|algorithm| *algorithm == only).into_iter().collect(),
                None => fitting.collect(),
            };
            let mut validation = Validation::new(*fitting.first()?);
            validation.algorithms = fitting;
            validation.leeway = SKEW_S;
            validation.validate_nbf = true;
            validation.set_audience(&[audience]);
            validation.set_issuer(&[issuer]);
            validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
            Some(JwtKey { id, key, validation })
        });
        let keys: Arc<[JwtKey]> = usable.collect();
        if keys.is_empty() {
            let names: Vec<String> = algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect();
            return Err(JwtKeyError::NoKey(names.join(", ")));
        }
        Ok(JwtRules { keys, roles_claim: "roles".to_owned(), name_claim: "sub".to_owned() })
    }

    /// Reads roles and name from other claims; `realm_access.roles` is a claim within a claim.
    #[must_use]
    pub fn with_claims(self, roles: &str, name: &str) -> Self {
        JwtRules { roles_claim: roles.to_owned(), name_claim: name.to_owned(), ..self }
    }

    /// The bearer of a token; none unless everything about it is right.
    pub(super) fn principal(&self, token: &str) -> Option<Principal> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let named = decode_header(token).ok()?.kid;
        let may_have_signed = |key: &&JwtKey| named.is_none() || key.id.is_none() || key.id == named;
        let mut keys = self.keys.iter().filter(may_have_signed);
        let claims = keys.find_map(|key| decode::<Claims>(token, &key.key, &key.validation).ok())?.claims.others;
        let name = claim(&claims, &self.name_claim)?.as_str().filter(|name| !name.is_empty())?.to_owned();
        let told = claim(&claims, &self.roles_claim)?.as_array()?;
        let told = told.iter().map(Value::as_str).collect::<Option<Vec<&str>>>()?;
        // Providers hand out roles of other programs in the same list.
        let known = Role::ALL.iter().filter(|(_, name)| told.contains(name));
        let roles: Vec<Role> = known.map(|(role, _)| *role).collect();
        (!roles.is_empty()).then_some(Principal { name, roles })
    }
}

/// A claim by its name, which may hold dots, or by the names that lead to it.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (outer, inner) = name.split_once('.')?;
    claim(claims.get(outer)?.as_object()?, inner)
}

fn algorithm(name: &str) -> Result<Algorithm, JwtKeyError> {
    let known = name.parse::<Algorithm>().ok().filter(|algorithm| algorithm.family() != AlgorithmFamily::Hmac);
    known.ok_or_else(|| JwtKeyError::Algorithm(name.to_owned()))
}

/// A key as it was found.
struct Found {
    id: Option<String>,
    key: DecodingKey,
    /// The one algorithm that the set allows it.
    only: Option<Algorithm>,
}

/// The public keys for signatures of a set; others are passed over, as the standard asks.
fn keys_of_set(text: &str) -> Result<Vec<Found>, JwtKeyError> {
    let set: JwkSet = serde_json::from_str(text).map_err(|error| JwtKeyError::Unreadable(error.to_string()))?;
    let found = set.keys.iter().filter_map(|jwk| {
        let is_for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let key = DecodingKey::from_jwk(jwk).ok().filter(|key| key.family() != AlgorithmFamily::Hmac)?;
        let only = match jwk.common.key_algorithm {
            Some(named) => Some(named.to_string().parse().ok()?),
            None => None,
        };
        is_for_signatures.then(|| Found { id: jwk.common.key_id.clone(), key, only })
    });
    Ok(found.collect())
}

fn key_of_pem(text: &str) -> Result<Found, JwtKeyError> {
    let pem = text.as_bytes();
    let key = DecodingKey::from_rsa_pem(pem)
        .or_else(|_| DecodingKey::from_ec_pem(pem))
        .or_else(|_| DecodingKey::from_ed_pem(pem))
        .map_err(|error| JwtKeyError::Unreadable(error.to_string()))?;
    Ok(Found { id: None, key, only: None })
}

#[cfg(test)]
mod tests;
