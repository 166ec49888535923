//! Client certificates: the handshake proves the certificate, this says whom it stands for.

use std::collections::HashMap;

use tonic::transport::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::policy::Principal;

/// Why a name cannot stand for a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientNameError {
    /// Nothing is written.
    #[error("it is empty: write a name that the certificate carries")]
    Empty,
    /// Two callers would be one.
    #[error("`{0}` stands for two callers: a name is one caller's")]
    Repeated(String),
}

/// Callers by the name in their certificate: a URI, DNS or e-mail name of `subjectAltName`, or the
/// subject's common name where the certificate has no such names (RFC 5280, 4.2.1.6; RFC 9525).
#[derive(Debug, Clone, Default)]
pub struct ClientCertificates {
    principals: HashMap<String, Principal>,
}

impl ClientCertificates {
    /// Makes certificates with this name stand for `principal`.
    ///
    /// # Errors
    /// If the name is empty or stands for somebody already.
    pub fn add(&mut self, name: &str, principal: Principal) -> Result<(), ClientNameError> {
        if name.is_empty() {
            return Err(ClientNameError::Empty);
        }
        match self.principals.insert(name.to_owned(), principal) {
            None => Ok(()),
            Some(_) => Err(ClientNameError::Repeated(name.to_owned())),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.principals.is_empty()
    }

    pub(super) fn principal(&self, certificate: &CertificateDer<'_>) -> Option<Principal> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let named = names(&certificate).into_iter().find_map(|name| self.principals.get(&name));
        named.cloned()
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    match alternative {
        Some(alternative) => alternative.value.general_names.iter().filter_map(text_of).collect(),
        None => {
            certificate.subject().iter_common_name().filter_map(|name| Some(name.as_str().ok()?.to_owned())).collect()
        }
    }
}

fn text_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) | GeneralName::RFC822Name(text) => Some((*text).to_owned()),
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::policy::Role;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn certificate(common_name: &str, alternatives: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = alternatives;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn caller(known: &[&str], certificate: &CertificateDer<'_>) -> Option<String> {
        let mut clients = ClientCertificates::default();
        for name in known {
            clients.add(name, Principal { name: format!("<{name}>"), roles: vec![Role::Agent] }).unwrap();
        }
        clients.principal(certificate).map(|principal| principal.name)
    }

    #[test]
    fn a_caller_is_known_by_an_alternative_name_of_the_certificate() {
        let uri = "spiffe://example.org/desk";
        let names = vec![SanType::URI(uri.try_into().unwrap()), SanType::DnsName("desk.example".try_into().unwrap())];
        let certificate = certificate("desk", names);
        assert_eq!(caller(&[uri], &certificate).as_deref(), Some("<spiffe://example.org/desk>"));
        assert_eq!(caller(&["desk.example"], &certificate).as_deref(), Some("<desk.example>"));
        assert_eq!(caller(&["Desk.example", "esk.example", "spiffe://example.org/"], &certificate), None);
    }

    #[test]
    fn the_common_name_counts_only_where_there_is_no_alternative_name() {
        let plain = certificate("desk", Vec::new());
        assert_eq!(caller(&["desk"], &plain).as_deref(), Some("<desk>"));
        let other = certificate("desk", vec![SanType::DnsName("other.example".try_into().unwrap())]);
        assert_eq!(caller(&["desk"], &other), None);
    }

    #[test]
    fn what_is_no_certificate_is_nobody_and_a_name_is_one_callers() {
        assert_eq!(caller(&["desk"], &CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])), None);
        let mut clients = ClientCertificates::default();
        let ann = Principal { name: "ann".to_owned(), roles: vec![Role::Agent] };
        assert_eq!(clients.add("", ann.clone()), Err(ClientNameError::Empty));
        assert_eq!(clients.add("desk", ann.clone()), Ok(()));
        assert_eq!(clients.add("desk", ann), Err(ClientNameError::Repeated("desk".to_owned())));
    }
}
