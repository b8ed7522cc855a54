"""The command ``p2p replay``: a recording against a handler. Main thread, and the handler's."""

from __future__ import annotations

import click

import p2p
import p2p.testing
from p2p.capture import Recording
from p2p.cli.command import command
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.options import with_timeout
from p2p.cli.output import Output, with_output
from p2p.cli.plain import summary
from p2p.cli.programobject import HANDLER, Handler
from p2p.cli.shown import number_of, shown

#: Characters of a message that are shown.
MAX_CONTENT = 100


@command(
    "replay",
    examples="""
        p2p replay talk.jsonl --handler chat:handle
        p2p replay talk.jsonl --handler chat:PROTOCOL --json
    """,
)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--handler", type=HANDLER, required=True, help="MODULE:FUNCTION of a handler(peer, rw)."
)
@with_timeout("10s")
@with_output
def replay(output: Output, file: str, handler: Handler, timeout: float) -> int:
    """Say to a handler what the peer has said in the recording FILE, without a network.

    Each message of the handler that is not as in the recording is shown. The exit code is 0 if
    there is none, and the handler has not failed. --timeout is for each message of the handler, and
    for its end.
    """
    recording = Recording.load(file)
    try:
        result = p2p.testing.replay(recording, handler, timeout=timeout)
    except AssertionError as error:
        raise Failure(str(error)) from None
    for difference in result.differences:
        was, now = _content(difference.recorded), _content(difference.written)
        record = {"number": difference.number, "recorded": was, "written": now}
        output.result(record, f"message {difference.number}: recorded {was}, now {now}")
    if result.error is not None:
        raise Failure(f"the handler failed: {type(result.error).__name__}: {shown(result.error)}")
    count = number_of(len(result.written), "message")
    output.text(f"{count} of the handler, {len(result.differences)} not as recorded")
    return ExitCode.OK if result.is_same else ExitCode.NEGATIVE


def _content(msg: p2p.Msg | None) -> str:
    return "none" if msg is None else f"0x{msg.code:02x} {summary(msg.payload, MAX_CONTENT)}"
