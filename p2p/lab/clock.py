"""shim"""
from p2p.clock import SimulatedClock


class LabClock(SimulatedClock):
    """shim"""
    def settle(self) -> None: ...
    def next_due(self) -> float | None: return None
