"""Exit codes of all commands, for scripts. Pure."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit code of a command; its documentation is in the help of ``p2p``."""

    OK = 0, "success"
    NEGATIVE = 1, "the answer is no: a check has failed, nothing was found"
    USAGE = 2, "wrong arguments or input"
    NO_ANSWER = 3, "a node or a name server did not answer, or cannot be reached"
    REFUSED = 4, "a node answered and refused"
    SYSTEM = 5, "the system refused: a file, an address, a missing program"
    DEFECT = 70, "a defect of p2p; please report it, with the output of --debug"
    INTERRUPTED = 130, "interrupted by Ctrl-C"
    TERMINATED = 143, "ended by SIGTERM or SIGHUP"

    meaning: str

    def __new__(cls, number: int, meaning: str = "") -> ExitCode:
        code = int.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        return code
