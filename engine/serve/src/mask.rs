//! Read masks: which fields of a message an answer carries.
//!
//! Paths follow the descriptor of the message, so every field of every resource can be named and a
//! misspelt one is refused. A path may end inside a repeated message and then applies to each item.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use prost_types::FieldMask;

use crate::reason::{Reason, Refusal};

/// A checked mask of one message type; empty keeps everything.
#[derive(Debug, Clone)]
pub struct ReadMask {
    descriptor: MessageDescriptor,
    kept: Branch,
}

/// Fields to keep, by number; an empty branch keeps all below.
#[derive(Debug, Clone, Default)]
struct Branch(BTreeMap<u32, Branch>);

impl ReadMask {
    /// Checks a mask against the message named `message`, for example `opshub.v1.CustomerState`.
    ///
    /// # Errors
    /// With reason `MASK_UNKNOWN_PATH` if a path names no field.
    pub fn read(pool: &DescriptorPool, message: &str, mask: Option<&FieldMask>) -> Result<Self, Refusal> {
        let descriptor = pool.get_message_by_name(message).expect("masked messages are part of the API");
        let mut kept = Branch::default();
        let mut whole = false;
        for path in mask.map(|mask| mask.paths.as_slice()).unwrap_or_default() {
            if path == "*" {
                whole = true;
                continue;
            }
            let numbers = field_numbers(&descriptor, path).ok_or_else(|| {
                Refusal::new(Reason::MaskUnknownPath).with("path", path).with("message", descriptor.name())
            })?;
            kept.add(&numbers);
        }
        if whole {
            kept = Branch::default();
        }
        Ok(ReadMask { descriptor, kept })
    }

    /// Whether the mask keeps everything.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.kept.0.is_empty()
    }

    /// The names of fields of the message, by their numbers.
    #[must_use]
    pub fn names(&self, numbers: &BTreeSet<u32>) -> Vec<String> {
        let named = numbers.iter().filter_map(|number| self.descriptor.get_field(*number));
        named.map(|field| field.name().to_owned()).collect()
    }

    /// The paths of the mask but for those of some fields of the message; all other fields, if it keeps
    /// everything.
    #[must_use]
    pub fn paths_without(&self, left_out: &BTreeSet<u32>) -> Vec<String> {
        let mut paths = Vec::new();
        for field in self.descriptor.fields().filter(|field| !left_out.contains(&field.number())) {
            match self.kept.0.get(&field.number()) {
                Some(below) => below.add_paths(&field, "", &mut paths),
                None if self.is_whole() => paths.push(field.name().to_owned()),
                None => {}
            }
        }
        paths
    }

    /// Clears the fields that the mask does not name.
    pub fn apply<M: prost::Message + Default>(&self, message: M) -> M {
        if self.is_whole() {
            return message;
        }
        let mut dynamic = DynamicMessage::new(self.descriptor.clone());
        dynamic.transcode_from(&message).expect("a message transcodes into its own descriptor");
        self.kept.prune(&mut dynamic);
        dynamic.transcode_to().expect("a descriptor transcodes into its own message")
    }
}

/// The field numbers along a path, or none if a step names no field.
fn field_numbers(descriptor: &MessageDescriptor, path: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    let mut within = Some(descriptor.clone());
    for step in path.split('.') {
        let field = within?.get_field_by_name(step)?;
        numbers.push(field.number());
        within = match field.kind() {
            Kind::Message(message) if !field.is_map() => Some(message),
            _ => None,
        };
    }
    Some(numbers)
}

impl Branch {
    fn add(&mut self, numbers: &[u32]) {
        let mut branch = self;
        for (i, number) in numbers.iter().enumerate() {
            // A shorter path that is already there keeps all below it.
            if branch.0.get(number).is_some_and(|below| below.0.is_empty()) {
                return;
            }
            branch = branch.0.entry(*number).or_default();
            if i + 1 == numbers.len() {
                branch.0.clear();
            }
        }
    }

