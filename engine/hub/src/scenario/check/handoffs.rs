//! Transfers and their packages.

use insight::handoff::{Package, Section, SectionName, TransferMemory};
use ontology::Vocabulary;

use super::{Differences, Scene};
use crate::scenario::expect::ExpectHandoff;
use crate::scenario::fact::word;

/// Compares the latest transfer of each case.
pub fn handoffs(expected: &[ExpectHandoff], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for wanted in expected {
        let what = format!("transfer of case {}", wanted.case);
        let Some((_, memory)) = scene.transfer_of(&wanted.case) else {
            found.note(what, "to be there", "nothing");
            continue;
        };
        life(wanted, &what, memory, scene, found)?;
        match memory.newest() {
            Some(package) => content(wanted, &what, package, found)?,
            None => found.note(what, "a package", "none"),
        }
    }
    Ok(())
}

fn life(
    wanted: &ExpectHandoff,
    what: &str,
    memory: &TransferMemory,
    scene: &Scene<'_>,
    found: &mut Differences,
) -> Result<(), String> {
    found.same_word(&format!("{what}: state"), wanted.state.as_ref(), memory.state.name());
    let complete = memory.was_complete.map_or_else(|| "not released".to_owned(), |complete| complete.to_string());
    found.same(&format!("{what}: complete"), wanted.complete, complete);
    found.same(&format!("{what}: readable from"), wanted.readable_from, memory.readable_from);
    let released = memory.released_at.map_or_else(|| "not released".to_owned(), |at| scene.times.told(at));
    if let Some(text) = &wanted.released_at {
        let at = scene.times.instant(text)?;
        found.same(&format!("{what}: released at"), Some(scene.times.told(at)), &released);
    }
    if let Some(text) = &wanted.released_by {
        let at = scene.times.instant(text)?;
        if memory.released_at.is_none_or(|released_at| released_at > at) {
            found.note(format!("{what}: released by"), scene.times.told(at), released);
        }
    }
    Ok(())
}

fn content(wanted: &ExpectHandoff, what: &str, package: &Package, found: &mut Differences) -> Result<(), String> {
    let narrative = package.content.narrative.text();
    found.same(&format!("{what}: narrative"), wanted.narrative.as_ref(), &narrative);
    if let Some(end) = wanted.narrative_ends.as_ref().filter(|end| !narrative.ends_with(end.as_str())) {
        found.note(format!("{what}: narrative"), format!("to end with `{end}`"), &narrative);
    }
    found.same(&format!("{what}: version"), wanted.version, package.version);
    let change = package.identity_changed.map_or("none", Vocabulary::name);
    found.same_word(&format!("{what}: identity changed"), wanted.identity_changed.as_ref(), change);
    for (name, status) in &wanted.sections {
        let section = section(name, package)?;
        let known = section.map_or_else(|| "absent".to_owned(), |section| told(section, status.contains('(')));
        found.same(&format!("{what}: section {name}"), Some(status), known);
    }
    for (name, items) in &wanted.items {
        let known = section(name, package)?.map(|section| &section.items).into_iter().flatten();
        let known = known.map(|item| item.entity.to_string()).collect();
        found.same_set(&format!("{what}: items of {name}"), Some(items), known);
    }
    for code in &wanted.recommends {
        let known: Vec<&str> = package.content.recommendations.iter().map(|advice| advice.code.name()).collect();
        if !known.contains(&code.as_str()) {
            found.note(format!("{what}: recommendations"), code, known.join(", "));
        }
    }
    Ok(())
}

fn section<'a>(name: &str, package: &'a Package) -> Result<Option<&'a Section>, String> {
    Ok(package.content.section(word::<SectionName>("a section", name)?))
}

fn told(section: &Section, with_reason: bool) -> String {
    let (status, reason) = (section.status.name(), section.status.reason());
    if with_reason && !reason.is_empty() { format!("{status} ({reason})") } else { status.to_owned() }
}
