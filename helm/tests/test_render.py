"""What the chart makes is well-formed, fits the schemas of Kubernetes, and hangs together."""

import json
import sys
import tomllib
import unittest

import helm_python
import kubernetes_validate
import yaml

import chart

sys.path.insert(0, str(chart.ROOT / "helm"))
import readme  # noqa: E402  (both lie beside this folder)
import schema  # noqa: E402

# Kinds of the Prometheus operator, which Kubernetes has no schema of.
OPERATOR = {"ServiceMonitor", "PrometheusRule"}


def leaves(part, path=""):
    """Every key of a schema with its part, deepest last."""
    for name, below in part.get("properties", {}).items():
        key = f"{path}.{name}" if path else name
        yield key, below
        yield from leaves(below, key)
        yield from leaves(below.get("items", {}), f"{key}[]")


class Render(unittest.TestCase):
    def schema(self):
        return json.loads((chart.CHART / "values.schema.json").read_text())

    def test_strict_lint_finds_nothing(self):
        for name in chart.VALUES:
            with self.subTest(name):
                told = helm_python.lint(chart.CHART, chart.values(name), strict=True)
                worse = [one for one in told["messages"] if "icon" not in json.dumps(one)]
                self.assertEqual(worse, [])

    def test_objects_fit_the_schemas_of_kubernetes(self):
        for name in chart.VALUES:
            for one in chart.objects(name):
                if one["kind"] not in OPERATOR:
                    with self.subTest(values=name, kind=one["kind"], name=one["metadata"]["name"]):
                        kubernetes_validate.validate(one, "1.37.0", strict=True)

    def test_objects_fit_the_oldest_version_that_the_chart_names(self):
        for one in chart.objects("full"):
            if one["kind"] not in OPERATOR:
                kubernetes_validate.validate(one, "1.27", strict=True)

    def test_every_object_stands_in_the_release_under_its_own_name(self):
        for name in chart.VALUES:
            found = chart.objects(name)
            names = [(one["kind"], one["metadata"]["name"]) for one in found]
            self.assertEqual(len(names), len(set(names)), names)
            for one in found:
                self.assertEqual(one["metadata"]["namespace"], chart.NAMESPACE)
                self.assertEqual(one["metadata"]["labels"]["app.kubernetes.io/instance"], chart.RELEASE)

    def test_services_lead_to_ports_of_the_pod(self):
        for name in chart.VALUES:
            found = chart.objects(name)
            template = chart.only(found, "StatefulSet")["spec"]["template"]
            ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
            services = chart.of_kind(found, "Service")
            for service in services:
                self.assertLessEqual(service["spec"]["selector"].items(), template["metadata"]["labels"].items())
                self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, ports)
            governing = chart.only(found, "StatefulSet")["spec"]["serviceName"]
            (headless,) = [one for one in services if one["metadata"]["name"] == governing]
            self.assertEqual(headless["spec"]["clusterIP"], "None")

    def test_the_test_pod_is_no_hub(self):
        labels = chart.only(chart.objects("tokens"), "Pod")["metadata"]["labels"]
        selector = chart.only(chart.objects("tokens"), "StatefulSet")["spec"]["selector"]["matchLabels"]
        self.assertFalse(selector.items() <= labels.items(), "the API's service would lead to the test")

    def test_without_tls_the_api_is_on_loopback_and_has_no_service(self):
        found = chart.objects("minimal")
        self.assertEqual(tomllib.loads(chart.configuration(found))["api"], {"listen": "127.0.0.1:7400"})
        self.assertEqual(len(chart.of_kind(found, "Service")), 1)
        self.assertIn("port-forward", chart.render(chart.values("minimal"))["opshub/templates/NOTES.txt"])

    def test_the_configuration_says_what_the_values_say(self):
        given = chart.values("connectors")["config"]
        made = tomllib.loads(chart.configuration(chart.objects("connectors")))
        for section, wanted in given.items():
            self.assertEqual(made[section], wanted)
        self.assertEqual(made["doors"], {"listen": "0.0.0.0:7401", "behind_proxy": True})
        jwt = tomllib.loads(chart.configuration(chart.objects("jwt")))["api"]["jwt"]
        self.assertEqual((jwt["roles_claim"], jwt["keys"]), ("realm_access.roles", "/etc/opshub/credentials/jwt/keys"))

    def test_the_servers_of_the_store_are_what_the_values_say(self):
        made = tomllib.loads(chart.configuration(chart.objects("distributed")))["store"]
        given, servers = chart.values("distributed")["distributed"], made["distributed"]
        self.assertEqual(set(made), {"distributed"}, "no folder beside servers")
        self.assertEqual((servers["brokers"], servers["redis"]), (",".join(given["brokers"]), given["redis"]))
        self.assertEqual((servers["name"], servers["replicas"], servers["silence_max"]), ("customers", 3, "15s"))
        self.assertEqual(servers["partitions"], 64)
        self.assertEqual(servers["redis_password"], "file:/etc/opshub/servers/redis")
        self.assertEqual(servers["secrets"], {"sasl.password": "file:/etc/opshub/servers/kafka/sasl.password"})
        self.assertEqual(servers["properties"], {**given["properties"], "ssl.ca.location": "/etc/opshub/servers/ca"})

    def test_pods_that_lead_callers_to_the_owner_know_its_authority(self):
        made = tomllib.loads(chart.configuration(chart.objects("distributed")))["store"]["distributed"]
        self.assertEqual(made["advertise_ca"], "/etc/opshub/credentials/tls/ca")
        given = {**chart.values("distributed"), "api": {}}
        on_loopback = tomllib.loads(chart.configuration(chart.objects_of(given)))["store"]["distributed"]
        self.assertNotIn("advertise_ca", on_loopback)

    def test_another_configuration_is_another_pod_and_an_equal_one_is_not(self):
        def digest(given):
            template = chart.only(chart.objects_of(given), "StatefulSet")["spec"]["template"]
            return template["metadata"]["annotations"]["opshub/config-digest"]

        self.assertEqual(digest({}), digest({"resources": {"limits": {"memory": "5Gi"}}}))
        self.assertNotEqual(digest({}), digest({"config": {"engine": {"shards": 2}}}))

    def test_what_is_mounted_is_what_the_configuration_names(self):
        for name in chart.VALUES:
            found = chart.objects(name)
            spec = chart.only(found, "StatefulSet")["spec"]["template"]["spec"]
            claims = chart.only(found, "StatefulSet")["spec"].get("volumeClaimTemplates", [])
            volumes = {one["name"] for one in spec["volumes"]} | {one["metadata"]["name"] for one in claims}
            mounts = {one["name"]: one["mountPath"] for one in spec["containers"][0]["volumeMounts"]}
            self.assertEqual(set(mounts), volumes)
            files = set()
            for volume in spec["volumes"]:
                for source in volume.get("projected", {}).get("sources", []):
                    for item in source["secret"]["items"]:
                        files.add(f"{mounts[volume['name']]}/{item['path']}")
            text = chart.configuration(found)
            for file in files:
                self.assertIn(file, text)

    def test_every_key_is_described_and_takes_no_unknown_one(self):
        for key, part in leaves(self.schema()):
            self.assertTrue(part.get("description"), f"{key} has no description")
            if "properties" in part and key not in ("pod.affinity",):
                self.assertIs(part.get("additionalProperties"), False, f"{key} takes unknown keys")

    def test_every_default_is_in_the_schema_and_every_key_of_it_has_one(self):
        given = yaml.safe_load((chart.CHART / "values.yaml").read_text())
        for key, part in leaves(self.schema()):
            parts = key.split(".")
            if "[]" in key or parts[0] == "global" or len(parts) > 1 and key.startswith(("config.", "api.jwt.")):
                continue
            value = given
            for one in parts:
                if one in ("cpu", "ephemeral-storage"):
                    break
                self.assertIn(one, value, f"{key} has no default")
                value = value[one]

    def test_config_has_the_keys_of_the_documentation(self):
        known = {key for key, _ in leaves(self.schema()["properties"]["config"])}
        self.assertEqual(chart.documented_keys() - known, set())
        self.assertEqual(schema.SCHEMA.read_text(), schema.made(), "run scripts/chart write")

    def test_the_readme_is_current(self):
        self.assertEqual(readme.README.read_text(), readme.made(), "run scripts/chart write")


if __name__ == "__main__":
    unittest.main()
