"""The binary takes what the chart makes: its configuration, its arguments, its probes and its test.

OPSHUB_BIN names the binary; without it, the one of the dev profile. It runs as in the image: as
user 65532 where this may change users, in `/`, with no environment but the pod's.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

import chart

BINARY = Path(os.environ.get("OPSHUB_BIN", chart.ROOT / "target" / "debug" / "opshub"))
NOBODY = 65532
WAIT_SECONDS_MAX = 60


def pem(key):
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


def certificate(name, key, issuer=None, signer=None):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject)
    built = built.public_key(key.public_key()).serial_number(x509.random_serial_number())
    built = built.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    built = built.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return built.sign(signer or key, hashes.SHA256())


def url64(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Provider:
    """An identity provider, as far as the hub knows one."""

    def __init__(self):
        self.key = rsa.generate_private_key(65537, 2048)

    def key_set(self):
        """Its public key as a JSON Web Key Set."""
        numbers = self.key.public_key().public_numbers()
        n, e = (url64(one.to_bytes((one.bit_length() + 7) // 8)) for one in (numbers.n, numbers.e))
        return json.dumps({"keys": [{"kty": "RSA", "use": "sig", "kid": "1", "n": n, "e": e}]})

    def token(self, claims):
        """A token of it, good for a minute."""
        now = int(datetime.now(timezone.utc).timestamp())
        claims = {"nbf": now, "exp": now + 60, **claims}
        parts = [url64(json.dumps(one).encode()) for one in ({"alg": "RS256", "kid": "1"}, claims)]
        signature = self.key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
        return ".".join([*parts, url64(signature)])


class Credentials:
    """What the secrets of the value files hold, by the end of the path where it is mounted."""

    def __init__(self):
        self.provider = Provider()
        signer, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = certificate("hub-authority", signer)
        leaf = certificate("localhost", own, authority, signer)
        chain, root = (one.public_bytes(serialization.Encoding.PEM).decode() for one in (leaf, authority))
        self.by_path = {
            "tls/certificates": chain,
            "tls/key": pem(own),
            "tls/ca": root,
            "callers/ca": root,
            "ca": root,
            "jwt/keys": self.provider.key_set(),
            "salesforce/key.pem": pem(rsa.generate_private_key(65537, 2048)),
        }

    def of(self, path, secret):
        return self.by_path.get(path, f"{secret['name']}-{secret['items'][0]['key']}")


class Pod:
    """A pod's files and environment, in a folder that stands for its root."""

    binary = None

    def __init__(self, found, spec, credentials):
        self.folder = Path(tempfile.mkdtemp(prefix="opshub-chart-"))
        self.spec = spec
        (self.container,) = spec["containers"][:1]
        mounts = {one["name"]: one["mountPath"] for container in spec["containers"] for one in container["volumeMounts"]}
        for volume in spec["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                for item in source["secret"]["items"]:
                    text = credentials.of(item["path"], source["secret"])
                    self.write(f"{mounts[volume['name']]}/{item['path']}", text)
        if "files" in mounts:
            self.write(f"{mounts['files']}/zendesk.toml", (chart.ROOT / "connectors/mappings/zendesk.toml").read_text())
        if "config" in mounts:
            self.write(f"{mounts['config']}/opshub.toml", self.inside(chart.configuration(found)))
        self.environment = {}
        for one in self.container.get("env", []):
            text = self.inside(one.get("value", f"value of {one['name']}"))
            for name, known in self.environment.items():
                text = text.replace(f"$({name})", known)
            self.environment[one["name"]] = text
        if os.geteuid() == 0:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)

    def write(self, path, text):
        target = Path(self.inside(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def inside(self, text):
        """Paths of the pod as paths of the folder."""
        return text.replace("/etc/opshub/", f"{self.folder}/etc/").replace("/var/lib/opshub", f"{self.folder}/store")

    def start(self, arguments, **streams):
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        command = [self.binary, *(self.inside(one) for one in arguments)]
        return subprocess.Popen(command, cwd="/", env=self.environment, text=True, **user, **streams)

    def run(self, arguments):
        started = self.start(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        told, _ = started.communicate(timeout=WAIT_SECONDS_MAX)
        return started.returncode, told

    def remove(self):
        shutil.rmtree(self.folder)


class Hub(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        assert BINARY.exists(), f"{BINARY} is missing: cargo build --bin opshub, or set OPSHUB_BIN"
        cls.credentials = Credentials()
        # The tree may lie where nobody else may look.
        folder = tempfile.mkdtemp(prefix="opshub-chart-")
        cls.addClassCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        Pod.binary = shutil.copy(BINARY, folder)

    def pod(self, name, kind="StatefulSet"):
        found = chart.objects(name)
        one = chart.only(found, kind)
        spec = one["spec"]["template"]["spec"] if kind == "StatefulSet" else one["spec"]
        pod = Pod(found, spec, self.credentials)
        self.addCleanup(pod.remove)
        return pod

    def test_the_configuration_of_every_value_file_can_be_used(self):
        for name in chart.VALUES:
            with self.subTest(name):
                pod = self.pod(name)
                code, told = pod.run(["config", "check", "/etc/opshub/config/opshub.toml"])
                self.assertEqual(code, 0, told)
                port = int(chart.values(name).get("api", {}).get("port", 7400))
                self.assertIn(f"api on {'0.0.0.0' if 'api' in chart.values(name) else '127.0.0.1'}:{port}", told)

    def test_the_check_notices_what_is_wrong(self):
        pod = self.pod("minimal")
        pod.write("/etc/opshub/config/opshub.toml", "[engine]\nshard = 1\n")
        code, told = pod.run(["config", "check", "/etc/opshub/config/opshub.toml"])
        self.assertEqual((code, "shards" in told), (7, True), told)

    def serving(self, pod):
        """The pod's hub, on free ports of loopback; the process, and what it said when it was ready."""
        anywhere = ["--api", "127.0.0.1:0", "--doors", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--json"]
        hub = pod.start([*pod.container["args"], *anywhere], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(hub.stdout.close)
        self.addCleanup(hub.wait)
        self.addCleanup(hub.kill)
        return hub, json.loads(hub.stdout.readline())

    def test_a_pod_gets_ready_answers_its_test_and_ends_cleanly(self):
        pod = self.pod("mtls")
        hub, ready = self.serving(pod)
        page = f"http://{ready['metrics']}" + pod.container["readinessProbe"]["httpGet"]["path"]
        with urllib.request.urlopen(page, timeout=WAIT_SECONDS_MAX) as answer:
            self.assertEqual((answer.status, answer.read()), (200, b"serving\n"))
        test = self.pod("mtls", "Pod")
        self.assertEqual([one["name"] for one in test.spec["containers"]], ["health", "sources"])
        for container in test.spec["containers"]:
            code, told = test.run(aimed(container["args"], ready))
            self.assertEqual(code, 0, told)
        hub.send_signal(signal.SIGTERM)
        self.assertEqual(hub.wait(WAIT_SECONDS_MAX), 0)
        with self.assertRaises(urllib.error.URLError):
            urllib.request.urlopen(page, timeout=WAIT_SECONDS_MAX)

    def test_a_token_of_the_configured_provider_is_taken_and_no_other(self):
        _, ready = self.serving(self.pod("jwt"))
        test = self.pod("jwt", "Pod")
        given = chart.values("jwt")["api"]["jwt"]
        good = {"iss": given["issuer"], "aud": given["audience"], "preferred_username": "ann"}
        for claims, expected in [
            ({**good, "realm_access": {"roles": ["admin"]}}, 0),
            ({**good, "realm_access": {"roles": ["admin"]}, "aud": "other"}, 1),
            ({**good, "roles": ["admin"]}, 1),
        ]:
            test.write("/etc/opshub/test/token", self.credentials.provider.token(claims))
            asked = ["sources", "--json", *test.spec["containers"][0]["args"][1:], "--token", "file:/etc/opshub/test/token"]
            code, told = test.run(aimed(asked, ready))
            self.assertEqual(code, expected, told)


def aimed(arguments, ready):
    """Arguments of the chart's test, for a hub of this machine."""
    where = arguments.index("--api") + 1
    wanted = f"https://{chart.RELEASE}-opshub.{chart.NAMESPACE}.svc:7400"
    assert arguments[where] == wanted, f"{arguments[where]} is not {wanted}"
    return [*arguments[:where], f"https://localhost:{ready['api'].rsplit(':', 1)[1]}", *arguments[where + 1 :]]


if __name__ == "__main__":
    unittest.main()
