"""Metrics that the hub really has, read from its sources: names, kinds and labels."""

import re
from dataclasses import dataclass, field

import chart

CRATES = ("engine/serve/src", "engine/storage/src", "engine/hub/src", "connectors/src")
# Labels that scraping adds, and the label of a histogram's buckets.
SCRAPED = {"namespace", "job", "pod", "instance"}

LISTED = re.compile(
    r'Metric \{\s*name: "(opshub_\w+)",\s*kind: MetricKind::(\w+)[^,]*,.*?labels: &\[(.*?)\]', re.DOTALL
)
NAMED = re.compile(r'const (\w+): &str = "(opshub_\w+)"')
RECORDED = re.compile(r'\b(counter|gauge|histogram)!\(\s*("opshub_\w+"|[A-Z_]+|name)\s*(,[^;]*?)?\)\s*\.', re.DOTALL)
LABEL = re.compile(r'"(\w+)"\s*=>')


@dataclass
class Metric:
    """What may be asked of a metric."""

    kind: str
    labels: set = field(default_factory=set)
    has_buckets: bool = False


def known():
    """Every metric by its name on the page; a histogram by the names of its parts."""
    found = {}
    for crate in CRATES:
        for path in sorted((chart.ROOT / crate).rglob("*.rs")):
            text = path.read_text().split("#[cfg(test)]")[0]
            for name, kind, labels in LISTED.findall(text):
                found[name] = Metric(kind.lower(), set(re.findall(r'"(\w+)"', labels)), kind == "Histogram")
            names = dict(NAMED.findall(text))
            passed = re.findall(r'gauge\("(opshub_\w+)"', text)
            for kind, name, rest in RECORDED.findall(text):
                for one in passed if name == "name" else [names.get(name, name.strip('"'))]:
                    metric = found.setdefault(one, Metric(kind))
                    metric.labels |= set(LABEL.findall(rest))
    return parts(found)


def parts(found):
    """A histogram as Prometheus sees it: buckets, or quantiles where it has no bounds."""
    seen = {"up": Metric("gauge")}
    for name, metric in found.items():
        if metric.kind != "histogram":
            seen[name] = metric
            continue
        for ending in ("_sum", "_count"):
            seen[name + ending] = Metric("counter", metric.labels)
        if metric.has_buckets:
            seen[name + "_bucket"] = Metric("counter", metric.labels | {"le"})
        else:
            seen[name] = Metric("gauge", metric.labels | {"quantile"})
    return seen


SELECTOR = re.compile(r"\b(up|opshub[a-z_0-9:]*)\b(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
COUNTED = re.compile(r"\b(?:rate|increase|irate)\(\s*(opshub\w+)")


def problems(expr, metrics, recorded):
    """What is wrong with an expression, in words: unknown metrics, labels, or a rate of a gauge."""
    told, labels = [], set(SCRAPED)
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr)
    for name, matchers in SELECTOR.findall(bare):
        if name in recorded:
            continue
        if name not in metrics:
            told.append(f"{name} is no metric of the hub")
            continue
        labels |= metrics[name].labels
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            if label not in metrics[name].labels | SCRAPED:
                told.append(f"{name} has no label {label}")
        if "job" not in matchers:
            told.append(f"{name} is asked of every hub: select a job")
    for group in GROUPED.findall(bare):
        told += [f"no metric of it has the label {one}" for one in re.split(r"[,\s]+", group) if one and one not in labels]
    told += [f"{name} is a gauge and has no rate" for name in COUNTED.findall(bare) if metrics.get(name, Metric("counter")).kind == "gauge"]
    return told
