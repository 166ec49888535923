//! Keys set by the environment: `OPSHUB_API__LISTEN` is `listen` of section `api`.

use super::{ConfigFile, ENV_PREFIX, Error};

/// Lays every variable with the prefix and a section over `table`. Each is checked alone first, so
/// that an error names the variable.
pub(super) fn lay_over(
    table: &mut toml::Table,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<(), Error> {
    let mut variables: Vec<(String, String)> = environment.collect();
    // One order for every run, whatever the system's is.
    variables.sort();
    for (name, text) in variables {
        let Some(path) = name.strip_prefix(ENV_PREFIX) else { continue };
        if !path.contains("__") {
            if let Some(meant) = meant(path) {
                return Err(Error::Env { problem: format!("it is no key: did you mean {meant}?"), name });
            }
            continue;
        }
        let path: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        let value = value(&text);
        let mut alone = toml::Table::new();
        set(&mut alone, &path, value.clone());
        ConfigFile::from_table(alone).map_err(|problem| Error::Env { name: name.clone(), problem })?;
        set(table, &path, value);
    }
    Ok(())
}

/// Underscores in a name of which more are not tried.
const UNDERSCORES_MAX: usize = 8;

/// The key that a name without two underscores would be with them, if there is such a key. Other names
/// are left alone: an orchestrator writes `OPSHUB_DOORS_PORT` and the like for its services.
fn meant(name: &str) -> Option<String> {
    let words: Vec<String> = name.split('_').map(str::to_ascii_lowercase).collect();
    let gaps = words.len() - 1;
    if gaps > UNDERSCORES_MAX || words.iter().any(String::is_empty) {
        return None;
    }
    let path = |cuts: u32| {
        let mut path = vec![words[0].clone()];
        for (at, word) in words[1..].iter().enumerate() {
            match path.last_mut() {
                Some(last) if (cuts >> at) & 1 == 0 => *last = format!("{last}_{word}"),
                Some(_) | None => path.push(word.clone()),
            }
        }
        path
    };
    let is_key = |path: &Vec<String>| {
        let mut alone = toml::Table::new();
        set(&mut alone, path, toml::Value::Integer(1));
        let known = ConfigFile::from_table(alone);
        path.len() > 1 && known.err().is_none_or(|problem| !problem.contains("unknown field"))
    };
    let path = (0..1_u32 << gaps).map(path).find(is_key)?;
    Some(format!("{ENV_PREFIX}{}", path.join("__").to_ascii_uppercase()))
}

/// Whole numbers, truth values, lists and quoted texts are read as in a file; all else is text.
fn value(text: &str) -> toml::Value {
    let read =
        toml::from_str::<toml::Table>(&format!("value = {text}")).ok().and_then(|mut table| table.remove("value"));
    match read {
        Some(
            value
            @ (toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Array(_) | toml::Value::String(_)),
        ) => value,
        Some(toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_)) | None => {
            toml::Value::String(text.to_owned())
        }
    }
}

fn set(table: &mut toml::Table, path: &[String], value: toml::Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return;
    }
    let below = table.entry(first.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if !below.is_table() {
        *below = toml::Value::Table(toml::Table::new());
    }
    if let toml::Value::Table(below) = below {
        set(below, rest, value);
    }
}
