//! Walks: what a list found, remembered between its pages, so that one walk reads one position.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ontology::LogPos;

use crate::page::{Arguments, Page};
use crate::reason::{Reason, Refusal};

/// Walks that are remembered; the oldest is forgotten first.
const WALKS_MAX: usize = 64;

/// Remembered walks over items of one kind, oldest first.
#[derive(Debug)]
pub struct Walks<T> {
    walks: Mutex<VecDeque<Walk<T>>>,
}

/// The call, the position it read, and what it found.
type Walk<T> = (Arguments, LogPos, Arc<Vec<T>>);

/// One page of a walk.
#[derive(Debug)]
pub struct Turn<T> {
    /// The items of the page.
    pub items: Vec<T>,
    /// Token of the next page; empty at the end.
    pub next_page_token: String,
    /// The position the walk reads.
    pub position: LogPos,
    /// How many items the walk has in all.
    pub total: usize,
}

impl<T> Default for Walks<T> {
    fn default() -> Self {
        Walks { walks: Mutex::default() }
    }
}

impl<T: Clone> Walks<T> {
    /// Gives a page: of a new walk over what `find` finds at `position`, or of the one that the
    /// page's token belongs to.
    ///
    /// # Errors
    /// If the walk is no longer remembered.
    pub fn turn(&self, page: &Page, position: LogPos, find: impl FnOnce() -> Vec<T>) -> Result<Turn<T>, Refusal> {
        let (items, position) = match page.position {
            None => (Arc::new(find()), position),
            Some(begun) => (self.recall(page.arguments, begun)?, begun),
        };
        let total = items.len();
        let end = page.offset.saturating_add(page.size).min(total);
        let taken = items.get(page.offset..end).unwrap_or_default().to_vec();
        let next_page_token = if end < total { page.next(position, taken.len(), "") } else { String::new() };
        if page.position.is_none() && end < total {
            self.remember(page.arguments, position, items);
        }
        Ok(Turn { items: taken, next_page_token, position, total })
    }

    fn recall(&self, arguments: Arguments, begun: LogPos) -> Result<Arc<Vec<T>>, Refusal> {
        let walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        let walk = walks.iter().find(|(of, at, _)| *of == arguments && *at == begun);
        walk.map(|(_, _, items)| items.clone()).ok_or_else(|| Refusal::new(Reason::PageExpired))
    }

    fn remember(&self, arguments: Arguments, position: LogPos, items: Arc<Vec<T>>) {
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        walks.retain(|(of, at, _)| *of != arguments || *at != position);
        if walks.len() >= WALKS_MAX {
            walks.pop_front();
        }
        walks.push_back((arguments, position, items));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_walk_keeps_what_it_found_first() {
        let walks = Walks::default();
        let arguments = Arguments::of("List", &[]);
        let page = Page::read(arguments, 2, "").unwrap();
        let first = walks.turn(&page, LogPos(5), || vec![1, 2, 3]).unwrap();
        assert_eq!((first.items, first.total), (vec![1, 2], 3));
        let page = Page::read(arguments, 2, &first.next_page_token).unwrap();
        let second = walks.turn(&page, LogPos(9), || vec![7, 8, 9]).unwrap();
        assert_eq!((second.items, second.position, second.next_page_token), (vec![3], LogPos(5), String::new()));
    }

    #[test]
    fn a_forgotten_walk_is_refused() {
        let walks = Walks::default();
        let arguments = |n: usize| Arguments::of("List", &[&n.to_string()]);
        let begin = |n| walks.turn(&Page::read(arguments(n), 1, "").unwrap(), LogPos(1), || vec![1, 2]).unwrap();
        let token = begin(0).next_page_token;
        for n in 1..=WALKS_MAX {
            begin(n);
        }
        let page = Page::read(arguments(0), 1, &token).unwrap();
        assert_eq!(walks.turn(&page, LogPos(2), Vec::new).unwrap_err().reason(), Reason::PageExpired);
    }
}
