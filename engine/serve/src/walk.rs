//! Walks: what a list found, remembered between its pages, so that one walk reads one position.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ontology::LogPos;
use prost::Message;

use crate::page::{Arguments, Page};
use crate::reason::{Reason, Refusal};

/// Walks that are remembered; the oldest is forgotten first.
const WALKS_MAX: usize = 64;

/// Bytes of what an answer tells: clients take 4 MiB unless they are told otherwise, and token and position
/// go along.
pub(crate) const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024 - 64 * 1024;
/// Bytes around an item at the most: its field and its length.
const FRAME_BYTES: usize = 8;

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

impl<T: Message + Clone> Walks<T> {
    /// Gives a page: of a new walk over what `find` finds at `position`, or of the one that the
    /// page's token belongs to. A page ends before its size where its answer would become too large.
    ///
    /// # Errors
    /// If the walk is no longer remembered, or its next item is too large by itself.
    pub fn turn(&self, page: &Page, position: LogPos, find: impl FnOnce() -> Vec<T>) -> Result<Turn<T>, Refusal> {
        self.turn_told(page, position, find, T::clone)
    }
}

impl<T> Walks<T> {
    /// The same of items that are put in words by `tell` when their page is asked for.
    ///
    /// # Errors
    /// As [`Walks::turn`].
    pub fn turn_told<M: Message>(
        &self,
        page: &Page,
        position: LogPos,
        find: impl FnOnce() -> Vec<T>,
        tell: impl Fn(&T) -> M,
    ) -> Result<Turn<M>, Refusal> {
        let (items, position) = match page.position {
            None => (Arc::new(find()), position),
            Some(begun) => (self.recall(page.arguments, begun)?, begun),
        };
        let total = items.len();
        let end = page.offset.saturating_add(page.size).min(total);
        let taken = fitting(items.get(page.offset..end).unwrap_or_default().iter().map(tell))?;
        let end = page.offset.saturating_add(taken.len());
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

/// As many of the items as one answer carries.
fn fitting<M: Message>(items: impl Iterator<Item = M>) -> Result<Vec<M>, Refusal> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for item in items {
        let size = item.encoded_len();
        if taken.is_empty() {
            check_size(size)?;
        }
        bytes += size + FRAME_BYTES;
        if !taken.is_empty() && bytes > ANSWER_BYTES_MAX {
            break;
        }
        taken.push(item);
    }
    Ok(taken)
}

/// Refuses what is too large for an answer.
pub(crate) fn check_size(bytes: usize) -> Result<(), Refusal> {
    if bytes <= ANSWER_BYTES_MAX {
        return Ok(());
    }
    Err(too_large(bytes).with("what", "fewer fields with read_mask, or for less at once"))
}

/// The refusal of what is too large for an answer; it yet lacks `what` to ask for.
pub(crate) fn too_large(bytes: usize) -> Refusal {
    Refusal::new(Reason::AnswerTooLarge).with("bytes", bytes).with("limit", ANSWER_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Pages of texts of so many bytes, as the walk gives them.
    fn pages(sizes: &[usize], page_size: i32) -> Result<Vec<usize>, Reason> {
        let (walks, arguments) = (Walks::default(), Arguments::of("List", &[]));
        let texts = || sizes.iter().map(|size| "x".repeat(*size)).collect::<Vec<String>>();
        let (mut token, mut counts) = (String::new(), Vec::new());
        loop {
            let page = Page::read(arguments, page_size, &token).unwrap();
            let turn = walks.turn(&page, LogPos(1), texts).map_err(|refusal| refusal.reason())?;
            counts.push(turn.items.len());
            token = turn.next_page_token;
            if token.is_empty() {
                return Ok(counts);
            }
        }
    }

    #[test]
    fn a_page_ends_where_its_answer_would_be_too_large() {
        let half = ANSWER_BYTES_MAX / 2 - 100;
        assert_eq!(pages(&[half, half], 10), Ok(vec![2]));
        assert_eq!(pages(&[half, half, 10, 200, half], 10), Ok(vec![3, 2]), "and the walk goes on behind it");
        assert_eq!(pages(&[half, half, half], 1), Ok(vec![1, 1, 1]));
        // A text has a field and a length around it.
        let whole = ANSWER_BYTES_MAX - 5;
        assert_eq!(pages(&[whole, 0], 10), Ok(vec![1, 1]));
        assert_eq!(pages(&[whole + 1], 10), Err(Reason::AnswerTooLarge));
        assert_eq!(pages(&[10, whole + 1], 10), Err(Reason::AnswerTooLarge), "on the page that it begins");
    }

    #[test]
    fn a_walk_keeps_what_it_found_first() {
        let walks = Walks::default();
        let arguments = Arguments::of("List", &[]);
        let page = Page::read(arguments, 2, "").unwrap();
        let first = walks.turn(&page, LogPos(5), || vec![1_u32, 2, 3]).unwrap();
        assert_eq!((first.items, first.total), (vec![1, 2], 3));
        let page = Page::read(arguments, 2, &first.next_page_token).unwrap();
        let second = walks.turn(&page, LogPos(9), || vec![7_u32, 8, 9]).unwrap();
        assert_eq!((second.items, second.position, second.next_page_token), (vec![3], LogPos(5), String::new()));
    }

    #[test]
    fn a_forgotten_walk_is_refused() {
        let walks = Walks::default();
        let arguments = |n: usize| Arguments::of("List", &[&n.to_string()]);
        let begin = |n| walks.turn(&Page::read(arguments(n), 1, "").unwrap(), LogPos(1), || vec![1_u32, 2]).unwrap();
        let token = begin(0).next_page_token;
        for n in 1..=WALKS_MAX {
            begin(n);
        }
        let page = Page::read(arguments(0), 1, &token).unwrap();
        assert_eq!(walks.turn(&page, LogPos(2), Vec::new).unwrap_err().reason(), Reason::PageExpired);
    }
}
