"""Facts go in by the API and are read back; what fails says why."""

import unittest

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import support
from opshub.v1 import customer_state_pb2, identity_pb2, ingest_pb2


class Reads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hub = support.Hub()
        cls.client = support.Client(cls.hub.channel)

    @classmethod
    def tearDownClass(cls):
        cls.hub.stop()

    def details(self, call):
        """Status code and details, by type, of a call that must fail."""
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        status = rpc_status.from_call(raised.exception)
        self.assertIsNotNone(status, raised.exception)
        found = {}
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
            for detail in status.details:
                if detail.Is(kind.DESCRIPTOR):
                    message = kind()
                    detail.Unpack(message)
                    found[kind.DESCRIPTOR.name] = message
        return raised.exception.code(), found

    def test_a_read_with_the_position_of_a_write_sees_it(self):
        answer = self.client.publish(support.account_fact("ACCT-1", "Ann Example"))
        self.assertEqual([result.outcome for result in answer.results], [ingest_pb2.EVENT_OUTCOME_ACCEPTED])
        state = self.client.state("ACCT-1", min_position=answer.position)
        self.assertEqual([member.name for member in state.members], ["Ann Example"])
        self.assertTrue(state.name.startswith("customers/"), state.name)

    def test_what_hangs_below_a_customer_is_read_with_it(self):
        answer = self.client.publish(
            support.case_fact("CASE-2", "ACCT-2", "Line is down"),
            support.account_fact("ACCT-2", "Bea Example"),
        )
        state = self.client.state("ACCT-2", min_position=answer.position)
        self.assertEqual([case.subject for case in state.open_cases], ["Line is down"])

    def test_an_older_version_changes_nothing(self):
        newer = self.client.publish(support.account_fact("ACCT-3", "New Name", version=2))
        older = self.client.publish(support.account_fact("ACCT-3", "Old Name", version=1))
        self.client.state("ACCT-3", min_position=newer.position)
        state = self.client.state("ACCT-3", min_position=older.position)
        self.assertEqual([member.name for member in state.members], ["New Name"])

    def test_records_that_are_there_can_be_merged_and_others_say_why_not(self):
        def merge():
            request = identity_pb2.MergeIdentitiesRequest(
                target=support.account_ref("ACCT-6"), sources=[support.account_ref("ACCT-7")], reason="one household"
            )
            return self.client.identities.MergeIdentities(request)

        answer = self.client.publish(
            support.account_fact("ACCT-6", "Dee Example"), support.case_fact("CASE-7", "ACCT-7", "No dial tone")
        )
        self.client.state("ACCT-6", min_position=answer.position)
        code, details = self.details(merge)
        self.assertEqual((code, details["ErrorInfo"].reason), (grpc.StatusCode.FAILED_PRECONDITION, "MERGE_FORBIDDEN"))
        self.assertIn("account/ACCT-7 ", dict(details["ErrorInfo"].metadata)["problem"])
        answer = self.client.publish(support.account_fact("ACCT-7", "Eve Sample"))
        self.client.state("ACCT-7", min_position=answer.position)
        state = self.client.state("ACCT-7", min_position=merge().position)
        self.assertEqual([member.name for member in state.members], ["Dee Example", "Eve Sample"])

    def test_a_mask_leaves_the_rest_out(self):
        answer = self.client.publish(support.account_fact("ACCT-4", "Cy Example"))
        state = self.client.state("ACCT-4", min_position=answer.position, read_mask={"paths": ["members"]})
        self.assertEqual((len(state.members), state.name), (1, ""))

    def test_an_unknown_customer_is_refused_with_its_reason(self):
        request = customer_state_pb2.GetCustomerStateRequest(name="customers/nobody")
        code, details = self.details(lambda: self.client.customers.GetCustomerState(request))
        self.assertEqual(code, grpc.StatusCode.NOT_FOUND)
        info = details["ErrorInfo"]
        self.assertEqual((info.domain, info.reason), ("opshub", "CUSTOMER_NOT_FOUND"))
        self.assertEqual(dict(info.metadata)["name"], "customers/nobody")

    def test_a_wrong_field_is_named(self):
        request = customer_state_pb2.QueryCustomerStatesRequest(page_size=-1)
        code, details = self.details(lambda: self.client.customers.QueryCustomerStates(request))
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT)
        violations = details["BadRequest"].field_violations
        self.assertEqual([violation.field for violation in violations], ["page_size"])

    def test_a_fact_that_cannot_be_one_is_set_aside_alone(self):
        nameless = support.account_fact("", "No Id")
        answer = self.client.publish(nameless, support.account_fact("ACCT-5", "Di Example"))
        outcomes = [result.outcome for result in answer.results]
        self.assertEqual(outcomes, [ingest_pb2.EVENT_OUTCOME_QUARANTINED, ingest_pb2.EVENT_OUTCOME_ACCEPTED])
        self.assertEqual(answer.results[0].error.reason, "BAD_PAYLOAD")


if __name__ == "__main__":
    unittest.main()
