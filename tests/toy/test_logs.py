"""What other rooms leave in the folder."""

from toy import logs


def test_short_ledger(tmp_path):
    """A ledger cut short is left out."""
    (tmp_path / "ledger.json").write_text('[{"slug": ')
    assert logs.read_ledger(tmp_path) == []
    assert logs.read_runs(tmp_path) == []
