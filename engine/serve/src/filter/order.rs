//! Reads orders and applies them.

use std::cmp::Ordering;

use super::column::{Column, Operand, unknown_field};
use crate::reason::{Reason, Refusal};

/// An order over items of one kind.
#[derive(Debug)]
pub struct Order<T: 'static> {
    keys: Vec<(&'static Column<T>, bool)>,
}

impl<T> Order<T> {
    /// Reads an order such as `severity desc, open_time`; an empty one leaves items as they are.
    ///
    /// # Errors
    /// With reason `ORDER_SYNTAX` and the character at fault, counted from 1.
    pub fn parse(text: &str, columns: &'static [Column<T>]) -> Result<Self, Refusal> {
        let mut keys = Vec::new();
        let mut at = 0;
        for part in text.split(',') {
            let start = at + part.chars().take_while(|c| c.is_whitespace()).count() + 1;
            at += part.chars().count() + 1;
            let refuse = |problem: String| Refusal::new(Reason::OrderSyntax).with("at", start).with("problem", problem);
            let words: Vec<&str> = part.split_whitespace().collect();
            let (name, descending) = match words.as_slice() {
                [] if text.trim().is_empty() => return Ok(Order { keys }),
                [name] | [name, "asc"] => (*name, false),
                [name, "desc"] => (*name, true),
                [] | [..] => return Err(refuse("expected a field, then asc or desc".to_owned())),
            };
            let column = columns.iter().find(|column| column.name == name);
            let unknown = || refuse(unknown_field(name, columns));
            keys.push((column.ok_or_else(unknown)?, descending));
        }
        Ok(Order { keys })
    }

    /// Whether no order was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How two items compare; missing values come last in either direction.
    pub fn compare(&self, a: &T, b: &T) -> Ordering {
        for (column, descending) in &self.keys {
            let order = match ((column.get)(a), (column.get)(b)) {
                (Operand::Missing, Operand::Missing) => Ordering::Equal,
                (Operand::Missing, _) => Ordering::Greater,
                (_, Operand::Missing) => Ordering::Less,
                (a, b) => {
                    let order = a.compare(&b).unwrap_or(Ordering::Equal);
                    if *descending { order.reverse() } else { order }
                }
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }
}
