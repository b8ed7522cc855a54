"""The version of the package, and nothing else.

The one place where it is written: setup.cfg reads it without importing the package, and the
package shows it as ``p2p.__version__``. Versions follow semver.org. Pure.
"""

from __future__ import annotations

__version__ = "0.1.0"
