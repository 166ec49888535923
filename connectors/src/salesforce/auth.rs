//! Logging in: client credentials, or a signed assertion.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ontology::Millis;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;
use serde::Deserialize;

use super::answer::{RestError, send};
use crate::edge::credentials::Secret;

/// How long an assertion is good, in seconds: the longest that the vendor takes.
const ASSERTION_LIFE_S: i64 = 300;

/// How the connector proves who it is.
#[derive(Debug, Clone)]
pub enum Grant {
    /// `client_credentials`: the connected app's secret. The login address must be the
    /// organisation's own ("My Domain").
    ClientCredentials {
        /// Consumer secret.
        client_secret: Secret,
    },
    /// `jwt-bearer`: an assertion signed by the key whose certificate the connected app holds.
    JwtBearer {
        /// User that the connector acts as.
        username: String,
        /// Audience: `https://login.salesforce.com`, or `https://test.salesforce.com` for a sandbox.
        audience: String,
        /// The private key.
        key: JwtKey,
    },
}

/// A private RSA key that signs assertions. It is never printed.
#[derive(Clone)]
pub struct JwtKey(Arc<dyn SigningKey>);

impl std::fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JwtKey(..)")
    }
}

/// Why a private key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM, or no private key in it.
    #[error("it is no private key in PEM; write one with `openssl genpkey -algorithm RSA`")]
    NoKey,
    /// A key of another kind.
    #[error("it is no RSA key of 2048 bits or more, which is what RS256 signs with")]
    NoRsaKey,
}

impl JwtKey {
    /// Reads a private RSA key in PEM (PKCS#8 or PKCS#1).
    ///
    /// # Errors
    /// [`KeyError`] when it is none that RS256 can sign with.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NoKey)?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| KeyError::NoRsaKey)?;
        let can_sign = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_some();
        if can_sign { Ok(JwtKey(key)) } else { Err(KeyError::NoRsaKey) }
    }

    /// A compact JWT with `claims`, signed by RS256.
    fn sign(&self, claims: &serde_json::Value) -> Result<String, RestError> {
        let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&serde_json::json!({ "alg": "RS256" })), part(claims));
        let signer = self.0.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signature = signer.and_then(|signer| signer.sign(signed.as_bytes()).ok());
        let signature = signature.ok_or(RestError::Answer("a signature of the private key"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// An access token with what belongs to it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The token.
    pub access_token: Secret,
    /// Address of the organisation's instance.
    pub instance_url: String,
    /// Id of the organisation.
    pub org_id: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    instance_url: String,
}

#[derive(Deserialize)]
struct UserAnswer {
    organization_id: String,
}

/// Logs in at `login_url`.
///
/// # Errors
/// [`RestError`] when the organisation is not reached or refuses.
pub(super) async fn login(
    client: &reqwest::Client,
    login_url: &str,
    client_id: &str,
    grant: &Grant,
    now: Millis,
) -> Result<Session, RestError> {
    let form = match grant {
        Grant::ClientCredentials { client_secret } => vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", client_id.to_owned()),
            ("client_secret", client_secret.expose().to_owned()),
        ],
        Grant::JwtBearer { username, audience, key } => {
            let expires_at = now.0.div_euclid(1_000) + ASSERTION_LIFE_S;
            let claims = serde_json::json!({ "iss": client_id, "sub": username, "aud": audience, "exp": expires_at });
            vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
                ("assertion", key.sign(&claims)?),
            ]
        }
    };
    let answer = send(client.post(format!("{login_url}/services/oauth2/token")).form(&form)).await?;
    let token: TokenAnswer = answer.read("a token")?;
    let userinfo = client.get(format!("{login_url}/services/oauth2/userinfo")).bearer_auth(&token.access_token);
    let answer = send(userinfo).await?;
    let user: UserAnswer = answer.read("the id of an organisation")?;
    Ok(Session {
        access_token: Secret::new(token.access_token),
        instance_url: token.instance_url,
        org_id: user.organization_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        assert_eq!(JwtKey::from_pem("").unwrap_err(), KeyError::NoKey);
        assert_eq!(
            JwtKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----").unwrap_err(),
            KeyError::NoKey
        );
        let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(JwtKey::from_pem(nonsense).unwrap_err(), KeyError::NoRsaKey);
    }
}
