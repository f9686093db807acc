"""What other rooms leave in the folder."""

from toy import logs


def test_a_ledger_cut_short_is_left_out(tmp_path):
    (tmp_path / "ledger.json").write_text('[{"slug": ')
    assert logs.read_ledger(tmp_path) == []
    assert logs.read_runs(tmp_path) == []
