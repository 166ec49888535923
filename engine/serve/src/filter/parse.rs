//! Reads filters and applies them.

use std::cmp::Ordering;

use super::column::{Column, Operand, unknown_field};
use crate::reason::{Reason, Refusal};

/// Longer filters are refused before they are read.
const CHARACTERS_MAX: usize = 4_096;
/// Deeper nesting is refused, so that reading cannot exhaust the stack.
const DEPTH_MAX: usize = 32;

/// A filter over items of one kind.
#[derive(Debug)]
pub struct Filter<T: 'static> {
    root: Option<Node<T>>,
}

#[derive(Debug)]
enum Node<T: 'static> {
    And(Vec<Node<T>>),
    Or(Vec<Node<T>>),
    Not(Box<Node<T>>),
    Compare { column: &'static Column<T>, op: Op, literal: Operand<'static> },
    Present { column: &'static Column<T> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Has,
}

impl<T> Filter<T> {
    /// Reads a filter; an empty one matches everything.
    ///
    /// # Errors
    /// With reason `FILTER_SYNTAX` and the character at fault, counted from 1.
    pub fn parse(text: &str, columns: &'static [Column<T>]) -> Result<Self, Refusal> {
        if text.len() > CHARACTERS_MAX {
            return Err(Fault::new(CHARACTERS_MAX, "the filter is too long").into());
        }
        let mut reader = Reader { tokens: tokens(text)?, next: 0, end: text.chars().count(), columns, depth: 0 };
        if reader.tokens.is_empty() {
            return Ok(Filter { root: None });
        }
        let root = reader.any()?;
        match reader.peek() {
            None => Ok(Filter { root: Some(root) }),
            Some(token) => Err(Fault::new(token.at, "expected AND, OR or the end").into()),
        }
    }

    /// Whether the item passes.
    pub fn matches(&self, item: &T) -> bool {
        self.root.as_ref().is_none_or(|root| root.matches(item))
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }
}

impl<T> Node<T> {
    fn matches(&self, item: &T) -> bool {
        match self {
            Node::And(terms) => terms.iter().all(|term| term.matches(item)),
            Node::Or(terms) => terms.iter().any(|term| term.matches(item)),
            Node::Not(term) => !term.matches(item),
            Node::Present { column } => (column.get)(item) != Operand::Missing,
            Node::Compare { column, op, literal } => op.holds(&(column.get)(item), literal),
        }
    }
}

impl Op {
    fn holds(self, value: &Operand<'_>, literal: &Operand<'_>) -> bool {
        let order = value.compare(literal);
        match self {
            Op::Equal => order == Some(Ordering::Equal),
            Op::NotEqual => order != Some(Ordering::Equal),
            Op::Less => order == Some(Ordering::Less),
            Op::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Op::Greater => order == Some(Ordering::Greater),
            Op::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Op::Has => value.has(literal),
        }
    }
}

/// What is wrong with a filter and where: the character counted from 1.
struct Fault {
    at: usize,
    problem: String,
}

impl Fault {
    fn new(at: usize, problem: impl Into<String>) -> Self {
        Fault { at: at + 1, problem: problem.into() }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal::new(Reason::FilterSyntax).with("at", fault.at).with("problem", fault.problem)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    /// Characters before it.
    at: usize,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Word(String),
    Quoted(String),
    Op(Op),
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        let rest = &characters[at..];
        let (what, length) = match character {
            space if space.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' => (What::Open, 1),
            ')' => (What::Close, 1),
            '"' | '\'' => quoted(rest).ok_or_else(|| Fault::new(at, "the quotation has no end"))?,
            '=' | '!' | '<' | '>' | ':' => operator(rest).ok_or_else(|| Fault::new(at, "expected != after !"))?,
            _ => word(rest),
        };
        tokens.push(Token { at, what });
        at += length;
    }
    Ok(tokens)
}

