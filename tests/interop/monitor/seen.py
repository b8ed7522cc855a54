"""Read what a page shows, as a user of it would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page


def drawn(page: Page, n: int) -> None:
    """Wait until the page has drawn the update ``n``."""
    page.wait_for_function("n => Number(document.documentElement.dataset.drawn) >= n", arg=n)


def rows(page: Page, table: str) -> list[dict[str, str]]:
    """The rows of the table with this label: texts of the cells by the titles of the columns."""
    found: list[dict[str, str]] = page.evaluate(
        """label => {
            const table = document.querySelector(`table[aria-label="${label}"]`);
            const titles = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
            const texts = (row) => [...row.cells].map((cell, at) => [titles[at], cell.textContent]);
            return [...table.tBodies[0].rows].map((row) => Object.fromEntries(texts(row)));
        }""",
        table,
    )
    return found


def details(page: Page, section: str) -> dict[str, str]:
    """The details of the selected row of a section."""
    pairs: list[list[str]] = page.evaluate(
        """id => [...document.querySelectorAll(`#${id} .detail:not([hidden]) dl > div`)]
                 .map((pair) => [...pair.children].map((one) => one.textContent))""",
        section,
    )
    return {name.strip(): text for name, text in pairs}


def focused(page: Page) -> dict[str, Any]:
    """The element with the focus: its tag, id, text and the label of its table."""
    found: dict[str, Any] = page.evaluate(
        """() => { const at = document.activeElement; return {
            tag: at.tagName.toLowerCase(), id: at.id, text: at.textContent.trim().slice(0, 80),
            table: at.closest("table")?.getAttribute("aria-label") ?? "",
            row: at.dataset.key ?? "" }; }"""
    )
    return found
