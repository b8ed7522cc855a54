"""Scripts: behaviour of a lab over time, such as nodes that come and go.

A script is a generator, which changes the lab and yields the seconds to wait until it goes on. The
time that it has yielded is its own time: a step that was late does not delay the steps after it.

All scripts of a lab run in one thread, one step at a time, each at its time: in a thread of their
own, ``p2p-lab-scripts``, or on simulated time in the thread that lets it pass.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from p2p.arguments import wrong_type
from p2p.lab.joining import lab_error
from p2p.lab.numbers import real
from p2p.lab.reports import Reports

if TYPE_CHECKING:
    from p2p.lab.lab import Lab

#: A function that makes a generator, which yields the seconds until its next step.
Script = Callable[["Lab", random.Random], Iterator[float]]


def check_script(script: object) -> None:
    """Raise ArgumentTypeError unless a script can be called."""
    if not callable(script):
        raise wrong_type("script", script, "a function of a lab and a random source")


class ScriptRun:
    """A script of a lab that was started, by :meth:`Lab.run_script`. Any thread."""

    def __init__(self, name: str, steps: Iterator[float], due: float) -> None:
        self.name = name
        # owned by the thread that runs the scripts
        self._steps = steps
        self._due = due
        # set by any thread
        self._is_over = False
        # set once
        self._error: Exception | None = None

    @property
    def is_running(self) -> bool:
        """Whether the script has further steps."""
        return not self._is_over

    @property
    def error(self) -> Exception | None:
        """The error that has ended the script, or None."""
        return self._error

    def stop(self) -> None:
        """Run no further step. One that runs at this moment ends by itself."""
        self._is_over = True

    def __repr__(self) -> str:
        return f"<ScriptRun {self.name!r}, {'running' if self.is_running else 'over'}>"


class Scripts:
    """The scripts of ``lab``; ``reports`` has its time."""

    def __init__(self, lab: Lab, reports: Reports) -> None:
        # fixed after __init__
        self._lab = lab
        self._reports = reports
        # replaced by the thread that runs the scripts, read by any
        self._failures: tuple[tuple[str, Exception], ...] = ()
        # guarded by _changed
        self._changed = threading.Condition()
        self._queue: list[tuple[float, int, ScriptRun]] = []
        self._count = 0
        self._stopped = False
        self._thread: threading.Thread | None = None

    def add(self, script: Script, seed: int) -> ScriptRun:
        """Begin a script now; its random source comes from ``seed`` and the number of the script.

        Raises ArgumentTypeError if it does not make a generator.
        """
        check_script(script)
        with self._changed:
            number, self._count = self._count, self._count + 1
            steps = script(self._lab, random.Random(f"script {number} {seed}"))
            if not isinstance(steps, Iterator):
                raise wrong_type("script", steps, "a generator, which yields seconds")
            name = getattr(script, "__name__", None) or type(script).__name__
            run = ScriptRun(name, steps, self._reports.time_s)
            heappush(self._queue, (run._due, number, run))
            self._changed.notify_all()
        return run

    @property
    def has_failures(self) -> bool:
        """Whether a script has raised an error."""
        return bool(self._failures)

    def check(self) -> None:
        """Raise LabError with the errors of all scripts that have raised one."""
        if self._failures:
            raise lab_error("scripts have failed", self._failures)

    # in the thread that runs them

    @property
    def next_due(self) -> float | None:
        """Time of the next step, or None."""
        with self._changed:
            return self._queue[0][0] if self._queue and not self._stopped else None

    def run_next(self) -> None:
        """Run the next step, if its time has come."""
        due = self.next_due
        if due is None or due > self._reports.time_s:
            return
        with self._changed:
            _, number, run = heappop(self._queue)
        if not run.is_running:
            self._end(run)
        elif self._step(run):
            with self._changed:
                heappush(self._queue, (run._due, number, run))

    def _step(self, run: ScriptRun) -> bool:
        """Run a step. Returns whether there is another one."""
        try:
            run._due += max(0.0, real("seconds", next(run._steps)))
        except StopIteration:
            run._is_over = True
        except KeyboardInterrupt:  # on simulated time the thread is one of the program
            run._is_over = True
            raise
        except BaseException as error:  # of the program, also SystemExit: the others go on
            run._is_over = True
            if not self._stopped:  # else the lab has stopped while the script called it
                self._failed(run, error)
        return run.is_running

    def _failed(self, run: ScriptRun, raised: BaseException) -> None:
        error = raised if isinstance(raised, Exception) else _as_exception(raised)
        run._error = error
        self._failures += ((run.name, error),)
        data = {"error": f"{type(error).__name__}: {error}"}
        self._reports.report("failed", text=run.name, data=data)

    # the thread of its own

    def start(self) -> None:
        """Run the scripts in a thread of their own."""
        self._thread = threading.Thread(target=self._run, name="p2p-lab-scripts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Run no further step. Does not wait."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> list[str]:
        """Wait for the thread to end. Returns its name if it goes on."""
        thread = self._thread
        if thread is None:
            self._end_all()
        if thread is None or thread is threading.current_thread():
            return []
        thread.join(timeout_s)
        return [thread.name] if thread.is_alive() else []

    def _run(self) -> None:
        while self._wait():
            self.run_next()
        self._end_all()

    def _end_all(self) -> None:
        """Run what the scripts have in their ``finally`` blocks."""
        with self._changed:
            runs = [run for _, _, run in self._queue]
            self._queue.clear()
        for run in runs:
            self._end(run)

    def _end(self, run: ScriptRun) -> None:
        run._is_over = True
        close = getattr(run._steps, "close", None)
        if close is not None:
            try:
                close()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # of the program: the others are ended, too
                self._failed(run, error)

    def _wait(self) -> bool:
        """Wait for the time of the next step. Returns False when the lab has stopped."""
        with self._changed:
            while not self._stopped:
                due = self.next_due
                left_s = None if due is None else due - self._reports.time_s
                if left_s is not None and left_s <= 0:
                    return True
                self._changed.wait(left_s)
        return False


def _as_exception(raised: BaseException) -> Exception:
    """Return an error in place of SystemExit and the like, which would end the thread."""
    error = RuntimeError(f"{type(raised).__name__}: {raised}")
    error.__cause__ = raised
    return error
