"""The opening of the report: sentences and a figure first, then the contents."""

from mi_estimators.display import Page, theme
from toy import lead


def test_opening(tmp_path):
    """The opening stands before the contents."""
    page = Page("Title")
    with theme():
        lead.section(page)

    for heading in ("One", "Two"):
        page.heading(heading)
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()

    assert (
        text.index("DPO looks") < text.index('role="img"') < text.index("<nav") < text.index("<h2")
    )
    assert 'aria-label="DPO sinks the chosen answer for ever' in text
    assert "<text" in text  # letters that can be read aloud


def test_opening_curves():
    """DPO's chosen answer sinks, and MIO's ends at its anchor."""
    left, right = lead.figure().axes
    dpo, mio, anchor = (line.get_ydata() for line in left.lines)

    assert dpo[-1] < -4
    assert min(mio) > -1
    assert abs(mio[-1] - anchor[0]) < 1e-2
    assert len(right.lines) == 4
