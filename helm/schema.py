"""Makes the part `config` of helm/opshub/values.schema.json from docs/configuration.md.

The page names every key of the hub, so the chart takes exactly those: `scripts/chart write`. Types
follow from what the page says: a default of `true` is a truth value, "by reference" is a secret. What
it does not say, because the default is nothing, stands in the lists below.
"""

import copy
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "configuration.md"
SCHEMA = ROOT / "helm" / "opshub" / "values.schema.json"

# Sections that are handed through; the chart writes the others itself.
SECTIONS = ("engine", "outputs", "commands", "connectors")
# Lists of texts whose default does not show it.
LISTS = (
    "commands.enabled",
    "connectors.mappings",
    "connectors.oracle.kafka.topics",
    "connectors.oracle.list.tables",
    "connectors.oracle.queue.topics",
    "connectors.sap.event_origins",
    "connectors.sap.list.sets",
)
# Tables with names of somebody else's.
TABLES = (
    "connectors.oracle.kafka.properties",
    "connectors.oracle.kafka.secrets",
    "outputs.kafka.properties",
    "outputs.kafka.secrets",
)
# Webhooks have a new and an old secret while one is replaced.
SECRETS_MAX = 2
# Whole numbers below which nothing works; others begin at 0.
AT_LEAST_1 = ("engine.shards", "engine.batch_max", "outputs.kafka.partitions")
# Texts of which there are only these.
WORDS = {"connectors.zendesk.export.streams": ["tickets", "organizations", "users"]}

ROW = re.compile(r"^\| `([a-z_.]+)` \|(.*?)\| (.*?) \|$", re.MULTILINE)
SPAN = "^([0-9]+(ms|s|m|h|d))+$"
TITLES = {
    "engine": "How the engine works",
    "outputs": "Where actions and events go",
    "outputs.webhook": "A web address that takes actions",
    "outputs.kafka": "Topics that events are written to",
    "commands": "Commands that systems carry out themselves; none until it is enabled",
    "commands.sap": "The organisation's service for commands to SAP",
    "commands.wxcc": "The flows that ask before they transfer",
    "connectors": "The sources; one that is absent is not connected",
    "connectors.salesforce": "Salesforce: change events from the bus, records by REST",
    "connectors.oracle": "Oracle receivables",
    "connectors.wxcc": "Webex Contact Center",
    "connectors.sap": "SAP field service",
    "connectors.zendesk": "Zendesk",
}


def plain(text):
    """Markdown as text."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).replace("`", "").strip()


def leaf(key, default, meaning):
    """The schema of one key."""
    text = plain(meaning)
    described = text[0].upper() + text[1:]
    if default and not default.startswith("required"):
        described += f" (default: {plain(default)})"
    name, is_secret = key.rsplit(".", 1)[1], "by reference" in meaning
    bare = default.strip("`")
    if key in TABLES:
        own = {"type": "object", "additionalProperties": {"type": "string"}}
    elif key in WORDS:
        own = {"type": "array", "items": {"type": "string", "enum": WORDS[key]}, "minItems": 1, "uniqueItems": True}
    elif is_secret and name == "secrets":
        items = {"description": "A secret, by reference", "type": "string"}
        own = {"type": "array", "items": items, "minItems": 1, "maxItems": SECRETS_MAX}
    elif key in LISTS or bare.startswith("["):
        own = {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True}
    elif bare in ("true", "false"):
        own = {"type": "boolean"}
    elif bare.isdigit():
        own = {"type": "integer", "minimum": 1 if key in AT_LEAST_1 else 0}
    elif re.match(SPAN, bare):
        own = {"type": "string", "pattern": SPAN}
    elif is_secret:
        # No pattern: Helm would repeat what was written. The chart's templates look at references.
        own = {"type": "string"}
    elif name == "url" or name.endswith("_url"):
        own = {"type": "string", "pattern": "^https?://[^\\s]+$"}
    else:
        own = {"type": "string", "minLength": 1}
    return {"description": described, **own}


def section(path):
    title = TITLES.get(path, f"Keys of {path}")
    return {"description": title, "type": "object", "additionalProperties": False, "properties": {}}


def config():
    """The sections of the hub's configuration, as schemas by name."""
    root = {"properties": {}}
    borrowed = []
    for key, default, meaning in ROW.findall(PAGE.read_text()):
        parts, default = key.split("."), default.strip()
        if parts[0] not in SECTIONS:
            continue
        at = root
        for i, part in enumerate(parts[:-1]):
            at = at["properties"].setdefault(part, section(".".join(parts[: i + 1])))
        same = re.search(r"with the keys of `([a-z_.]+)`", meaning)
        if same:
            borrowed.append((at, parts[-1], same[1], plain(meaning)))
            continue
        at["properties"][parts[-1]] = leaf(key, default, meaning)
        if default.startswith("required") and "without" not in default:
            at["required"] = sorted([*at.get("required", []), parts[-1]])
    for at, name, source, meaning in borrowed:
        at["properties"][name] = {**copy.deepcopy(found(root, source)), "description": meaning[0].upper() + meaning[1:]}
    return root["properties"]


def found(schema, key):
    for part in key.split("."):
        schema = schema["properties"][part]
    return schema


def made():
    """The whole schema as it should be."""
    schema = json.loads(SCHEMA.read_text())
    schema["properties"]["config"]["properties"] = config()
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(made())
    print(f"wrote {SCHEMA.relative_to(ROOT)}")
