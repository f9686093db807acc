"""The lab's benchmark: its two loops do the same work, and its table says what it measured."""

import re
from pathlib import Path

import torch

from benchmarks.lab import __main__ as lab

ROW = re.compile(
    r"^\| (\d+) \| (\d+) \| (\d+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \((\d+) to (\d+)\) \|", re.M
)


def test_both_loops_take_the_same_steps(monkeypatch):
    """The batched gradient of one policy is the plain loop's: the same weights in, the same log-policy out."""
    ends = {}

    def keep(loss, parameters, steps, rate):
        ends["batched"] = descend(loss, parameters, steps, rate)
        return ends["batched"]

    descend = lab.descend
    monkeypatch.setattr(lab, "descend", keep)
    lab.vectorised(1, 4, 3)
    generator = torch.Generator().manual_seed(0)
    weights = lab.network(1, (lab.INPUTS, lab.WIDTH, lab.WIDTH, 4), generator)
    prompts = torch.randn(1, lab.PROMPTS, lab.INPUTS, generator=generator)

    class Layer(torch.nn.Linear):
        made = 0

        def __init__(self, fan_in, fan_out):
            super().__init__(fan_in, fan_out)
            with torch.no_grad():
                self.weight.copy_(weights[Layer.made][0].T)
                self.bias.copy_(weights[Layer.made + 1][0, 0])
            Layer.made += 2
            ends.setdefault("plain", []).append(self)

    monkeypatch.setattr(torch.nn, "Linear", Layer)
    monkeypatch.setattr(torch, "randn", lambda *shape: prompts[0])
    lab.plain(1, 4, 3)
    for k, layer in enumerate(ends["plain"]):
        torch.testing.assert_close(layer.weight.T.detach(), ends["batched"][2 * k][0])
        assert not torch.equal(layer.weight.T, weights[2 * k][0])


def test_table(monkeypatch, tmp_path, capsys):
    """The table is written, with medians and their range."""
    monkeypatch.setattr(lab, "SETTINGS", {"tiny": [(3, 4, 2), (5, 4, 2)]})
    monkeypatch.setattr(lab, "peak", lambda: 1e9)
    assert lab.main(f"--repeats 2 --out {tmp_path / 'tables.md'}".split()) == 0
    text = (tmp_path / "tables.md").read_text()
    rows = ROW.findall(text)
    assert [row[:3] for row in rows] == [("3", "4", "2"), ("5", "4", "2")]
    for *_, middle, low, high in rows:
        assert int(low) <= int(middle) <= int(high)
    assert "python -m benchmarks.lab" in text
    assert rows == ROW.findall(capsys.readouterr().out)


def test_the_committed_table_is_of_this_code():
    rows = ROW.findall(Path(lab.TABLES).read_text())
    assert [tuple(map(int, row[:3])) for row in rows] == [
        s for group in lab.SETTINGS.values() for s in group
    ]