    /// The paths that lead through a field to the ends of the branch.
    fn add_paths(&self, field: &FieldDescriptor, above: &str, paths: &mut Vec<String>) {
        let path = format!("{above}{}", field.name());
        let Kind::Message(message) = field.kind() else { return paths.push(path) };
        if self.0.is_empty() {
            return paths.push(path);
        }
        let above = format!("{path}.");
        for (number, below) in &self.0 {
            let field = message.get_field(*number).expect("the branch was read from this message");
            below.add_paths(&field, &above, paths);
        }
    }

    fn prune(&self, message: &mut DynamicMessage) {
        if self.0.is_empty() {
            return;
        }
        let fields: Vec<_> = message.fields().map(|(field, _)| field).collect();
        for field in fields {
            match self.0.get(&field.number()) {
                None => message.clear_field(&field),
                Some(below) => below.prune_value(message.get_field_mut(&field)),
            }
        }
    }

    fn prune_value(&self, value: &mut Value) {
        if let Value::Message(message) = value {
            self.prune(message);
        } else if let Value::List(items) = value {
            for item in items {
                self.prune_value(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proto::v1::{BillingState, CustomerState, Invoice, Member, Money};

    fn pool() -> DescriptorPool {
        DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    fn mask(paths: &[&str]) -> Result<ReadMask, Refusal> {
        let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        ReadMask::read(&pool(), "opshub.v1.CustomerState", Some(&mask))
    }

    fn state() -> CustomerState {
        let invoice = |units| Invoice {
            amount: Some(Money { currency_code: "USD".to_owned(), units, nanos: 0 }),
            billing_type: "recurring".to_owned(),
            ..Invoice::default()
        };
        CustomerState {
            name: "customers/1".to_owned(),
            version: 3,
            members: vec![Member { name: "Acme".to_owned(), ..Member::default() }],
            billing: Some(BillingState { pending_invoices: vec![invoice(1), invoice(2)], ..BillingState::default() }),
            ..CustomerState::default()
        }
    }

    #[test]
    fn an_empty_mask_or_a_star_keeps_everything() {
        assert_eq!(mask(&[]).unwrap().apply(state()), state());
        assert_eq!(mask(&["name", "*"]).unwrap().apply(state()), state());
    }

    #[test]
    fn paths_reach_into_messages_and_lists() {
        let kept = mask(&["name", "billing.pending_invoices.amount"]).unwrap().apply(state());
        let mut expected =
            CustomerState { name: "customers/1".to_owned(), billing: state().billing, ..CustomerState::default() };
        for invoice in &mut expected.billing.as_mut().unwrap().pending_invoices {
            invoice.billing_type.clear();
        }
        assert_eq!(kept, expected);
    }

    #[test]
    fn the_shorter_of_two_paths_wins_in_any_order() {
        for paths in [["billing", "billing.pending_invoices.amount"], ["billing.pending_invoices.amount", "billing"]] {
            assert_eq!(mask(&paths).unwrap().apply(state()).billing, state().billing);
        }
    }

    #[test]
    fn paths_are_told_again_without_some_fields() {
        let left =
            |paths: &[&str], numbers: &[u32]| mask(paths).unwrap().paths_without(&numbers.iter().copied().collect());
        let nested = ["billing.balances", "billing.pending_invoices.amount", "members", "name"];
        assert_eq!(left(&nested, &[]), ["name", "members", "billing.pending_invoices.amount", "billing.balances"]);
        assert_eq!(left(&nested, &[4, 7]), ["name"]);
        let whole = left(&[], &[6]);
        assert!(
            whole.starts_with(&["name".to_owned(), "version".to_owned()]) && !whole.contains(&"open_cases".to_owned())
        );
        assert_eq!(mask(&[]).unwrap().names(&BTreeSet::from([6, 7, 999])), ["open_cases", "billing"]);
    }

    #[test]
    fn an_unknown_path_is_refused_by_name() {
        for path in ["nam", "billing.nothing", "name.x", "", "billing..x"] {
            let refusal = mask(&[path]).unwrap_err();
            assert_eq!((refusal.reason(), refusal.metadata()["path"].as_str()), (Reason::MaskUnknownPath, path));
        }
    }
}
