from __future__ import annotations

import sys

# coincurve has no wheel for these Pythons (setup.cfg).
collect_ignore = ["test_secp256k1_coincurve.py"] if sys.version_info >= (3, 14) else []
