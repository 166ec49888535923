"""Makes helm/opshub/README.md from the chart's values and their schema: `scripts/chart write`."""

import json
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parent / "opshub"
README = CHART / "README.md"

HEAD = """# opshub

The hub on Kubernetes: one pod with its own volume, or several on Kafka and Redis; an API with TLS, doors for sources that push, metrics with rules and dashboards. This page is made from `values.yaml` and `values.schema.json` by `scripts/chart write`; docs/deployment.md of the source tree says how to install, upgrade, back up and size it.

```sh
helm install hub ./helm/opshub                      # API on the pod's loopback, no source: to look around
helm install hub ./helm/opshub --values my.yaml     # with TLS, callers and sources
helm test hub                                       # asks the API, once it has TLS, whether it serves
```

No key takes a secret. `existingSecret` names a secret of the namespace, and `config` refers to what `secrets` mounts: `env:NAME` or `file:/etc/opshub/secrets/PATH`.

## Values
"""


def shown(value):
    """A default as it is written in YAML, on one line."""
    return f"`{json.dumps(value)}`" if value not in ("", [], {}) else ""


def rows(schema, values, path):
    """Key, default and description of everything below a key."""
    for name, part in schema.get("properties", {}).items():
        key = f"{path}.{name}" if path else name
        default = values.get(name, "") if isinstance(values, dict) else ""
        yield f"| `{key}` | {'' if part.get('properties') else shown(default)} | {part['description']} |"
        if path != "config" and part.get("properties"):
            yield from rows(part, default or {}, key)
        entry = part.get("items", {})
        if entry.get("properties") and name not in ("dns", "api", "doors", "metrics", "kafka", "redis", "egress"):
            yield from rows(entry, {}, f"{key}[]")


def made():
    """The page as it should be."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    lines = [HEAD.rstrip(), ""]
    lines += ["| key | default | meaning |", "|---|---|---|", *rows(schema, values, "")]
    lines += [
        "",
        "Below `config` stand the keys that docs/configuration.md names, under the same names; "
        "the schema has each with its description.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    README.write_text(made())
    print(f"wrote {README.relative_to(CHART.parents[1])}")
