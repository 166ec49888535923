//! A command as it stands in the outbox, read for the system that carries it out.

use ontology::{EntityKey, Millis, System};

use crate::json::Json;

/// What is to be done, by the name that the outbox and the configuration use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// A task in Salesforce.
    CreateTask,
    /// Completes such a task.
    CompleteTask,
    /// A comment on a case in Salesforce.
    CommentCase,
    /// Moves a dispatch in SAP to a later time.
    DelayDispatch,
    /// A note on a service order in SAP.
    NoteOrder,
    /// Keeps a contact in Webex from being transferred.
    HoldTransfer,
    /// Lets it go.
    ReleaseTransfer,
    /// Marks an invoice in Oracle for billing review.
    FlagInvoice,
}

impl Verb {
    /// Every verb with its name and the system that carries it out, in the order of the documentation.
    pub const ALL: &'static [(Verb, &'static str, System)] = &[
        (Verb::CreateTask, "create_task", System::Salesforce),
        (Verb::CompleteTask, "complete_task", System::Salesforce),
        (Verb::CommentCase, "comment_case", System::Salesforce),
        (Verb::DelayDispatch, "delay_dispatch", System::Sap),
        (Verb::NoteOrder, "note_order", System::Sap),
        (Verb::HoldTransfer, "hold_transfer", System::Wxcc),
        (Verb::ReleaseTransfer, "release_transfer", System::Wxcc),
        (Verb::FlagInvoice, "flag_invoice", System::Oracle),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(verb, ..)| *verb == self).map(|(_, name, _)| *name).expect("every verb is listed")
    }

    /// The verb called `name`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(verb, ..)| *verb)
    }

    /// The system that carries it out.
    #[must_use]
    pub fn system(self) -> System {
        Self::ALL.iter().find(|(verb, ..)| *verb == self).map(|(.., system)| *system).expect("every verb is listed")
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Idempotency key: the same for the same effect, however often it is sent.
    pub key: String,
    /// When it was decided.
    pub at: Millis,
    /// What.
    pub kind: CommandKind,
}

/// What is to be done, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandKind {
    /// See [`Verb::CreateTask`].
    CreateTask {
        /// Id of the task, by which it is completed later.
        task: String,
        /// Record id of the case that it is about, where one is known.
        case: Option<String>,
        /// The team that has to do it.
        team: String,
        /// When it is due.
        due_at: Millis,
        /// What to do.
        text: String,
    },
    /// See [`Verb::CompleteTask`].
    CompleteTask {
        /// Id of the task.
        task: String,
    },
    /// See [`Verb::CommentCase`].
    CommentCase {
        /// Record id of the case.
        case: String,
        /// The comment.
        text: String,
    },
    /// See [`Verb::DelayDispatch`].
    DelayDispatch {
        /// Id of the dispatch.
        dispatch: String,
        /// Its new time.
        until: Millis,
    },
    /// See [`Verb::NoteOrder`].
    NoteOrder {
        /// Id of the service order.
        order: String,
        /// The note.
        text: String,
    },
    /// See [`Verb::HoldTransfer`].
    HoldTransfer {
        /// Id of the transfer.
        transfer: String,
        /// Until when at the latest.
        until: Millis,
    },
    /// See [`Verb::ReleaseTransfer`].
    ReleaseTransfer {
        /// Id of the transfer.
        transfer: String,
        /// Whether the package is complete.
        is_complete: bool,
    },
    /// See [`Verb::FlagInvoice`].
    FlagInvoice {
        /// Id of the invoice.
        invoice: String,
        /// Why.
        text: String,
    },
}

/// Why a body of the outbox is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Its action is none that a system carries out: a notification, a package.
    #[error("the action `{0}` is carried out by no system")]
    NoCommand(String),
    /// It is not what its action needs.
    #[error("a body of the outbox has no {0}")]
    Missing(&'static str),
}

