"""The image: what a reader of the Dockerfile would look for, and that its context is enough."""

import json
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

import chart

TEXT = (chart.ROOT / "Dockerfile").read_text()


def instructions():
    """Every instruction with its rest, lines that go on joined, comments left out."""
    lines = [line for line in TEXT.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines()]


def of(word):
    return [rest for name, rest in instructions() if name == word]


def context():
    """Committed files that the build gets, by the rules of .dockerignore."""
    rules = [line for line in (chart.ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    let_in = [rule[1:] for rule in rules if rule.startswith("!")]
    listed = subprocess.run(["git", "ls-files"], cwd=chart.ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if any(path == one or path.startswith(one + "/") for one in let_in)]


class Dockerfile(unittest.TestCase):
    def test_images_have_a_version_and_can_be_given_by_digest(self):
        images = dict(one.split("=", 1) for one in of("ARG") if "IMAGE" in one)
        self.assertEqual(set(images), {"RUST_IMAGE", "BASE_IMAGE"})
        for image in images.values():
            self.assertRegex(image, r":[\w.-]+$")
            self.assertFalse(image.endswith(":latest"))
        self.assertEqual([one.split()[0] for one in of("FROM")], ["${RUST_IMAGE}", "${BASE_IMAGE}"])

    def test_the_compiler_is_new_enough(self):
        wanted = tomllib.loads((chart.ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
        given = re.search(r"RUST_IMAGE=rust:(\d+)\.(\d+)", TEXT)
        self.assertGreaterEqual(tuple(map(int, given.groups())), tuple(map(int, wanted.split("."))))

    def test_builder_and_base_are_of_one_release(self):
        self.assertIn("bookworm", TEXT)
        self.assertIn("debian12", TEXT, "bookworm is Debian 12: libraries of both have to be the same")

    def test_the_build_is_locked_and_leaves_no_trace_of_its_place(self):
        (build,) = [rest for rest in of("RUN") if "cargo build" in rest]
        self.assertIn("--locked", build)
        self.assertIn("--release", build)
        self.assertIn("--remap-path-prefix=/src=", TEXT)
        self.assertIn("SOURCE_DATE_EPOCH", " ".join(of("ARG")))

    def test_nothing_is_fetched_but_by_cargo(self):
        self.assertEqual(of("ADD"), [])
        for rest in of("RUN"):
            self.assertNotRegex(rest, r"\b(curl|wget|apt-get|apk|pip|sudo)\b")

    def test_it_runs_as_nobody_and_gets_its_signals(self):
        self.assertEqual(of("USER"), ["65532:65532"])
        self.assertEqual(json.loads(of("ENTRYPOINT")[0]), ["/usr/local/bin/opshub"])
        json.loads(of("CMD")[0])
        self.assertEqual(of("STOPSIGNAL"), ["SIGTERM"])
        last = [name for name, _ in instructions()].index("USER")
        self.assertNotIn("COPY", [name for name, _ in instructions()][last:])

    def test_it_is_the_user_that_the_chart_runs_it_as(self):
        for name in chart.VALUES:
            for _, spec in chart.pod_specs(chart.objects(name)):
                own = spec["securityContext"]
                self.assertEqual(f"{own['runAsUser']}:{own['runAsGroup']}", of("USER")[0])

    def test_no_secret_is_built_in(self):
        for rest in of("ARG") + of("ENV"):
            self.assertNotRegex(rest.upper(), "TOKEN|PASSWORD|SECRET")

    def test_it_exposes_the_ports_of_the_chart(self):
        ports = {str(port) for port in of("EXPOSE")[0].split()}
        values = chart.loaded().values
        self.assertEqual(ports, {str(int(values[name]["port"])) for name in ("api", "doors", "metrics")})


class Context(unittest.TestCase):
    def test_cargo_can_read_the_workspace_of_the_context(self):
        cargo = chart.program("cargo", "the check of the build's context")
        with tempfile.TemporaryDirectory() as folder:
            for path in context():
                if path.endswith(("Cargo.toml", "Cargo.lock", "main.rs", "lib.rs", "build.rs")) or "/examples/" in path:
                    target = Path(folder) / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(chart.ROOT / path, target)
            command = [cargo, "metadata", "--no-deps", "--offline", "--format-version", "1"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            (package,) = [one for one in json.loads(done.stdout)["packages"] if one["name"] == "opshub"]
            self.assertIn("opshub", [target["name"] for target in package["targets"] if "bin" in target["kind"]])

    def test_what_sources_include_is_in_the_context(self):
        inside = set(context())
        for path in [one for one in inside if one.endswith(".rs") and "/tests" not in one]:
            code = (chart.ROOT / path).read_text().split("#[cfg(test)]")[0]
            for named in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', code):
                target = (chart.ROOT / path).parent.joinpath(named).resolve().relative_to(chart.ROOT)
                self.assertIn(str(target), inside, f"{path} includes it")

    def test_what_the_build_does_not_need_stays_out(self):
        inside = context()
        tops = {path.split("/")[0] for path in inside}
        self.assertFalse(tops & {"target", "helm", "scripts", ".git"})
        # The page of keys is part of the binary, which prints it.
        self.assertEqual([path for path in inside if path.startswith("docs/")], ["docs/configuration.md"])


if __name__ == "__main__":
    unittest.main()
