#![allow(clippy::unwrap_used)]

use jsonwebtoken::{EncodingKey, Header, encode};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::json;

use super::*;

const ISSUER: &str = "https://login.example/";
const AUDIENCE: &str = "opshub";

fn rules(key: &KeyPair) -> JwtRules {
    JwtRules::new(ISSUER, AUDIENCE, &["ES256".to_owned()], &key.public_key_pem()).unwrap()
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn claims() -> Value {
    let now = now();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "nbf": now - 5, "exp": now + 300, "roles": ["agent"] })
}

fn signed(header: &Header, claims: &Value, key: &KeyPair) -> String {
    encode(header, claims, &EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap()).unwrap()
}

/// A good token with one claim set to something else, or taken out.
fn with(claim: &str, value: Option<Value>, key: &KeyPair) -> String {
    let mut claims = claims();
    match value {
        Some(value) => claims[claim] = value,
        None => drop(claims.as_object_mut().unwrap().remove(claim)),
    }
    signed(&Header::new(Algorithm::ES256), &claims, key)
}

#[test]
fn a_token_that_is_right_in_everything_names_its_bearer() {
    let key = KeyPair::generate().unwrap();
    let token = signed(&Header::new(Algorithm::ES256), &claims(), &key);
    let ann = Principal { name: "ann".to_owned(), roles: vec![Role::Agent] };
    assert_eq!(rules(&key).principal(&token), Some(ann));
    let several = with("aud", Some(json!(["other", AUDIENCE])), &key);
    assert!(rules(&key).principal(&several).is_some());
    let of_other_programs = with("roles", Some(json!(["mail-user", "admin", "auditor"])), &key);
    assert_eq!(rules(&key).principal(&of_other_programs).unwrap().roles, [Role::Auditor, Role::Admin]);
}

#[test]
fn a_claim_that_is_missing_of_another_type_or_not_ours_refuses_the_token() {
    let key = KeyPair::generate().unwrap();
    let now = now();
    let wrong = [
        ("exp", None),
        ("exp", Some(json!((now + 300).to_string()))),
        ("exp", Some(json!(now - 120))),
        ("exp", Some(json!(-1))),
        ("nbf", None),
        ("nbf", Some(json!((now - 5).to_string()))),
        ("nbf", Some(json!(now + 120))),
        ("iss", None),
        ("iss", Some(json!("https://other.example/"))),
        ("iss", Some(json!([ISSUER]))),
        ("iss", Some(json!(7))),
        ("aud", None),
        ("aud", Some(json!("other"))),
        ("aud", Some(json!(["other"]))),
        ("aud", Some(json!(true))),
        ("sub", None),
        ("sub", Some(json!(""))),
        ("sub", Some(json!(7))),
        ("roles", None),
        ("roles", Some(json!("admin"))),
        ("roles", Some(json!([]))),
        ("roles", Some(json!(["Agent", "king"]))),
        ("roles", Some(json!(["agent", 7]))),
    ];
    for (claim, value) in wrong {
        let token = with(claim, value.clone(), &key);
        assert_eq!(rules(&key).principal(&token), None, "{claim} = {value:?}");
    }
}

#[test]
fn clocks_may_be_a_minute_apart() {
    let key = KeyPair::generate().unwrap();
    // A second or two of margin: the library reads the clock itself.
    let now = now();
    for (claim, at) in [("exp", now - (SKEW_S - 5)), ("nbf", now + (SKEW_S - 5))] {
        assert!(rules(&key).principal(&with(claim, Some(json!(at)), &key)).is_some(), "{claim}");
    }
    for (claim, at) in [("exp", now - (SKEW_S + 5)), ("nbf", now + (SKEW_S + 5))] {
        assert!(rules(&key).principal(&with(claim, Some(json!(at)), &key)).is_none(), "{claim}");
    }
}

#[test]
fn neither_algorithm_nor_key_comes_from_the_token() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    let key = KeyPair::generate().unwrap();
    let good = signed(&Header::new(Algorithm::ES256), &claims(), &key);
    let (_, payload_and_signature) = good.split_once('.').unwrap();
    let (payload, _) = payload_and_signature.split_once('.').unwrap();

    for none in ["none", "None", "NONE"] {
        let header = BASE64.encode(json!({ "alg": none, "typ": "JWT" }).to_string());
        for unsigned in [format!("{header}.{payload}."), format!("{header}.{payload_and_signature}")] {
            assert_eq!(rules(&key).principal(&unsigned), None, "{none}");
        }
    }
    // The public key, which everybody has, as the secret of a keyed hash.
    for secret in [key.public_key_pem().into_bytes(), key.subject_public_key_info()] {
        let token = encode(&Header::new(Algorithm::HS256), &claims(), &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(rules(&key).principal(&token), None);
    }
    let mallory = KeyPair::generate().unwrap();
    let mut header = Header::new(Algorithm::ES256);
    header.jku = Some("https://mallory.example/keys".to_owned());
    assert_eq!(rules(&key).principal(&signed(&header, &claims(), &mallory)), None);
}

