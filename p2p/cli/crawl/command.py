"""The commands ``p2p crawl`` and ``p2p discv4 | discv5 crawl``. Main thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import p2p
from p2p.cli.command import Command, command
from p2p.cli.crawl.crawler import Crawler
from p2p.cli.crawl.greeter import Greeter
from p2p.cli.crawl.options import CrawlOptions, crawl_options
from p2p.cli.crawl.results import Results, open_database
from p2p.cli.crawl.schedule import Crawl, Visit
from p2p.cli.crawl.summary import charts
from p2p.cli.discovery.ownnode import NodeOptions, node_options, open_fronts
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import Failure
from p2p.cli.files.lock import locked
from p2p.cli.files.nodes import check_replaceable, format_time, replace_file
from p2p.cli.output import Output, with_output
from p2p.cli.report import page
from p2p.cli.shown import number_of

#: Seconds between two times that the results are saved during a crawl.
SAVE_S = 30.0


def crawl_command(protocols: Sequence[str], path: str) -> Command:
    """Return the command ``crawl`` by some protocols; ``path`` is its whole name."""

    @command(
        "crawl",
        examples=f"""
            {path} nodes.json
            {path} nodes.json --hello --sqlite nodes.db --report report.html --timeout 10m
            {path} --network sepolia --json > nodes.jsonl
        """,
    )
    @crawl_options
    @node_options
    @with_output
    def crawl(output: Output, options: CrawlOptions, node: NodeOptions) -> None:
        """Visit all nodes of a network, and write those that answer into FILE.

        FILE has go-ethereum's format, nodes.json. If it exists, the crawl begins with its nodes;
        after Ctrl-C or --timeout, the same command goes on. With --json each visited node is a
        line. Two crawls cannot write one file at a time.
        """
        if options.report is not None:
            check_replaceable(options.report)
        with (
            locked(options.file),
            locked(options.sqlite),
            open_database(options.sqlite) as database,
        ):
            run = _Run(output, Results(options.file, database), protocols, options, node)
            try:
                run.crawl()
            finally:
                if options.report is not None and run.own_id is not None:
                    replace_file(options.report, run.page())
        run.show()

    return crawl


class _Run:
    """One crawl: its nodes, its progress, its end."""

    def __init__(
        self,
        output: Output,
        results: Results,
        protocols: Sequence[str],
        options: CrawlOptions,
        node: NodeOptions,
    ) -> None:
        self.own_id: p2p.NodeID | None = None
        self._output = output
        self._results = results
        self._protocols = protocols
        self._options = options
        self._node = node
        self._keeps = results.keeps_pending
        self._counts = _Counts(time.time())
        self._saved_at = time.monotonic()
        self._crawl = Crawl(protocols, options.limits, options.hello)

    def crawl(self) -> None:
        """Crawl, and save the results, whatever ends it."""
        key = self._node.nodekey or p2p.generate_key()
        self.own_id = p2p.NodeID.from_public_key(key.public_key)
        self._crawl.add(p2p.Node.from_parts(key.public_key), is_done=True)
        self._add_nodes()
        with ExitStack() as stack:
            fronts = stack.enter_context(open_fronts(self._protocols, self._node.with_key(key)))
            greeter = None
            if self._options.hello:
                greeter = stack.enter_context(Greeter(key, self._options.limits.parallel))
            crawler = Crawler(self._crawl, fronts, greeter)
            update = stack.enter_context(self._output.progress("crawling"))

            def tick() -> None:
                self._tick(crawler, update)

            try:
                is_over = crawler.run(self._options.timeout, self._finished, tick)
            finally:
                pending = crawler.pending()
                self._results.save(pending)
                if pending:
                    way = "the same command goes on" if self._keeps else "with a FILE it can go on"
                    self._output.note(f"not visited: {number_of(len(pending), 'node')}; {way}")
        self._counts.is_over = is_over

    def _add_nodes(self) -> None:
        for known in self._results.nodes():
            self._crawl.add(known, self._results.is_recent(known.id, self._options.revalidate))
        for protocol in self._protocols:
            for first in self._node.first_nodes(protocol):
                self._crawl.add(first)
        if len(self._crawl.visits) < 2:
            raise Failure("no node to begin with; give --bootnodes or a FILE", ExitCode.USAGE)

    def _finished(self, visit: Visit) -> None:
        result = self._results.take(visit, time.time())
        self._counts.visited += 1
        self._counts.answered += bool(visit.answered)
        self._counts.requests += visit.requests
        if self._output.as_json:
            self._output.result(result.record(), "")

    def _tick(self, crawler: Crawler, update: Callable[..., None]) -> None:
        named, waiting = crawler.counts()
        counts = self._counts
        text = f"{counts.visited} visited, {counts.answered} answered, {waiting} of {named} wait"
        update(text=text)
        if time.monotonic() - self._saved_at > SAVE_S:
            self._saved_at = time.monotonic()
            self._results.save(crawler.pending())

    # the end

    def totals(self) -> dict[str, Any]:
        """Return the numbers of the crawl."""
        answered = self._results.answered()
        return {
            "nodes": len(answered),
            "visited": self._counts.visited,
            "answered now": self._counts.answered,
            "with hello": sum(1 for result in answered if result.hello),
            "left out": self._crawl.left_out,
            "requests": self._counts.requests,
            "seconds": round(time.time() - self._counts.began_unix),
        }

    def page(self) -> str:
        """Return the report."""
        assert self.own_id is not None
        by = " and ".join(f"discovery {protocol}" for protocol in self._protocols)
        when = format_time(float(int(time.time())))
        whole = "" if self._counts.is_over else "; the crawl was ended before its time"
        return page(
            "Nodes of the network",
            f"crawled by {by}, {when}{whole}",
            self.totals(),
            charts(self._results.answered(), self.own_id),
        )

    def show(self) -> None:
        """Print the counts. Raises Failure if no node has answered."""
        assert self.own_id is not None
        totals = self.totals()
        self._output.text("\n".join(f"{name:<13} {value}" for name, value in totals.items()))
        for chart in charts(self._results.answered(), self.own_id):
            self._output.text(f"\n{chart.title}")
            for label, number in chart.rows:
                self._output.text(f"{number:>8}  {label}")
        if not totals["nodes"]:
            text = "no node has answered; check the network and the bootnodes (--bootnodes)"
            raise Failure(text, ExitCode.NO_ANSWER)


@dataclass
class _Counts:
    began_unix: float
    visited: int = 0
    answered: int = 0
    requests: int = 0
    is_over: bool = False
