"""Values that cannot work are refused before anything is installed, with a message that helps."""

import copy
import json
import unittest

import helm_python

import chart

TOKEN = {"name": "desk", "roles": ["agent"], "existingSecret": "s", "key": "desk"}
SAP = {"user": "IDOC", "password": "env:SAP"}
SAP_ENV = {"env": [{"name": "SAP", "existingSecret": "sap", "key": "p"}]}
ANY = [{"podSelector": {}}]
OUT = [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443, "protocol": "TCP"}]}]
DESK = {"login_url": "https://a.example", "client_id": "c"}

SERVERS = {
    "brokers": ["kafka:9093"],
    "redis": ["rediss://redis:6379"],
    "redisPassword": {"existingSecret": "s"},
    "properties": {"security.protocol": "SASL_SSL"},
}


def servers(**other):
    """Values of the distributed form with something else about its servers."""
    return {"form": "distributed", "distributed": {**SERVERS, **other}, "networkPolicy": {"kafka": ANY, "redis": ANY}}


# What is refused: a name, the values, and words that the message has to hold.
REFUSED = [
    ("a form that the engine does not have", {"form": "replicated"}, ["form", "embedded"]),
    ("servers without addresses", {"form": "distributed"}, ["distributed.brokers", "distributed.redis"]),
    ("servers beside a volume", {"distributed": SERVERS}, ["form is embedded"]),
    ("a Redis without a password", servers(redisPassword={}), ["distributed.redisPassword.existingSecret"]),
    ("a Redis without TLS", servers(redis=["redis://redis:6379"]), ["redis", "rediss"]),
    ("a broker without a port", servers(brokers=["kafka"]), ["brokers"]),
    ("brokers in plain text", servers(properties={}), ["security.protocol"]),
    (
        "a password among the properties",
        servers(properties={"security.protocol": "SASL_SSL", "sasl.password": "hunter2"}),
        ["distributed.properties.sasl.password", "distributed.secrets"],
    ),
    (
        "a property that is written twice",
        servers(secrets=[{"property": "security.protocol", "existingSecret": "s", "key": "k"}]),
        ["security.protocol twice"],
    ),
    ("one pod that nobody takes over from", servers(replicas=1), ["replicas", "2"]),
    (
        "a scale that ends below its beginning",
        servers(autoscaling={"enabled": True, "replicasMax": 2}),
        ["replicasMax is below"],
    ),
    ("servers that no policy lets the hub reach", {**servers(), "networkPolicy": {}}, ["networkPolicy.kafka"]),
    ("more than one pod", {"replicas": 3}, ["replicas"]),
    ("a misspelt section", {"persistance": {"size": "1Gi"}}, ["persistance"]),
    ("a misspelt key", {"persistence": {"sise": "1Gi"}}, ["persistence", "sise"]),
    ("a size that is no size", {"persistence": {"size": "20 gigs"}}, ["persistence", "size"]),
    ("no size at all", {"persistence": {"size": "0Gi"}}, ["persistence", "size"]),
    ("a volume for many writers", {"persistence": {"accessMode": "ReadWriteMany"}}, ["accessMode", "ReadWriteOnce"]),
    ("a port that is text", {"api": {"port": "7400"}}, ["api", "port", "integer"]),
    ("a port that needs root", {"api": {"port": 443}}, ["/api/port", "got 443", "want"]),
    ("a port beyond the last", {"metrics": {"port": 70000}}, ["/metrics/port", "got 70,000", "want"]),
    ("two listeners on a port", {"metrics": {"port": 7400}}, ["a port of its own"]),
    ("an image without a fixed version", {"image": {"tag": "latest"}}, ["image", "tag"]),
    ("a digest that is none", {"image": {"digest": "sha256:abc"}}, ["image", "digest"]),
    ("a pull policy of one's own", {"image": {"pullPolicy": "Sometimes"}}, ["pullPolicy", "Always"]),
    ("callers without TLS", {"api": {"tokens": [TOKEN]}}, ["api.tls.existingSecret", "over TLS only"]),
    ("TLS without callers", {"api": {"tls": {"existingSecret": "t"}}}, ["api.tokens, api.jwt or api.callers"]),
    (
        "certificates without their authority",
        {"api": {"tls": {"existingSecret": "t"}, "callers": [{"name": "a", "certificate": "a", "roles": ["agent"]}]}},
        ["api.callersCa.existingSecret is missing"],
    ),
    (
        "an authority without certificates",
        {"api": {"tls": {"existingSecret": "t"}, "tokens": [TOKEN], "callersCa": {"existingSecret": "c"}}},
        ["api.callers is missing"],
    ),
    (
        "two callers of one name",
        {"api": {"tls": {"existingSecret": "t"}, "tokens": [TOKEN, TOKEN]}},
        ["api.tokens names desk twice"],
    ),
    (
        "a role that is none",
        {"api": {"tls": {"existingSecret": "t"}, "tokens": [{**TOKEN, "roles": ["root"]}]}},
        ["roles", "auditor"],
    ),
    (
        "a caller without a role",
        {"api": {"tls": {"existingSecret": "t"}, "tokens": [{**TOKEN, "roles": []}]}},
        ["roles"],
    ),
    (
        "a token written down",
        {"api": {"tls": {"existingSecret": "t"}, "tokens": [{**TOKEN, "token": "hunter2"}]}},
        ["tokens", "token"],
    ),
    (
        "a provider without keys",
        {"api": {"tls": {"existingSecret": "t"}, "jwt": {"issuer": "https://id.example"}}},
        ["jwt", "keys"],
    ),
    (
        "tokens signed with a shared secret",
        {
            "api": {
                "tls": {"existingSecret": "t"},
                "jwt": {"issuer": "i", "algorithms": ["HS256"], "keys": {"existingSecret": "k", "key": "k"}},
            }
        },
        ["algorithms", "RS256"],
    ),
    ("a key that the hub does not know", {"config": {"engine": {"shard": 2}}}, ["engine", "shard"]),
    ("a section that the chart writes", {"config": {"store": {"dir": "/data"}}}, ["config", "store"]),
    ("no shard", {"config": {"engine": {"shards": 0}}}, ["shards", "1"]),
    ("a span without a unit", {"config": {"engine": {"grace": "60"}}}, ["engine", "grace"]),
    ("a source without what it needs", {"config": {"connectors": {"salesforce": {}}}}, ["salesforce", "login_url"]),
    (
        "a secret written down",
        {"config": {"connectors": {"sap": {"user": "IDOC", "password": "hunter2"}}}},
        ["config.connectors.sap.password", "by reference", "env:NAME"],
    ),
    (
        "a variable that is not there",
        {"config": {"connectors": {"sap": SAP}}, "doors": {"enabled": True}, "networkPolicy": {"doors": ANY}},
        ["env:SAP", "secrets.env"],
    ),
    (
        "a file that is not there",
        {
            "config": {"connectors": {"salesforce": {**DESK, "client_secret": "file:/etc/opshub/secrets/sf"}}},
            "networkPolicy": {"egress": OUT},
        },
        ["file:/etc/opshub/secrets/sf", "secrets.files"],
    ),
    (
        "a mapping that is not there",
        {"config": {"connectors": {"mappings": ["/etc/opshub/files/sap.toml"]}}},
        ["files.existingConfigMap"],
    ),
    (
        "a variable that sets a key behind the chart's back",
        {"secrets": {"env": [{"name": "OPSHUB_API__LISTEN", "existingSecret": "s", "key": "k"}]}},
        ["env", "name"],
    ),
    (
        "a file outside its folder",
        {"secrets": {"files": [{"path": "../tls/key", "existingSecret": "s", "key": "k"}]}},
        ["files", "path"],
    ),
    ("a door that stays shut", {"config": {"connectors": {"sap": SAP}}, "secrets": SAP_ENV}, ["doors.enabled is false"]),
    ("doors for nobody", {"doors": {"enabled": True}}, ["networkPolicy.doors is empty"]),
    (
        "an ingress in the clear",
        {
            "doors": {"enabled": True, "ingress": {"enabled": True, "host": "hub.example"}},
            "networkPolicy": {"doors": ANY},
        },
        ["doors.ingress needs host and tlsSecret"],
    ),
    (
        "a hub that may go nowhere",
        {"config": {"outputs": {"webhook": {"url": "https://desk.example"}}}},
        ["networkPolicy.egress is empty", "config.outputs.webhook"],
    ),
    (
        "events that may go nowhere",
        {"config": {"outputs": {"kafka": {"brokers": "kafka.example:9093"}}}},
        ["networkPolicy.egress is empty", "config.outputs.kafka"],
    ),
    ("an open rule", {"networkPolicy": {"egress": [{"to": [], "ports": []}]}}, ["egress"]),
    ("metrics for nobody", {"monitoring": {"serviceMonitor": {"enabled": True}}}, ["networkPolicy.metrics is empty"]),
    ("recovery in no time", {"probes": {"startupSecondsMax": 5}}, ["startupSecondsMax", "30"]),
    ("memory in words", {"resources": {"limits": {"memory": "lots"}}}, ["memory"]),
]


