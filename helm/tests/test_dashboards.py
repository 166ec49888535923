"""Dashboards are whole, and their queries ask for metrics that exist."""

import itertools
import json
import unittest
from pathlib import Path

import yaml

import chart
import series

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((chart.CHART / "dashboards").glob("*.json"))}
# What Grafana puts in place of its variables.
FILLED = {"$namespace": "ops", "$job": "hub-headless", "$__rate_interval": "5m", "$__range": "1h"}


def queries():
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                expr = target["expr"]
                for variable, text in FILLED.items():
                    expr = expr.replace(variable, text)
                yield f"{name}: {panel['title']}", expr


class Dashboards(unittest.TestCase):
    def test_queries_ask_for_what_the_hub_tells(self):
        metrics = series.known()
        for where, expr in queries():
            self.assertEqual(series.problems(expr, metrics, set()), [], where)
            self.assertNotIn("$", expr, where)

    def test_queries_are_good_promql(self):
        promtool = chart.program("promtool", "the check of queries")
        records = [{"record": f"query:{i}", "expr": expr} for i, (_, expr) in enumerate(queries())]
        path = chart.written(yaml.safe_dump({"groups": [{"name": "queries", "rules": records}]}), ".yaml")
        code, told = chart.run(promtool, "check", "rules", path)
        Path(path).unlink()
        self.assertEqual(code, 0, told)

    def test_panels_are_described_and_do_not_overlap(self):
        for name, board in BOARDS.items():
            ids = [panel["id"] for panel in board["panels"]]
            self.assertEqual(len(ids), len(set(ids)))
            for panel in board["panels"]:
                self.assertTrue(panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"])
                self.assertEqual(panel["datasource"]["uid"], "${datasource}")
                self.assertLessEqual(panel["gridPos"]["x"] + panel["gridPos"]["w"], 24)
            for one, other in itertools.combinations([panel["gridPos"] for panel in board["panels"]], 2):
                apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
                below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
                self.assertTrue(apart or below, f"{name}: panels overlap at {one} and {other}")

    def test_variables_choose_one_hub(self):
        for board in BOARDS.values():
            self.assertEqual([one["name"] for one in board["templating"]["list"]], ["datasource", "namespace", "job"])
        self.assertEqual(len({board["uid"] for board in BOARDS.values()}), len(BOARDS))

    def test_the_chart_hands_them_over_as_they_are(self):
        (made,) = [one for one in chart.of_kind(chart.objects("full"), "ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]
        self.assertEqual({name: json.loads(text) for name, text in made["data"].items()}, {f"opshub-{name}.json": board for name, board in BOARDS.items()})


if __name__ == "__main__":
    unittest.main()
