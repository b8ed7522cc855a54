"""Settings of the documentation site (``make docs``); docs/design/documentation.md has reasons."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]

import p2p  # noqa: E402

project = "p2p"
author = copyright = "The p2p authors"
version = release = p2p.__version__
language = "en"

extensions = [
    "commands",
    "myst_parser",
    "drawings",
    "namelinks",
    "publicnames",
    "sitelinks",
    "sourcepages",
    "sphinx_copybutton",
]
exclude_patterns = ["_static", "extensions"]
nitpicky = True

# Markdown as on the forge: links to files, anchors of headings.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["myst.header"]

# Names of the library from its docstrings, as programs write them.
add_module_names = True
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
default_role = "code"
maximum_signature_line_length = 80
python_use_unqualified_type_names = True

# Two hyphens begin an option.
smartquotes = False

html_theme = "furo"
html_title = f"p2p {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

copybutton_exclude = ".linenos, .gp, .go"
