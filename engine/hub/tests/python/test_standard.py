"""The standard services, and how the hub begins and ends."""

import unittest
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import support


class Standard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.hub = support.Hub()

    @classmethod
    def tearDownClass(cls):
        cls.hub.stop()

    def test_the_hub_and_each_service_say_that_they_serve(self):
        health = health_pb2_grpc.HealthStub(self.hub.channel)
        for service in ("", "opshub.v1.CustomerStateService", "opshub.v1.IngestService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=support.PATIENCE_S)
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING, service)
        with self.assertRaises(grpc.RpcError) as raised:
            health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=support.PATIENCE_S)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.NOT_FOUND)

    def test_the_api_describes_itself(self):
        described = ProtoReflectionDescriptorDatabase(self.hub.channel)
        services = described.get_services()
        self.assertIn("opshub.v1.CustomerStateService", services)
        self.assertIn("grpc.health.v1.Health", services)
        file = described.FindFileContainingSymbol("opshub.v1.GetCustomerStateRequest")
        self.assertEqual(file.package, "opshub.v1")

    def test_without_configuration_no_door_is_open(self):
        self.assertIsNone(self.hub.ready["doors"])
        self.assertEqual(self.hub.ready["position"], 0)

    def test_the_metrics_page_counts_calls(self):
        support.Client(self.hub.channel).publish(support.account_fact("M-1", "Eve Example"))
        address = f"http://{self.hub.ready['metrics']}/metrics"
        with urllib.request.urlopen(address, timeout=support.PATIENCE_S) as answer:
            page = answer.read().decode()
        self.assertIn("opshub_build_info", page)
        self.assertIn('opshub_rpc_total{method="/opshub.v1.IngestService/PublishEvents"', page)


class Ends(unittest.TestCase):
    def test_what_was_acknowledged_is_there_after_a_restart(self):
        first = support.Hub()
        answer = support.Client(first.channel).publish(support.account_fact("R-1", "Flo Example"))
        store, folder = first.store, first._folder
        first._folder = None
        self.assertEqual(first.stop(), 0)
        second = support.Hub(store)
        try:
            self.assertGreater(second.ready["position"], 0)
            state = support.Client(second.channel).state("R-1", min_position=answer.position)
            self.assertEqual([member.name for member in state.members], ["Flo Example"])
        finally:
            self.assertEqual(second.stop(), 0)
            folder.cleanup()


if __name__ == "__main__":
    unittest.main()
