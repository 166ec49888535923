"""What pods may do, field by field, whatever the values say."""

import unittest

import chart

# What the chart itself tells the hub: its name, where it is, and whose certificates it believes.
OWN = (
    "OPSHUB_STORE__DISTRIBUTED__MEMBER",
    "OPSHUB_STORE__DISTRIBUTED__ADVERTISE",
    "OPSHUB_STORE__DISTRIBUTED__ADVERTISE_DOORS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


class Pods(unittest.TestCase):
    def each(self, check):
        """Looks at every container of every pod; says which one is wrong."""
        for name in chart.VALUES:
            for pod, spec in chart.pod_specs(chart.objects(name)):
                for container in spec["containers"] + spec.get("initContainers", []):
                    with self.subTest(values=name, pod=pod, container=container["name"]):
                        check(spec, container)

    def test_they_run_as_nobody(self):
        def check(spec, container):
            pod, own = spec["securityContext"], container["securityContext"]
            self.assertEqual((pod["runAsNonRoot"], pod["runAsUser"], pod["runAsGroup"]), (True, 65532, 65532))
            self.assertIs(own["runAsNonRoot"], True)
            self.assertFalse({"runAsUser", "runAsGroup", "procMount"} & own.keys())

        self.each(check)

    def test_they_can_gain_nothing(self):
        def check(_, container):
            own = container["securityContext"]
            self.assertEqual((own["allowPrivilegeEscalation"], own["privileged"]), (False, False))
            self.assertEqual(own["capabilities"], {"drop": ["ALL"]})

        self.each(check)

    def test_their_root_is_read_only_and_their_calls_are_filtered(self):
        def check(spec, container):
            self.assertIs(container["securityContext"]["readOnlyRootFilesystem"], True)
            for where in (spec, container):
                self.assertEqual(where["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})

        self.each(check)

    def test_they_hold_no_token_of_the_cluster(self):
        def check(spec, _):
            self.assertIs(spec["automountServiceAccountToken"], False)
            self.assertIs(spec["enableServiceLinks"], False)

        self.each(check)
        for name in chart.VALUES:
            found = chart.objects(name)
            for account in chart.of_kind(found, "ServiceAccount"):
                self.assertIs(account["automountServiceAccountToken"], False)
            kinds = {one["kind"] for one in found}
            self.assertFalse(kinds & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})

    def test_they_share_nothing_with_the_node(self):
        def check(spec, container):
            self.assertFalse({"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys())
            self.assertTrue(all("hostPort" not in port for port in container.get("ports", [])))
            kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
            self.assertLessEqual(kinds, {"configMap", "projected", "emptyDir"})

        self.each(check)

    def test_only_store_and_tmp_can_be_written(self):
        def check(spec, container):
            writable = {one["name"] for one in container["volumeMounts"] if not one.get("readOnly")}
            self.assertLessEqual(writable, {"store", "tmp"})
            for volume in spec["volumes"]:
                self.assertTrue("emptyDir" not in volume or "sizeLimit" in volume["emptyDir"])

        self.each(check)

    def test_they_have_bounds(self):
        def check(_, container):
            resources = container["resources"]
            self.assertIn("memory", resources["limits"])
            self.assertLessEqual({"cpu", "memory"}, resources["requests"].keys())

        self.each(check)

    def test_images_are_pinned(self):
        def check(_, container):
            self.assertRegex(container["image"], r"(:[0-9A-Za-z_.-]+|@sha256:[0-9a-f]{64})$")
            self.assertFalse(container["image"].endswith(":latest"))

        self.each(check)

    def test_secrets_come_by_name_and_none_is_made(self):
        def check(spec, container):
            for one in container.get("env", []):
                if one["name"] in OWN:
                    self.assertNotIn("secretKeyRef", one.get("valueFrom", {}))
                else:
                    self.assertEqual(set(one["valueFrom"]), {"secretKeyRef"})
            for volume in spec["volumes"]:
                self.assertTrue("projected" not in volume or volume["projected"]["defaultMode"] == 0o440)

        self.each(check)
        for name in chart.VALUES:
            self.assertEqual(chart.of_kind(chart.objects(name), "Secret"), [])


class Hub(unittest.TestCase):
    def spec(self, name):
        return chart.only(chart.objects(name), "StatefulSet")["spec"]

    def test_one_pod_with_a_volume_that_outlives_it(self):
        embedded = [name for name in chart.VALUES if name != "distributed"]
        for name in embedded:
            spec = self.spec(name)
            self.assertEqual(spec["replicas"], 1)
            (claim,) = spec["volumeClaimTemplates"]
            self.assertIn(claim["spec"]["accessModes"], (["ReadWriteOnce"], ["ReadWriteOncePod"]))
        retained = {name: self.spec(name)["persistentVolumeClaimRetentionPolicy"] for name in embedded}
        self.assertEqual(retained["minimal"], {"whenDeleted": "Retain", "whenScaled": "Retain"})
        self.assertEqual(retained["full"]["whenDeleted"], "Delete")

    def test_pods_on_servers_hold_nothing_and_take_turns_under_their_names(self):
        spec = self.spec("distributed")
        self.assertFalse({"volumeClaimTemplates", "persistentVolumeClaimRetentionPolicy"} & spec.keys())
        self.assertNotIn("replicas", spec, "the autoscaler says how many")
        fixed = chart.values("distributed")
        fixed["distributed"]["autoscaling"]["enabled"] = False
        found = chart.objects_of(fixed)
        self.assertEqual(chart.only(found, "StatefulSet")["spec"]["replicas"], 3)
        self.assertEqual(chart.of_kind(found, "HorizontalPodAutoscaler"), [])
        pod = spec["template"]["spec"]
        member = pod["containers"][0]["env"][0]
        self.assertEqual(member["valueFrom"], {"fieldRef": {"fieldPath": "metadata.name"}})
        told = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        own = "$(OPSHUB_STORE__DISTRIBUTED__MEMBER).hub-opshub-headless.ops.svc"
        self.assertEqual(told["OPSHUB_STORE__DISTRIBUTED__ADVERTISE"], f"{own}:7400")
        self.assertEqual(told["OPSHUB_STORE__DISTRIBUTED__ADVERTISE_DOORS"], f"{own}:7401")
        spread = {one["topologyKey"] for one in pod["topologySpreadConstraints"]}
        self.assertEqual(spread, {"topology.kubernetes.io/zone", "kubernetes.io/hostname"})

    def test_the_autoscaler_stays_between_what_was_written(self):
        scaler = chart.only(chart.objects("distributed"), "HorizontalPodAutoscaler")["spec"]
        self.assertEqual((scaler["minReplicas"], scaler["maxReplicas"]), (3, 5))
        self.assertEqual(scaler["scaleTargetRef"]["name"], chart.only(chart.objects("distributed"), "StatefulSet")["metadata"]["name"])

    def test_three_probes_ask_the_page_that_needs_no_tls(self):
        for name in chart.VALUES:
            container = self.spec(name)["template"]["spec"]["containers"][0]
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                self.assertEqual(container[probe]["httpGet"], {"path": "/healthz", "port": "metrics"})
        startup = [self.spec(name)["template"]["spec"]["containers"][0]["startupProbe"] for name in ("minimal", "full")]
        self.assertEqual([one["periodSeconds"] * one["failureThreshold"] for one in startup], [1200, 3600])

    def test_it_has_time_to_drain(self):
        # The hub's own bound is 20 s, and one more for threads (engine/hub/src/commands/serve.rs).
        source = (chart.ROOT / "engine/hub/src/commands/serve.rs").read_text()
        self.assertIn("DRAIN_MAX: Duration = Duration::from_secs(20)", source)
        self.assertGreater(self.spec("minimal")["template"]["spec"]["terminationGracePeriodSeconds"], 21)

    def test_a_drained_node_is_held_up_only_when_asked(self):
        allowed = {
            name: chart.only(chart.objects(name), "PodDisruptionBudget")["spec"]["maxUnavailable"]
            for name in ("minimal", "full", "distributed")
        }
        self.assertEqual(allowed, {"minimal": 1, "full": 0, "distributed": 1})


class Network(unittest.TestCase):
    def policy(self, name):
        return chart.only(chart.objects(name), "NetworkPolicy")["spec"]

    def test_what_is_not_named_is_denied(self):
        for name in chart.VALUES:
            policy = self.policy(name)
            self.assertEqual(policy["policyTypes"], ["Ingress", "Egress"])
            labels = self.labels(name)
            self.assertLessEqual(policy["podSelector"]["matchLabels"].items(), labels.items())
            for rule in policy["ingress"]:
                self.assertTrue(rule["from"] and rule["ports"], "a rule without peers or ports lets everybody in")
            for rule in policy["egress"]:
                self.assertTrue(rule["to"] and rule["ports"], "a rule without peers or ports lets it go anywhere")

    def labels(self, name):
        return chart.only(chart.objects(name), "StatefulSet")["spec"]["template"]["metadata"]["labels"]

    def test_by_default_nobody_comes_in_and_only_names_are_asked_for(self):
        policy = self.policy("minimal")
        self.assertEqual(policy["ingress"], [])
        (rule,) = policy["egress"]
        self.assertEqual([port["port"] for port in rule["ports"]], [53, 53])

    def test_each_port_has_its_own_callers(self):
        rules = {rule["ports"][0]["port"]: rule["from"] for rule in self.policy("full")["ingress"]}
        self.assertEqual(set(rules), {"grpc", "doors", "metrics"})
        self.assertEqual([one for one in rules["metrics"]], chart.values("full")["networkPolicy"]["metrics"])
        own = rules["grpc"][0]["podSelector"]["matchLabels"]
        test = chart.only(chart.objects("full"), "Pod")["metadata"]["labels"]
        self.assertLessEqual(own.items(), test.items(), "the chart's own test may call")

    def test_pods_on_servers_reach_these_and_each_other(self):
        policy, given = self.policy("distributed"), chart.values("distributed")["networkPolicy"]
        _, kafka, redis, own = policy["egress"]
        self.assertEqual((kafka["to"], [port["port"] for port in kafka["ports"]]), (given["kafka"], [9093]))
        self.assertEqual((redis["to"], [port["port"] for port in redis["ports"]]), (given["redis"], [6379, 6380]))
        labels = self.labels("distributed")
        self.assertLessEqual(own["to"][0]["podSelector"]["matchLabels"].items(), labels.items())
        entered = {rule["ports"][0]["port"]: rule["from"] for rule in policy["ingress"]}
        for port in ("grpc", "doors"):
            self.assertIn(own["to"][0], entered[port], "whoever does not own the store leads callers to who does")

    def test_where_the_hub_may_go_is_what_was_written(self):
        self.assertEqual(self.policy("connectors")["egress"][1:], chart.values("connectors")["networkPolicy"]["egress"])


if __name__ == "__main__":
    unittest.main()
