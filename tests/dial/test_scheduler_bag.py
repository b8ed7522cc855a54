"""The bag of the dial scheduler: a set whose items can be taken by index."""

from __future__ import annotations

import random

from p2p.dial.scheduler import _Bag as Bag


def test_item_is_in_the_bag_once() -> None:
    bag: Bag[str] = Bag()
    bag.add("a")
    bag.add("a")
    assert len(bag) == 1
    assert bag.take(0) == "a"
    assert len(bag) == 0


def test_discarded_item_is_gone_and_an_absent_one_does_no_harm() -> None:
    bag: Bag[str] = Bag()
    bag.discard("a")
    for item in "abc":
        bag.add(item)
    bag.discard("a")
    bag.discard("a")
    assert {bag.take(0), bag.take(0)} == {"b", "c"}


def test_bag_holds_what_a_set_would_whatever_is_done() -> None:
    source, bag, model = random.Random(1), Bag[int](), set[int]()
    for _ in range(2000):
        item, choice = source.randrange(20), source.randrange(3)
        if choice == 0:
            bag.add(item)
            model.add(item)
        elif choice == 1:
            bag.discard(item)
            model.discard(item)
        elif model:
            model.remove(bag.take(source.randrange(len(bag))))
        assert len(bag) == len(model)
