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
        let Some(path) = name.strip_prefix(ENV_PREFIX).filter(|rest| rest.contains("__")) else { continue };
        let path: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        let value = value(&text);
        let mut alone = toml::Table::new();
        set(&mut alone, &path, value.clone());
        ConfigFile::from_table(alone).map_err(|problem| Error::Env { name: name.clone(), problem })?;
        set(table, &path, value);
    }
    Ok(())
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