fn quoted(rest: &[char]) -> Option<(What, usize)> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        match rest.get(at)? {
            end if *end == rest[0] => return Some((What::Quoted(text), at + 1)),
            '\\' => {
                text.push(*rest.get(at + 1)?);
                at += 2;
            }
            character => {
                text.push(*character);
                at += 1;
            }
        }
    }
}

fn operator(rest: &[char]) -> Option<(What, usize)> {
    let (op, length) = match (rest[0], rest.get(1)) {
        ('=', _) => (Op::Equal, 1),
        (':', _) => (Op::Has, 1),
        ('!', Some('=')) => (Op::NotEqual, 2),
        ('<', Some('=')) => (Op::LessOrEqual, 2),
        ('<', _) => (Op::Less, 1),
        ('>', Some('=')) => (Op::GreaterOrEqual, 2),
        ('>', _) => (Op::Greater, 1),
        _ => return None,
    };
    Some((What::Op(op), length))
}

fn word(rest: &[char]) -> (What, usize) {
    // No field begins with a digit, so that a colon behind one is that of a time.
    let is_value = rest[0].is_ascii_digit();
    let ends = |c: &char| {
        c.is_whitespace() || matches!(c, '(' | ')' | '"' | '=' | '!' | '<' | '>') || (*c == ':' && !is_value)
    };
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    (What::Word(rest[..length].iter().collect()), length)
}

struct Reader<T: 'static> {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
    columns: &'static [Column<T>],
    depth: usize,
}

impl<T> Reader<T> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|token| matches!(&token.what, What::Word(word) if word == wanted));
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Node<T>, Fault> {
        let mut terms = vec![self.all()?];
        while self.take_word("OR") {
            terms.push(self.all()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Node::Or(terms) })
    }

    fn all(&mut self) -> Result<Node<T>, Fault> {
        let mut terms = vec![self.term()?];
        while self.take_word("AND") {
            terms.push(self.term()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Node::And(terms) })
    }

    fn term(&mut self) -> Result<Node<T>, Fault> {
        let at = self.peek().map_or(self.end, |token| token.at);
        if self.depth == DEPTH_MAX {
            return Err(Fault::new(at, "nested too deeply"));
        }
        self.depth += 1;
        let node = if self.take_word("NOT") { Node::Not(Box::new(self.term()?)) } else { self.primary()? };
        self.depth -= 1;
        Ok(node)
    }

    fn primary(&mut self) -> Result<Node<T>, Fault> {
        let Some(token) = self.take() else { return Err(Fault::new(self.end, "expected a field")) };
        match token.what {
            What::Open => {
                let node = self.any()?;
                match self.take() {
                    Some(Token { what: What::Close, .. }) => Ok(node),
                    Some(other) => Err(Fault::new(other.at, "expected )")),
                    None => Err(Fault::new(self.end, "expected )")),
                }
            }
            What::Word(name) => self.comparison(token.at, &name),
            What::Quoted(_) | What::Op(_) | What::Close => Err(Fault::new(token.at, "expected a field")),
        }
    }

    fn comparison(&mut self, at: usize, name: &str) -> Result<Node<T>, Fault> {
        let Some(column) = self.columns.iter().find(|column| column.name == name) else {
            return Err(Fault::new(at, unknown_field(name, self.columns)));
        };
        let op = match self.take() {
            Some(Token { what: What::Op(op), .. }) => op,
            Some(other) => return Err(Fault::new(other.at, "expected a comparison")),
            None => return Err(Fault::new(self.end, "expected a comparison")),
        };
        let (at, literal) = match self.take() {
            Some(Token { what: What::Word(word), .. }) if op == Op::Has && word == "*" => {
                return Ok(Node::Present { column });
            }
            Some(Token { at, what: What::Word(literal) | What::Quoted(literal) }) => (at, literal),
            Some(other) => return Err(Fault::new(other.at, "expected a value")),
            None => return Err(Fault::new(self.end, "expected a value")),
        };
        let literal = column.kind.read(&literal).map_err(|problem| Fault::new(at, problem))?;
        Ok(Node::Compare { column, op, literal })
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
