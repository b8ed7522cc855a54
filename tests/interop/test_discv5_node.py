"""Discovery v5 of the library against that of @chainsafe/discv5."""

from __future__ import annotations

from .discovery_rules_v5 import DiscoveryRulesV5


class TestDiscv5Node(DiscoveryRulesV5):
    kind = "node-v5"
