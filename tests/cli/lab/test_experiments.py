"""p2p lab list and p2p lab new: each experiment has its file."""

from __future__ import annotations

import pytest

from p2p.cli.lab.experiments import EXPERIMENTS, read_plan


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_file_to_begin_with_has_every_key_with_its_default(run, name):
    printed = run("lab", "new", name).out
    assert read_plan(printed) == read_plan(f'[experiment]\nkind = "{name}"\n')
    assert [each["name"] for each in run("lab", "list", "--json").records] == list(EXPERIMENTS)
    keys = {line.split(" = ")[0] for line in printed.splitlines() if " = " in line}
    plan = read_plan(printed).to_json()
    assert keys == {*plan["network"], *plan["parameters"], "kind"}