class Refused(unittest.TestCase):
    def test_the_list_is_long_and_says_each_thing_once(self):
        names = [name for name, _, _ in REFUSED]
        self.assertGreaterEqual(len(names), 20)
        self.assertEqual(len(names), len(set(names)))

    def test_a_secret_that_is_written_down_is_refused_and_not_repeated(self):
        schema = json.loads((chart.CHART / "values.schema.json").read_text())
        config = schema["properties"]["config"]
        secrets = [key for key in chart.documented_keys() if "by reference" in part_of(config, key)["description"]]
        self.assertGreater(len(secrets), 10)
        for key in secrets:
            with self.subTest(key), self.assertRaises(helm_python.HelmError) as raised:
                chart.render({"config": written(config, key, "hunter2")})
            self.assertIn(f"config.{key}", str(raised.exception))
            self.assertNotIn("hunter2", str(raised.exception))


def part_of(schema, key):
    for name in key.split("."):
        schema = schema["properties"][name]
    return schema


def written(schema, key, secret):
    """Values in which only `key` is wrong: it holds the secret itself."""
    name, _, rest = key.partition(".")
    own = {need: filled(schema["properties"][need]) for need in schema.get("required", []) if need != name}
    part = schema["properties"][name]
    if rest:
        own[name] = written(part, rest, secret)
    elif part["type"] == "array":
        own[name] = [secret]
    else:
        own[name] = {"sasl.password": secret} if part["type"] == "object" else secret
    return own


def filled(part):
    """Something that the schema takes."""
    if part["type"] == "array":
        return [filled(part["items"])]
    if "by reference" in part.get("description", ""):
        return "env:HOME"
    return "https://x.example" if "http" in part.get("pattern", "") else "/x"


def refusal(given, words):
    def test(self):
        with self.assertRaises(helm_python.HelmError) as raised:
            chart.render(copy.deepcopy(given))
        told = str(raised.exception)
        for word in words:
            self.assertIn(word, told)

    return test


# A test for each, so that each is counted.
for _name, _given, _words in REFUSED:
    setattr(Refused, f"test_{_name.replace(' ', '_')}", refusal(_given, _words))


if __name__ == "__main__":
    unittest.main()
