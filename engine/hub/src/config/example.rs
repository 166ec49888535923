//! The annotated file that `opshub config example` prints: every key of docs/configuration.md with its default
//! and what it means, all of it in comments, so that a hub that starts with it starts as without.

use std::fmt::Write as _;

/// The page that names every key.
const PAGE: &str = include_str!("../../../../docs/configuration.md");
/// What stands above the keys.
const HEAD: &str = "\
# Every key of the hub, with its default. Take away the # before a key to set it, and the one before the
# [section] above it: a source is connected when its section is there. Keys without a value have no default.
# Secrets are referred to: env:NAME or file:PATH. `opshub config check FILE` reads the file as `serve` would.
";
/// Lists of tables, which the page describes and does not write out.
const WRITTEN: [(&str, &str); 2] = [
    ("api.tokens", r#"[{ name = "desk", token = "env:DESK_TOKEN", roles = ["agent"] }]"#),
    ("api.callers", r#"[{ name = "desk", certificate = "spiffe://acme.example/desk", roles = ["agent"] }]"#),
];
/// Longest line of a comment, in characters.
const WIDTH: usize = 110;

/// A row of the tables of keys.
struct Key<'a> {
    key: &'a str,
    default: &'a str,
    meaning: &'a str,
}

/// The annotated file, TOML.
#[must_use]
pub fn example() -> String {
    // A section's keys stand together, whatever the page has between them.
    let mut sections: Vec<(&str, Vec<(&str, Key<'_>)>)> = Vec::new();
    for row in PAGE.lines().filter_map(row) {
        let Some((section, name)) = row.key.rsplit_once('.') else { continue };
        match sections.iter_mut().find(|(known, _)| *known == section) {
            Some((_, keys)) => keys.push((name, row)),
            None => sections.push((section, vec![(name, row)])),
        }
    }
    let mut out = HEAD.to_owned();
    for (section, keys) in sections {
        // Writing to a string does not fail.
        let _ = writeln!(out, "\n#[{section}]");
        for (name, row) in keys {
            let is_needed = row.default.starts_with("required");
            let needed = if is_needed { format!("; {}", row.default) } else { String::new() };
            comment(&mut out, &format!("{}{needed}", plain(row.meaning)));
            let _ = writeln!(out, "#{name} ={}", value(&row).map(|value| format!(" {value}")).unwrap_or_default());
        }
    }
    out
}

/// A key with its default and its meaning, if the line has one.
fn row(line: &str) -> Option<Key<'_>> {
    let (key, rest) = line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` |")?;
    let (default, meaning) = rest.split_once("| ")?;
    let is_key = key.bytes().all(|byte| byte == b'_' || byte == b'.' || byte.is_ascii_lowercase());
    is_key.then_some(Key { key, default: default.trim(), meaning })
}

/// The default as TOML writes it; none where the page tells it in words.
fn value(row: &Key<'_>) -> Option<String> {
    if let Some((_, written)) = WRITTEN.iter().find(|(key, _)| *key == row.key) {
        return Some((*written).to_owned());
    }
    let text = row.default.strip_prefix('`')?.split('`').next()?;
    let is_bare = text.starts_with('[') || text.parse::<i64>().is_ok() || text.parse::<bool>().is_ok();
    Some(if is_bare { text.to_owned() } else { format!("\"{text}\"") })
}

/// Markdown without its links.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(told, behind)| Some((told, behind.split_once(')')?.1)));
        let (told, behind) = link.unwrap_or((after, ""));
        out.push_str(before);
        if link.is_none() {
            out.push('[');
        }
        out.push_str(told);
        rest = behind;
    }
    out + rest
}

/// A text in lines of a comment.
fn comment(out: &mut String, text: &str) {
    let mut length = WIDTH;
    for word in text.split_whitespace() {
        if length + 1 + word.chars().count() > WIDTH {
            if !out.ends_with('\n') {
                out.push('\n');
            }
            out.push('#');
            length = 1;
        }
        out.push(' ');
        out.push_str(word);
        length += 1 + word.chars().count();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::ConfigFile;
    use super::*;

    #[test]
    fn the_example_as_it_stands_says_nothing() {
        let text = example();
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 2 * WIDTH), "{text}");
        for part in [
            "#[connectors.zendesk.export]\n",
            "#dir = \".opshub/store\"\n",
            "#shards = 1\n",
            "; required\n#login_url =\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn each_key_of_the_example_is_one_of_the_hub() {
        let mut section = String::new();
        let mut count = 0;
        for line in example().lines().filter_map(|line| line.strip_prefix('#')) {
            if line.starts_with('[') {
                section = line.to_owned();
            } else if let Some((name, value)) = line.split_once(" =").filter(|(name, _)| !name.contains(' ')) {
                count += 1;
                let value = if value.is_empty() { " \"env:PATH\"" } else { value };
                let table = toml::from_str(&format!("{section}\n{name} ={value}\n")).unwrap();
                let wrong = ConfigFile::from_table(table).err().unwrap_or_default();
                assert!(!wrong.contains("unknown field"), "{section} {name}: {wrong}");
            }
        }
        assert!(count > 100, "{count}");
    }

    #[test]
    fn links_lose_their_address() {
        assert_eq!(plain("see [below](#x), or [docs/a.md](a.md)"), "see below, or docs/a.md");
        assert_eq!(plain("`[\"a\"]` is a list"), "`[\"a\"]` is a list");
        assert_eq!(plain("plain"), "plain");
    }
}
