"""The order of a crawl: rules one by one, and whole crawls of simulated networks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

import p2p
from p2p.cli.crawl.schedule import FRUITLESS, QUESTIONS, Crawl, Kind, Limits, Task
from p2p.cli.crawl.targets import Targets
from p2p.sim import Network, SimNode

FAST = Limits(parallel=8, rate_per_s=1000.0, finds=6, pause_s=0.1)


def node(ip: str = "10.0.0.1", tcp: int = 1) -> p2p.Node:
    return p2p.Node.from_parts(p2p.generate_key().public_key, ip, tcp, 1)


def tasks(crawl: Crawl, now: float) -> Iterator[Task]:
    while (task := crawl.next_task(now)) is not None:
        yield task


def test_node_is_asked_for_its_record_first_then_for_others_by_distance():
    crawl, start = Crawl(["v4"], FAST), node()
    crawl.add(start)
    (task,) = tasks(crawl, 0.0)
    assert (task.kind, task.visit.node, task.protocol) == (Kind.RECORD, start, "v4")
    crawl.receive_record(task, start, "", 0.0)
    for number in range(FRUITLESS["v4"]):
        assert list(tasks(crawl, number * 1.0)) == []  # a pause
        (task,) = tasks(crawl, number + 0.5)
        assert (task.kind, task.distances) == (Kind.FIND, (256 - number,))
        crawl.receive_nodes(task, [], "", number + 0.95)
    assert crawl.is_over
    (visit,) = crawl.poll_finished()
    assert visit.is_over and visit.answered == ["v4"] and visit.requests == 1 + FRUITLESS["v4"]


def test_node_that_does_not_answer_gets_one_request():
    crawl = Crawl(["v4"], FAST)
    crawl.add(node())
    (task,) = tasks(crawl, 0.0)
    crawl.receive_record(task, None, "no answer", 1.0)
    (visit,) = crawl.poll_finished()
    assert (visit.requests, visit.error, visit.answered) == (1, "no answer", [])


@pytest.mark.parametrize("protocol", ["v4", "v5"])
def test_node_gets_no_more_than_its_questions_however_many_it_names(protocol):
    crawl, start = Crawl([protocol], FAST), node()
    crawl.add(start)
    asked, now = 0, 0.0
    while not crawl.visits[start.id].is_over:
        now += 1.0
        for task in list(tasks(crawl, now)):
            if task.visit.node is not start:
                crawl.receive_record(task, None, "no answer", now)
            elif task.kind is Kind.RECORD:
                crawl.receive_record(task, start, "", now)
            else:
                asked += 1
                crawl.receive_nodes(task, [node()], "", now)
    assert asked == FAST.finds


def test_questions_of_v5_have_each_distance_once():
    distances = [each for question in QUESTIONS["v5"] for each in question]
    assert distances == list(range(256, 239, -1))
    assert max(map(len, QUESTIONS["v5"])) <= 10  # others refuse more


def test_other_protocol_follows_and_hello_is_the_last():
    crawl, start = Crawl(["v4", "v5"], FAST, hellos=True), node()
    crawl.add(start)
    (task,) = tasks(crawl, 0.0)
    crawl.receive_record(task, None, "no answer", 0.0)
    (task,) = tasks(crawl, 1.0)
    assert (task.kind, task.protocol) == (Kind.RECORD, "v5")
    crawl.receive_record(task, start, "", 1.0)
    (task,) = tasks(crawl, 2.0)
    crawl.receive_nodes(task, None, "no answer", 2.0)
    (task,) = tasks(crawl, 3.0)
    assert task.kind is Kind.HELLO
    crawl.receive_hello(task, {"name": "x"}, "", 3.0)
    assert crawl.is_over and crawl.poll_finished()[0].hello == {"name": "x"}


@pytest.mark.parametrize("tcp", [0, 1])
def test_hello_is_asked_of_nodes_with_a_tcp_port_that_have_answered(tcp):
    crawl, start = Crawl(["v5"], FAST, hellos=True), node(tcp=tcp)
    crawl.add(start)
    (task,) = tasks(crawl, 0.0)
    crawl.receive_record(task, start, "", 0.0)
    (task,) = tasks(crawl, 1.0)
    crawl.receive_nodes(task, None, "no answer", 1.0)
    assert [task.kind for task in tasks(crawl, 2.0)] == [Kind.HELLO] * tcp


def test_no_more_requests_than_allowed_are_under_way():
    crawl = Crawl(["v4"], FAST)
    for _ in range(20):
        crawl.add(node())
    found = [task for now in range(10) for task in tasks(crawl, float(now))]
    assert len(found) == FAST.parallel and crawl.wake_at() == math.inf


def test_requests_keep_to_the_rate():
    crawl = Crawl(["v4"], Limits(parallel=100, rate_per_s=4.0))
    for _ in range(20):
        crawl.add(node())
    begun = [len(list(tasks(crawl, step / 8))) for step in range(16)]
    assert sum(begun) == 8 and max(begun) == 1


def test_of_one_address_of_the_internet_only_some_are_visited():
    crawl = Crawl(["v4"], Limits(per_address=2))
    assert [crawl.add(node("8.8.8.8")) for _ in range(3)] == [True, True, False]
    assert all(crawl.add(node("10.0.0.1")) for _ in range(3))
    assert crawl.left_out == 1


def test_record_does_not_lead_into_our_network():
    """A node of the Internet had our machine, and its TCP port, asked by its own record."""
    crawl, start = Crawl(["v4"], FAST, hellos=True), node("203.0.113.1", tcp=7)
    crawl.add(start)
    (task,) = tasks(crawl, 0.0)
    record = p2p.Node.from_parts(start.public_key, "127.0.0.1", 22, 53)
    crawl.receive_record(task, record, "", 0.0)
    (task,) = tasks(crawl, 1.0)
    assert (task.kind, task.visit.asked) == (Kind.FIND, start)
    crawl.receive_nodes(task, None, "", 1.0)
    (task,) = tasks(crawl, 2.0)
    assert (task.kind, task.visit.asked) == (Kind.HELLO, start)
    assert task.visit.node == record  # as it says of itself


def test_record_leads_to_another_address_of_the_internet():
    crawl, start = Crawl(["v4"], FAST), node("5.6.7.8")
    crawl.add(start)
    (task,) = tasks(crawl, 0.0)
    record = p2p.Node.from_parts(start.public_key, "9.8.7.6", 7, 7)
    crawl.receive_record(task, record, "", 0.0)
    assert task.visit.asked == task.visit.node == record


def test_node_that_is_left_out_counts_once_however_often_it_is_named():
    crawl = Crawl(["v4"], Limits(nodes=1))
    crawl.add(node("10.0.0.1"))
    other = node("10.0.0.2")
    assert not any(crawl.add(other) for _ in range(3))
    assert crawl.left_out == 1


def test_number_of_nodes_is_bounded():
    crawl = Crawl(["v4"], Limits(nodes=2))
    assert [crawl.add(node()) for _ in range(3)] == [True, True, False]


def test_node_that_is_done_is_not_visited():
    crawl, known = Crawl(["v4"], FAST), node()
    assert crawl.add(known, is_done=True) and not crawl.add(known)
    assert crawl.is_over and crawl.poll_finished() == []


class Simulation:
    """A crawl of a LAN by a node of it that is in no table.

    The crawler follows no node of the Internet to the reserved addresses of simulated hosts.
    """

    def __init__(self, protocol: str, count: int) -> None:
        self.network = Network(seed=4, signed=False, protocol=protocol)
        boot = self.network.add("boot", ip="10.0.0.1")
        for number in range(1, count):
            self.network.add(ip=str(IPv4Address("10.0.0.1") + number), bootnodes=[boot])
        self.network.run_for(60)
        #: The nodes that are in the table of another; others cannot be found.
        self.findable = {
            each.id
            for each in self.network.nodes
            if any(other.knows(each) for other in self.network.nodes)
        }
        assert len(self.findable) > 0.8 * count
        self.me = self.network.add("crawler", ip="10.0.1.1")
        self.targets = Targets()
        self.most_in_flight = 0

    def run(self, crawl: Crawl, most_finished: int = 10**9) -> list:
        """Crawl until the end, or until some visits are over; return these."""
        under_way: list[tuple[Task, object]] = []
        finished: list = []
        while not crawl.is_over and len(finished) < most_finished:
            now = self.network.time
            under_way += [(task, self._begin(task)) for task in tasks(crawl, now)]
            self.most_in_flight = max(self.most_in_flight, len(under_way))
            limit = min(crawl.wake_at() - now, 5.0)
            begun = [op for _, op in under_way]
            self.network.run_until(
                lambda begun=begun: any(op.done for op in begun), max(limit, 1e-3)
            )
            for task, op in [each for each in under_way if each[1].done]:
                under_way.remove((task, op))
                self._give(crawl, task, op)
            finished += crawl.poll_finished()
        return finished

    def _begin(self, task: Task):
        if task.kind is Kind.RECORD:
            return self.me.begin_request_enr(task.visit.asked)
        if task.protocol == "v5":
            return self.me.begin_find_node(task.visit.asked, task.distances)
        target = self.targets.at(task.visit.asked.id, task.distances[0])
        return self.me.begin_find_node(task.visit.asked, target.to_bytes())

    def _give(self, crawl: Crawl, task: Task, op) -> None:
        receive = crawl.receive_record if task.kind is Kind.RECORD else crawl.receive_nodes
        receive(task, None if op.error else op.result, str(op.error or ""), self.network.time)


@pytest.fixture(scope="module", params=["v4", "v5"])
def simulation(request) -> Simulation:
    return Simulation(request.param, 40)


def boot_of(simulation: Simulation) -> SimNode:
    return simulation.network.node("boot")


def own_and_boot(simulation: Simulation, crawl: Crawl) -> None:
    crawl.add(simulation.me.node, is_done=True)
    crawl.add(boot_of(simulation).node)


@pytest.mark.slow
def test_crawl_of_a_network_finds_every_node_that_is_in_a_table(simulation):
    crawl = Crawl([simulation.network.protocol], FAST)
    own_and_boot(simulation, crawl)
    finished = simulation.run(crawl)
    answered = {visit.node.id for visit in finished if visit.answered}
    assert answered == simulation.findable
    assert max(visit.requests for visit in finished) <= FAST.finds + 1
    assert simulation.most_in_flight <= FAST.parallel


@pytest.mark.slow
def test_crawl_that_was_stopped_goes_on_where_it_was(simulation):
    first = Crawl([simulation.network.protocol], FAST)
    own_and_boot(simulation, first)
    before = simulation.run(first, most_finished=20)
    simulation.network.run_for(10)
    second = Crawl([simulation.network.protocol], FAST)
    for visit in first.visits.values():
        second.add(visit.node, is_done=visit.is_over)
    after = simulation.run(second)
    assert not {visit.node.id for visit in before} & {visit.node.id for visit in after}
    seen = {visit.node.id for visit in [*before, *after] if visit.answered}
    assert seen == simulation.findable


def test_target_is_at_the_distance():
    targets, key = Targets(), p2p.generate_key()
    node_id = p2p.NodeID.from_public_key(key.public_key)
    for distance in range(256, 246, -1):
        found = p2p.NodeID.from_public_key(targets.at(node_id, distance))
        assert p2p.enode.log_distance(node_id, found) == distance
