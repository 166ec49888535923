//! As much of JSON Schema as the contract of the topics uses, and stricter in one thing: a field that
//! the schema does not name is refused.

use serde_json::Value;

/// Whether a value is as its schema says; where it is not, if so.
pub fn check(schema: &Value, root: &Value, value: &Value, at: &str) -> Result<(), String> {
    for (keyword, told) in schema.as_object().unwrap() {
        let is_kept = match keyword.as_str() {
            "$ref" => {
                let below = root.pointer(&told.as_str().unwrap()[1..]).unwrap();
                check(below, root, value, at)?;
                true
            }
            "oneOf" => {
                let ways: Vec<_> = told.as_array().unwrap().iter().map(|way| check(way, root, value, at)).collect();
                if ways.iter().filter(|way| way.is_ok()).count() != 1 {
                    return Err(format!("{at}: {ways:?}"));
                }
                true
            }
            "type" => is_of(value, told.as_str().unwrap()),
            "const" => value == told,
            "enum" => told.as_array().unwrap().contains(value),
            "pattern" => value.as_str().is_some_and(|text| text.starts_with(&told.as_str().unwrap()[1..])),
            "minLength" => value.as_str().is_some_and(|text| text.len() as u64 >= told.as_u64().unwrap()),
            "maxLength" => value.as_str().is_some_and(|text| text.len() as u64 <= told.as_u64().unwrap()),
            "required" => told.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(told, root, item, &format!("{at}[{i}]"))?;
                }
                true
            }
            "properties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    let named = told.get(name).ok_or_else(|| format!("{at}.{name} is not in the schema"))?;
                    check(named, root, field, &format!("{at}.{name}"))?;
                }
                true
            }
            "format" | "$defs" | "$schema" | "title" => true,
            other => panic!("the schema uses {other}, which is not checked here"),
        };
        if !is_kept {
            return Err(format!("{at} is {value}, against {keyword} {told}"));
        }
    }
    Ok(())
}

fn is_of(value: &Value, name: &str) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => name == "number" || (name == "integer" && !number.is_f64()),
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}
