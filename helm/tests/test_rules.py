"""Alert rules fire and clear, and ask for metrics that exist."""

import re
import shutil
import tempfile
import unittest
from pathlib import Path

import yaml

import chart
import series

RULES = sorted((chart.CHART / "rules").glob("*.yaml"))
CASES = Path(__file__).parent / "rules"
SELECTOR = 'namespace="ops",job="customer-hub-headless"'


def rules(path):
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


class Rules(unittest.TestCase):
    def setUp(self):
        self.promtool = chart.program("promtool", "the check of rules")

    def test_every_rule_fires_and_clears(self):
        for path in RULES:
            with self.subTest(path.stem), tempfile.TemporaryDirectory() as folder:
                shutil.copy(path, folder)
                cases = shutil.copy(CASES / path.name, Path(folder) / "cases.yaml")
                code, told = chart.run(self.promtool, "test", "rules", str(cases))
                self.assertEqual(code, 0, told)

    def test_there_is_a_case_for_every_alert_firing_and_silent(self):
        for path in RULES:
            cases = yaml.safe_load((CASES / path.name).read_text())["tests"]
            fired, cleared = set(), set()
            for case in cases:
                names = set()
                for test in case["promql_expr_test"]:
                    for sample in test["exp_samples"]:
                        names |= set(re.findall(r'alertname="(\w+)"', sample["labels"]))
                fired |= names
                if not case["promql_expr_test"][-1]["exp_samples"]:
                    cleared |= names
            alerts = {rule["alert"] for rule in rules(path) if "alert" in rule}
            self.assertEqual((alerts - fired, alerts - cleared), (set(), set()))

    def test_rendered_rules_are_good_and_ask_this_release_only(self):
        rule = chart.only(chart.objects("full"), "PrometheusRule")
        path = chart.written(yaml.safe_dump(rule["spec"]), ".yaml")
        code, told = chart.run(self.promtool, "check", "rules", path)
        Path(path).unlink()
        self.assertEqual(code, 0, told)
        made = [one for group in rule["spec"]["groups"] for one in group["rules"]]
        self.assertEqual(len(made), sum(len(rules(path)) for path in RULES))
        for one in made:
            self.assertNotIn('job="opshub"', one["expr"])
            self.assertEqual(one["expr"].count("job=") , one["expr"].count(SELECTOR), one["expr"])

    def test_they_ask_for_what_the_hub_tells(self):
        metrics = series.known()
        recorded = {rule["record"] for path in RULES for rule in rules(path) if "record" in rule}
        for path in RULES:
            for rule in rules(path):
                name = rule.get("alert", rule.get("record"))
                self.assertEqual(series.problems(rule["expr"], metrics, recorded), [], name)

    def test_every_alert_says_how_bad_it_is_and_what_to_do(self):
        for path in RULES:
            for rule in rules(path):
                if "alert" in rule:
                    self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
                    self.assertLessEqual({"summary", "action"}, rule["annotations"].keys(), rule["alert"])

    def test_the_scrape_leads_to_the_job_that_the_rules_ask_for(self):
        found = chart.objects("full")
        monitor = chart.only(found, "ServiceMonitor")["spec"]
        wanted = monitor["selector"]["matchLabels"].items()
        chosen = [one for one in chart.of_kind(found, "Service") if wanted <= one["metadata"]["labels"].items()]
        self.assertEqual([one["metadata"]["name"] for one in chosen], ["customer-hub-headless"])
        ports = {port["name"] for port in chosen[0]["spec"]["ports"]}
        self.assertLessEqual({endpoint["port"] for endpoint in monitor["endpoints"]}, ports)


class Problems(unittest.TestCase):
    """The check itself finds what is wrong."""

    def test_what_is_wrong_is_found(self):
        metrics = series.known()
        for expr, expected in [
            ('opshub_customrs{job="x"}', "no metric"),
            ('rate(opshub_customers{job="x"}[5m])', "no rate"),
            ('opshub_rpc_total{job="x", source="sap"}', "no label source"),
            ('sum by (system) (opshub_rpc_total{job="x"})', "label system"),
            ("opshub_customers", "every hub"),
            ('opshub_log_block_bytes_bucket{job="x"}', "no metric"),
        ]:
            told = series.problems(expr, metrics, set())
            self.assertTrue(any(expected in one for one in told), (expr, told))
        good = 'sum by (method) (rate(opshub_rpc_total{job="x", code=~"Internal|Unknown"}[5m]))'
        self.assertEqual(series.problems(good, metrics, set()), [])


if __name__ == "__main__":
    unittest.main()
