"""A running hub, and a client of it that is made from the published protos alone.

`OPSHUB_BIN` is the binary and `OPSHUB_PROTO` the folder of the protos.
"""

import atexit
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import uuid

import grpc
import grpc_tools
from grpc_tools import protoc

BIN = os.environ["OPSHUB_BIN"]
PROTO = pathlib.Path(os.environ["OPSHUB_PROTO"])

# Longest wait for anything that the hub does at once, in seconds.
PATIENCE_S = 10
# 2026-03-10T15:00:00Z
T_S = 1_773_154_800


def _generate():
    """Makes the stubs in a folder of their own and puts it on the path."""
    folder = tempfile.TemporaryDirectory(prefix="opshub-stubs-")
    atexit.register(folder.cleanup)
    files = sorted(str(path) for path in (PROTO / "opshub" / "v1").glob("*.proto"))
    known = str(pathlib.Path(grpc_tools.__file__).parent / "_proto")
    arguments = ["protoc", f"-I{PROTO}", f"-I{known}", f"--python_out={folder.name}"]
    if protoc.main([*arguments, f"--grpc_python_out={folder.name}", *files]) != 0:
        raise RuntimeError(f"make a client from the protos in {PROTO}: protoc refused them")
    sys.path.insert(0, folder.name)


_generate()

from opshub.v1 import admin_pb2_grpc, common_pb2, customer_state_pb2, customer_state_pb2_grpc  # noqa: E402
from opshub.v1 import identity_pb2_grpc, ingest_pb2, ingest_pb2_grpc  # noqa: E402


class Hub:
    """A hub with a store of its own, on free ports of loopback."""

    def __init__(self, store=None):
        self._folder = None
        if store is None:
            self._folder = tempfile.TemporaryDirectory(prefix="opshub-store-")
            store = self._folder.name
        self.store = store
        any_port = "127.0.0.1:0"
        arguments = ["--store", store, "--api", any_port, "--doors", any_port, "--metrics", any_port]
        environment = {name: text for name, text in os.environ.items() if not name.startswith("OPSHUB_")}
        self._process = subprocess.Popen(
            [BIN, "serve", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"start the hub: it ended with code {self._process.wait()}")
        self.ready = json.loads(line)
        self.channel = self.connect()

    def connect(self):
        """A new connection."""
        # Channels to one address share a connection unless told not to.
        return grpc.insecure_channel(self.ready["api"], [("grpc.use_local_subchannel_pool", 1)])

    def stop(self):
        """Asks the hub to end and returns its exit code."""
        self.channel.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._process.stdout.close()
        if self._folder is not None:
            self._folder.cleanup()
        return code


class Client:
    """The services of one connection."""

    def __init__(self, channel):
        self.customers = customer_state_pb2_grpc.CustomerStateServiceStub(channel)
        self.identities = identity_pb2_grpc.IdentityServiceStub(channel)
        self.ingest = ingest_pb2_grpc.IngestServiceStub(channel)
        self.admin = admin_pb2_grpc.AdminServiceStub(channel)

    def publish(self, *events, **options):
        """Publishes facts and returns the answer."""
        request = ingest_pb2.PublishEventsRequest(events=events, **options)
        return self.ingest.PublishEvents(request, timeout=PATIENCE_S)

    def state(self, account, **options):
        """The state of the customer that an account belongs to."""
        request = customer_state_pb2.GetCustomerStateRequest(source_ref=account_ref(account), **options)
        return self.customers.GetCustomerState(request, timeout=PATIENCE_S).customer_state


def account_ref(account):
    """Names an account."""
    return common_pb2.SourceRef(source=common_pb2.SYSTEM_SALESFORCE, entity_type="account", native_id=account)


def account_fact(account, name, version=1):
    """All fields of an account at a version."""
    return _fact("account", account, version, name=name, account_number=account)


def case_fact(case, account, subject, version=1):
    """All fields of an open case at a version."""
    return _fact("case", case, version, account_ref=account, status="InProgress", subject=subject)


def _fact(kind, record, version, **texts):
    event = ingest_pb2.Event(
        event_id=str(uuid.uuid4()),
        system=common_pb2.SYSTEM_SALESFORCE,
        object=kind,
        record_id=record,
        entity_type=kind,
        operation=ingest_pb2.OPERATION_IMAGE,
        version=ingest_pb2.Version(major=version),
        contract_version=1,
        mapping_version=1,
    )
    event.change_time.seconds = T_S + version
    for name, text in texts.items():
        event.fields[name].text = text
    return event