#[test]
fn a_changed_cut_or_oversized_token_is_refused() {
    let key = KeyPair::generate().unwrap();
    let good = signed(&Header::new(Algorithm::ES256), &claims(), &key);
    // The last character carries two bits that are no part of the signature.
    for place in 0..good.len() - 1 {
        let mut changed = good.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(rules(&key).principal(&changed), None, "at {place}");
        assert_eq!(rules(&key).principal(&good[..place]), None, "cut at {place}");
    }
    let long = with("padding", Some(json!("x".repeat(TOKEN_BYTES_MAX))), &key);
    assert_eq!(rules(&key).principal(&long), None);
}

/// A key set with one key per id, as providers publish them.
fn set(keys: &[(&str, &KeyPair)]) -> String {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(id, key)| {
            let signing = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap();
            let mut jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&signing, Algorithm::ES256).unwrap();
            jwk.common.key_id = Some((*id).to_owned());
            jwk.common.public_key_use = Some(PublicKeyUse::Signature);
            serde_json::to_value(jwk).unwrap()
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

#[test]
fn a_key_that_was_taken_out_of_the_set_signs_nothing_any_more() {
    let (old, new) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let token = |id: &str, key: &KeyPair| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(id.to_owned());
        signed(&header, &claims(), key)
    };
    let algorithms = ["ES256".to_owned()];
    let both = JwtRules::new(ISSUER, AUDIENCE, &algorithms, &set(&[("old", &old), ("new", &new)])).unwrap();
    let one = JwtRules::new(ISSUER, AUDIENCE, &algorithms, &set(&[("new", &new)])).unwrap();
    assert!(both.principal(&token("old", &old)).is_some() && both.principal(&token("new", &new)).is_some());
    assert!(one.principal(&token("old", &old)).is_none() && one.principal(&token("new", &new)).is_some());
    assert!(both.principal(&token("old", &new)).is_none(), "an id stands for one key");
}

#[test]
fn roles_and_name_may_stand_in_other_claims() {
    let key = KeyPair::generate().unwrap();
    let mut claims = claims();
    claims["realm_access"] = json!({ "roles": ["steward"] });
    claims["https://example.org/roles"] = json!(["billing"]);
    claims["preferred_username"] = json!("ann@example.org");
    let token = signed(&Header::new(Algorithm::ES256), &claims, &key);
    for (claim, role) in [("realm_access.roles", Role::Steward), ("https://example.org/roles", Role::Billing)] {
        let principal = rules(&key).with_claims(claim, "preferred_username").principal(&token).unwrap();
        assert_eq!((principal.name.as_str(), principal.roles.as_slice()), ("ann@example.org", &[role][..]));
    }
    assert_eq!(rules(&key).with_claims("realm_access", "sub").principal(&token), None);
    assert_eq!(rules(&key).with_claims("realm_access.roles.0", "sub").principal(&token), None);
}

#[test]
fn algorithms_and_keys_that_cannot_work_are_named() {
    let key = KeyPair::generate().unwrap();
    let attempt = |algorithms: &[&str], keys: &str| {
        let algorithms: Vec<String> = algorithms.iter().map(|name| (*name).to_owned()).collect();
        JwtRules::new(ISSUER, AUDIENCE, &algorithms, keys).unwrap_err()
    };
    for name in ["HS256", "none", "es256", ""] {
        assert_eq!(attempt(&[name], &key.public_key_pem()), JwtKeyError::Algorithm(name.to_owned()));
    }
    assert_eq!(attempt(&["RS256"], &key.public_key_pem()), JwtKeyError::NoKey("RS256".to_owned()));
    assert_eq!(attempt(&["ES256"], r#"{"keys": []}"#), JwtKeyError::NoKey("ES256".to_owned()));
    for text in ["", "hello", "{", r#"{"key": 1}"#, &key.serialize_pem()[..40]] {
        assert!(matches!(attempt(&["ES256"], text), JwtKeyError::Unreadable(_)), "{text}");
    }
}
