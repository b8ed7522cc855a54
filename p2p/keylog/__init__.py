"""Key log: the secrets of connections and of discovery sessions, in a file, to decrypt captures.

The format is in `lines`, the writer of a server in `writer`. Who reads the file can read all
messages of the logged connections, so it is off unless the program or P2P_KEYLOGFILE names it.
"""

from __future__ import annotations
