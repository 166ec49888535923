"""The Salesforce simulator, read by a client that shares nothing with the project: stubs made from
the vendor's published contract, Avro by a library of its own, bitmaps by the published rule."""

import atexit
import io
import itertools
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

import fastavro
import grpc
from grpc_tools import protoc

BIN = os.environ["OPSHUB_BIN"]
TOPIC = "/data/ChangeEvents"
# Longest wait for anything, in seconds.
PATIENCE_S = 20


def _generate():
    """Makes the stubs in a folder of their own and puts it on the path."""
    folder = tempfile.TemporaryDirectory(prefix="opshub-pubsub-")
    atexit.register(folder.cleanup)
    here = pathlib.Path(__file__).parent
    arguments = ["protoc", f"-I{here}", f"--python_out={folder.name}", f"--grpc_python_out={folder.name}"]
    if protoc.main([*arguments, str(here / "pubsub.proto")]) != 0:
        raise RuntimeError("make a client from the contract of the event bus: protoc refused it")
    sys.path.insert(0, folder.name)


_generate()

import pubsub_pb2 as bus  # noqa: E402
import pubsub_pb2_grpc as bus_grpc  # noqa: E402


class Organisation:
    """A simulated organisation in a process of its own, and a session in it."""

    def __init__(self, *options):
        arguments = ["--json", "--seed", "3", "--customers", "12", *options]
        self._process = subprocess.Popen(
            [BIN, "simulate", "salesforce", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addresses = json.loads(self._process.stdout.readline())
        # Everything of the past is there once it says so.
        self.history = self._process.stderr.readline()
        self.channel = grpc.insecure_channel(self.addresses["bus"].removeprefix("http://"))
        self.stub = bus_grpc.PubSubStub(self.channel)
        self.login()

    def login(self):
        form = {"grant_type": "client_credentials", "client_id": "opshub", "client_secret": "opshub-secret"}
        body = urllib.parse.urlencode(form).encode()
        url = f"{self.addresses['http']}/services/oauth2/token"
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=PATIENCE_S) as answer:
            self.session = json.load(answer)
        org = self.get("/services/oauth2/userinfo")["organization_id"]
        assert len(org) == 18
        self.metadata = (
            ("accesstoken", self.session["access_token"]),
            ("instanceurl", self.session["instance_url"]),
            ("tenantid", org),
        )

    def get(self, path):
        headers = {"Authorization": f"Bearer {self.session['access_token']}"}
        request = urllib.request.Request(self.session["instance_url"] + path, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def query(self, soql):
        """All records of a query, page by page."""
        page = self.get("/services/data/v62.0/queryAll?" + urllib.parse.urlencode({"q": soql}))
        records = page["records"]
        while not page["done"]:
            page = self.get(page["nextRecordsUrl"])
            records += page["records"]
        assert len(records) == page["totalSize"]
        return records

    def subscribe(self, first):
        """A subscription with the queue that its requests go into; `None` ends them."""
        requests = queue.Queue()
        requests.put(first)
        answers = self.stub.Subscribe(iter(requests.get, None), metadata=self.metadata, timeout=PATIENCE_S)
        return requests, answers

    def stop(self):
        self.channel.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()


class Reader:
    """Decodes events, each by the schema that wrote it."""

    def __init__(self, organisation):
        self.organisation = organisation
        self.schemas = {}

    def schema(self, schema_id):
        if schema_id not in self.schemas:
            request = bus.SchemaRequest(schema_id=schema_id)
            metadata = self.organisation.metadata
            info = self.organisation.stub.GetSchema(request, metadata=metadata, timeout=PATIENCE_S)
            assert info.schema_id == schema_id
            self.schemas[schema_id] = fastavro.parse_schema(json.loads(info.schema_json))
        return self.schemas[schema_id]

    def read(self, consumer_event):
        event = consumer_event.event
        payload = io.BytesIO(event.payload)
        record = fastavro.schemaless_reader(payload, self.schema(event.schema_id))
        if payload.read(1):
            raise ValueError("bytes after the datum")
        return record

    def changed(self, consumer_event, record):
        """Names of the fields that the bitmaps of an event name."""
        fields = self.schema(consumer_event.event.schema_id)["fields"]
        names = set()
        for bitmap in record["ChangeEventHeader"]["changedFields"]:
            place, dash, digits = bitmap.rpartition("-")
            bits = [bit for bit in range(len(digits) * 4) if int(digits, 16) >> bit & 1]
            if not dash:
                names |= {fields[bit]["name"] for bit in bits}
                continue
            parent = fields[int(place)]
            members = next(branch for branch in parent["type"] if isinstance(branch, dict))["fields"]
            names |= {f"{parent['name']}.{members[bit]['name']}" for bit in bits}
        return names


class SalesforceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.organisation = Organisation()

    @classmethod
    def tearDownClass(cls):
        cls.organisation.stop()

    def history(self):
        """Every event of the past, read a few at a time."""
        first = bus.FetchRequest(topic_name=TOPIC, replay_preset=bus.EARLIEST, num_requested=7)
        requests, answers = self.organisation.subscribe(first)
        events = []
        for answer in answers:
            events.extend(answer.events)
            self.assertLessEqual(len(answer.events), 7)
            if not answer.events and answer.pending_num_requested:
                break
            if answer.pending_num_requested == 0:
                requests.put(bus.FetchRequest(topic_name=TOPIC, num_requested=7))
        requests.put(None)
        answers.cancel()
        return events

    def test_a_topic_is_described(self):
        request = bus.TopicRequest(topic_name="/data/CaseChangeEvent")
        topic = self.organisation.stub.GetTopic(request, metadata=self.organisation.metadata, timeout=PATIENCE_S)
        self.assertTrue(topic.can_subscribe)
        schema = Reader(self.organisation).schema(topic.schema_id)
        self.assertEqual(schema["name"].rpartition(".")[2], "CaseChangeEvent")

    def test_events_read_by_their_schemas_and_agree_with_the_records(self):
        reader, broken, kinds = Reader(self.organisation), 0, {}
        rows = {}
        for event in self.history():
            try:
                record = reader.read(event)
            except (EOFError, ValueError, IndexError, KeyError, UnicodeDecodeError, StopIteration):
                # The world plants one datum that is none.
                broken += 1
                continue
            header = record["ChangeEventHeader"]
            kinds[header["changeType"]] = kinds.get(header["changeType"], 0) + 1
            self.assertGreater(header["commitNumber"], 1 << 32)
            self.assertIn(";client=", header["changeOrigin"])
            if header["entityName"] != "Case":
                continue
            for case in header["recordIds"]:
                if header["changeType"] in ("CREATE", "UNDELETE"):
                    rows[case] = {name: value for name, value in record.items() if name != "ChangeEventHeader"}
                elif header["changeType"] == "UPDATE":
                    changed = reader.changed(event, record)
                    self.assertIn("LastModifiedDate", changed)
                    rows[case].update({name: record[name] for name in changed})
                elif header["changeType"] == "DELETE":
                    rows.pop(case)
                else:
                    # A gap says nothing: the record must be read.
                    rows[case] = None
        self.assertLessEqual(broken, 1)
        self.assertLessEqual({"CREATE", "UPDATE"}, set(kinds))
        told = {case: row["Subject"] for case, row in rows.items() if row is not None}
        cases = self.organisation.query("SELECT Id, Subject FROM Case ORDER BY Id")
        stored = {case["Id"]: case["Subject"] for case in cases}
        self.assertGreater(len(told), 0)
        # A gap may have been followed by changes of other fields: those rows are not compared.
        self.assertEqual(told, {case: stored[case] for case in told})

    def test_a_subscription_goes_on_behind_any_event(self):
        events = self.history()
        for place in (0, len(events) // 2, len(events) - 2):
            request = bus.FetchRequest(
                topic_name=TOPIC,
                replay_preset=bus.CUSTOM,
                replay_id=events[place].replay_id,
                num_requested=1,
            )
            _, answers = self.organisation.subscribe(request)
            answer = next(answer for answer in answers if answer.events)
            self.assertEqual(answer.events[0], events[place + 1])
            answers.cancel()

    def test_a_quiet_topic_is_kept_alive(self):
        request = bus.FetchRequest(topic_name=TOPIC, replay_preset=bus.LATEST, num_requested=1)
        _, answers = self.organisation.subscribe(request)
        quiet = next(answers)
        self.assertEqual(len(quiet.events), 0)
        self.assertGreater(len(quiet.latest_replay_id), 0)
        answers.cancel()

    def refused(self, request, metadata=None):
        metadata = metadata or self.organisation.metadata
        answers = self.organisation.stub.Subscribe(iter([request]), metadata=metadata, timeout=PATIENCE_S)
        with self.assertRaises(grpc.RpcError) as caught:
            list(answers)
        trailer = dict(caught.exception.trailing_metadata())
        return caught.exception.code(), trailer["error-code"].rpartition("grpc.")[2]

    def test_what_is_wrong_is_named_by_the_trailer(self):
        lost = bus.FetchRequest(topic_name=TOPIC, replay_preset=bus.CUSTOM, replay_id=b"nonsense", num_requested=1)
        self.assertEqual(
            self.refused(lost), (grpc.StatusCode.INVALID_ARGUMENT, "subscription.fetch.replayid.corrupted")
        )
        greedy = bus.FetchRequest(topic_name=TOPIC, replay_preset=bus.EARLIEST, num_requested=101)
        self.assertEqual(
            self.refused(greedy), (grpc.StatusCode.INVALID_ARGUMENT, "subscription.fetch.requested.events.invalid")
        )
        stranger = (("accesstoken", "nobody"), *self.organisation.metadata[1:])
        good = bus.FetchRequest(topic_name=TOPIC, replay_preset=bus.EARLIEST, num_requested=1)
        self.assertEqual(self.refused(good, stranger), (grpc.StatusCode.UNAUTHENTICATED, "service.auth.error"))

    def test_a_stranger_reads_no_record(self):
        url = self.organisation.session["instance_url"] + "/services/data/v62.0/limits"
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url, timeout=PATIENCE_S)
        with caught.exception as refusal:
            self.assertEqual((refusal.code, json.load(refusal)[0]["errorCode"]), (401, "INVALID_SESSION_ID"))


class FaultsTest(unittest.TestCase):
    def test_gaps_say_only_that_something_changed(self):
        organisation = Organisation("--faults", "gap=100%")
        try:
            reader = Reader(organisation)
            first = bus.FetchRequest(topic_name=TOPIC, replay_preset=bus.EARLIEST, num_requested=20)
            _, answers = organisation.subscribe(first)
            events = [event for answer in itertools.islice(answers, 1) for event in answer.events]
            answers.cancel()
            for event in events:
                record = reader.read(event)
                self.assertTrue(record["ChangeEventHeader"]["changeType"].startswith("GAP_"))
                self.assertEqual({value for name, value in record.items() if name != "ChangeEventHeader"}, {None})
        finally:
            organisation.stop()


if __name__ == "__main__":
    unittest.main()
