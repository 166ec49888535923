"""The chart as the tests see it: rendered by Helm's own engine, as objects."""

import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "opshub"
VALUES = {path.stem: path for path in sorted((Path(__file__).parent / "values").glob("*.yaml"))}
RELEASE, NAMESPACE = "hub", "ops"


def values(name):
    """Values of one of the files in `values`."""
    return yaml.safe_load(VALUES[name].read_text())


@functools.cache
def loaded():
    return helm_python.Chart.load(CHART)


def render(given):
    """What the chart makes of values: text by template. Raises as `helm template` fails."""
    loaded().validate_schema(loaded().merge_values(given))
    return loaded().render(given, name=RELEASE, namespace=NAMESPACE)


@functools.cache
def objects(name):
    """The objects that the chart makes of one of the files in `values`."""
    return objects_of(values(name))


def objects_of(given):
    found = []
    for path, text in render(given).items():
        if path.endswith(".yaml"):
            found += [one for one in yaml.safe_load_all(text) if one]
    return found


def of_kind(found, kind):
    return [one for one in found if one["kind"] == kind]


def only(found, kind):
    (one,) = of_kind(found, kind)
    return one


def pod_specs(found):
    """Every pod that the objects run, with a name to tell it by."""
    for one in found:
        if one["kind"] == "StatefulSet":
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]
        elif one["kind"] == "Pod":
            yield one["metadata"]["name"], one["spec"]


def configuration(found):
    """The hub's configuration file, as text."""
    name = only(found, "StatefulSet")["metadata"]["name"]
    (one,) = [each for each in of_kind(found, "ConfigMap") if each["metadata"]["name"] == name]
    return one["data"]["opshub.toml"]


def program(name, needed_for):
    """The path of a program; a missing one fails the test, with what to do."""
    path = shutil.which(name)
    assert path, f"{name} is missing, which {needed_for} needs: scripts/test installs it"
    return path


def run(*command):
    """Exit code and all output of a program."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def written(text, ending):
    """The path of a file with this text, for programs that read files."""
    handle, path = tempfile.mkstemp(suffix=ending)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return path


def documented_keys():
    """Keys that docs/configuration.md names for the sections below `config`."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    keys = re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE)
    return {key for key in keys if key.split(".")[0] in ("engine", "outputs", "commands", "connectors")}