impl Command {
    /// Reads a body of the outbox.
    ///
    /// # Errors
    /// [`Unread::NoCommand`] for an action that no system carries out, [`Unread::Missing`] for a body
    /// that lacks what its action needs.
    pub fn parse(body: &[u8]) -> Result<Self, Unread> {
        let json = Json::parse(body).map_err(|_| Unread::Missing("JSON"))?;
        let text = |name: &'static str| {
            let text = json.get(name).and_then(Json::text).filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or(Unread::Missing(name))
        };
        let time = |name: &'static str| json.get(name).and_then(Json::integer).map(Millis).ok_or(Unread::Missing(name));
        let action = text("action")?;
        let verb = Verb::parse(&action).ok_or(Unread::NoCommand(action))?;
        let kind = match verb {
            Verb::CreateTask => CommandKind::CreateTask {
                task: text("task")?,
                case: text("case").ok().map(record),
                team: text("team")?,
                due_at: time("due_at_ms")?,
                text: text("text")?,
            },
            Verb::CompleteTask => CommandKind::CompleteTask { task: text("task")? },
            Verb::CommentCase => CommandKind::CommentCase { case: record(text("case")?), text: text("text")? },
            Verb::DelayDispatch => {
                CommandKind::DelayDispatch { dispatch: record(text("dispatch")?), until: time("until_ms")? }
            }
            Verb::NoteOrder => CommandKind::NoteOrder { order: record(text("order")?), text: text("text")? },
            Verb::HoldTransfer => {
                CommandKind::HoldTransfer { transfer: record(text("transfer")?), until: time("until_ms")? }
            }
            Verb::ReleaseTransfer => CommandKind::ReleaseTransfer {
                transfer: record(text("transfer")?),
                is_complete: json.get("complete") == Some(&Json::Bool(true)),
            },
            Verb::FlagInvoice => CommandKind::FlagInvoice { invoice: record(text("invoice")?), text: text("text")? },
        };
        Ok(Command { key: text("id")?, at: time("at_ms")?, kind })
    }

    /// What is done.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match &self.kind {
            CommandKind::CreateTask { .. } => Verb::CreateTask,
            CommandKind::CompleteTask { .. } => Verb::CompleteTask,
            CommandKind::CommentCase { .. } => Verb::CommentCase,
            CommandKind::DelayDispatch { .. } => Verb::DelayDispatch,
            CommandKind::NoteOrder { .. } => Verb::NoteOrder,
            CommandKind::HoldTransfer { .. } => Verb::HoldTransfer,
            CommandKind::ReleaseTransfer { .. } => Verb::ReleaseTransfer,
            CommandKind::FlagInvoice { .. } => Verb::FlagInvoice,
        }
    }

    /// The key under which the target notes what it did. A task goes by its own id, since that is what
    /// completes it.
    #[must_use]
    pub fn noted_as(&self) -> &str {
        match &self.kind {
            CommandKind::CreateTask { task, .. } => task,
            CommandKind::CompleteTask { .. }
            | CommandKind::CommentCase { .. }
            | CommandKind::DelayDispatch { .. }
            | CommandKind::NoteOrder { .. }
            | CommandKind::HoldTransfer { .. }
            | CommandKind::ReleaseTransfer { .. }
            | CommandKind::FlagInvoice { .. } => &self.key,
        }
    }
}

/// The id of a record that is named with its kind, or by its id alone.
fn record(name: String) -> String {
    match EntityKey::parse(&name) {
        Some(key) => key.id.to_string(),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(details: &str) -> Result<Command, Unread> {
        Command::parse(format!("{{\"id\": \"K\", \"at_ms\": 7, {details}}}").as_bytes())
    }

    #[test]
    fn every_verb_is_read_with_what_it_needs() {
        for (details, verb) in [
            (
                r#""action": "create_task", "task": "T", "team": "finance", "due_at_ms": 9, "text": "x""#,
                Verb::CreateTask,
            ),
            (r#""action": "complete_task", "task": "T", "note": "x""#, Verb::CompleteTask),
            (r#""action": "comment_case", "case": "case/500", "text": "x""#, Verb::CommentCase),
            (r#""action": "delay_dispatch", "dispatch": "field_dispatch/9", "until_ms": 8"#, Verb::DelayDispatch),
            (r#""action": "note_order", "order": "7001", "text": "x""#, Verb::NoteOrder),
            (r#""action": "hold_transfer", "transfer": "transfer/t", "until_ms": 8"#, Verb::HoldTransfer),
            (r#""action": "release_transfer", "transfer": "transfer/t", "version": 1"#, Verb::ReleaseTransfer),
            (r#""action": "flag_invoice", "invoice": "invoice/INV-1", "text": "x""#, Verb::FlagInvoice),
        ] {
            let command = parse(details).unwrap();
            assert_eq!((command.verb(), command.key.as_str(), command.at), (verb, "K", Millis(7)));
            assert_eq!(Verb::parse(verb.name()), Some(verb));
            assert_eq!(command.noted_as() == "T", verb == Verb::CreateTask);
        }
        let CommandKind::FlagInvoice { invoice, .. } =
            parse(r#""action": "flag_invoice", "invoice": "invoice/INV-1", "text": "x""#).unwrap().kind
        else {
            panic!("another kind")
        };
        assert_eq!(invoice, "INV-1", "without its kind");
    }

    #[test]
    fn what_is_no_command_says_why() {
        assert_eq!(parse(r#""action": "notify""#), Err(Unread::NoCommand("notify".to_owned())));
        assert_eq!(parse(r#""action": "comment_case", "case": "c""#), Err(Unread::Missing("text")));
        assert_eq!(parse(r#""action": "delay_dispatch", "dispatch": "d""#), Err(Unread::Missing("until_ms")));
        assert_eq!(Command::parse(b"{"), Err(Unread::Missing("JSON")));
        assert_eq!(Command::parse(br#"{"action": "complete_task", "task": "T"}"#), Err(Unread::Missing("id")));
    }
}
