"""A watch that breaks goes on where it stood: nothing is lost and nothing comes twice."""

import unittest

import grpc

import support
from opshub.v1 import customer_state_pb2


class Watched:
    """What a watcher holds: the newest state of each customer, and where to go on."""

    def __init__(self):
        self.subjects = {}
        self.versions = {}
        self.token = ""
        self.complete = False

    def read(self, stream, until):
        """Takes messages until the condition holds."""
        for message in stream:
            self.token = message.resume_token
            event = message.WhichOneof("event")
            if event == "upsert":
                self.take(message.upsert.customer_state)
            elif event == "bookmark":
                self.complete = self.complete or message.bookmark.snapshot_complete
            else:
                raise AssertionError(f"nothing here removes or resets, but there came {message}")
            if until(self):
                return
        raise AssertionError("the watch ended before it said what was waited for")

    def take(self, state):
        if state.version <= self.versions.get(state.name, 0):
            raise AssertionError(f"{state.name} came with version {state.version} again")
        self.versions[state.name] = state.version
        for member in state.members:
            self.subjects[member.ref.native_id] = [case.subject for case in state.open_cases]


def watch(channel, **options):
    stub = support.Client(channel).customers
    request = customer_state_pb2.WatchCustomerStatesRequest(**options)
    return stub.WatchCustomerStates(request, timeout=3 * support.PATIENCE_S)


class Watch(unittest.TestCase):
    def setUp(self):
        self.hub = support.Hub()
        self.client = support.Client(self.hub.channel)

    def tearDown(self):
        self.hub.stop()

    def write(self, account, subject, version=1):
        answer = self.client.publish(
            support.account_fact(account, f"Customer {account}"),
            support.case_fact(f"CASE-{account}", account, subject, version),
            wait_until_applied=True,
        )
        self.client.state(account, min_position=answer.position)

    def test_a_broken_connection_loses_and_repeats_nothing(self):
        self.write("A", "first")
        self.write("B", "first")
        held = Watched()
        line = self.hub.connect()
        held.read(watch(line), lambda held: held.complete)
        self.assertEqual(held.subjects, {"A": ["first"], "B": ["first"]})
        self.write("A", "second", version=2)
        line.close()
        # While nobody listens, one known customer changes again and one is new.
        self.write("A", "third", version=3)
        self.write("C", "first")
        line = self.hub.connect()
        resumed = watch(line, resume_token=held.token)
        held.read(resumed, lambda held: held.subjects.get("A") == ["third"] and "C" in held.subjects)
        # What comes next is what happens next: nothing from before is behind.
        self.write("B", "second", version=2)
        held.read(resumed, lambda held: held.subjects["B"] == ["second"])
        self.assertEqual(held.subjects, {"A": ["third"], "B": ["second"], "C": ["first"]})
        line.close()

    def test_a_watch_that_breaks_in_its_snapshot_goes_on_in_it(self):
        accounts = [f"S{number}" for number in range(8)]
        for account in accounts:
            self.write(account, "first")
        held = Watched()
        line = self.hub.connect()
        held.read(watch(line), lambda held: len(held.subjects) == 3)
        line.close()
        line = self.hub.connect()
        held.read(watch(line, resume_token=held.token), lambda held: held.complete)
        self.assertEqual(sorted(held.subjects), accounts)
        line.close()

    def test_a_token_that_is_none_is_refused(self):
        with self.assertRaises(grpc.RpcError) as raised:
            next(watch(self.hub.channel, resume_token="not a token"))
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_a_quiet_watch_says_that_it_lives(self):
        stream = watch(self.hub.channel, skip_snapshot=True, bookmark_interval={"nanos": 100_000_000})
        message = next(stream)
        self.assertEqual((message.WhichOneof("event"), message.bookmark.snapshot_complete), ("bookmark", False))
        self.assertTrue(message.resume_token)
        stream.cancel()


if __name__ == "__main__":
    unittest.main()
