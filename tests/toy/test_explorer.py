"""The explorer in a real browser: keys move it, its numbers are those of the lab's flow and theory, nothing leaves."""

import math

import pytest
import torch
from scipy.integrate import solve_ivp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.display.page import Page
from toy import explorer
from toy.collapse import run as collapse
from toy.models.flows import ascent, integrate
from toy.models.policies import OBJECTIVES, arms, log_odds

LOSSES = {"RLHF": "rlhf", "SFT": "sft", "DPO": "dpo", "α-MIO": "mio"}
SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
START = {"eps": -2, "beta": 0, "mix": 0.5, "kappa": 3, "count": 3}
CASES = [  # the sliders' values log₁₀ ε and log₁₀ β, and α; the number of responses
    {"eps": -0.5, "beta": 0.3, "mix": 0.9, "count": 3},
    {"eps": -2, "beta": 0, "mix": 0.5, "count": 3},
    {"eps": -1.3, "beta": -0.3, "mix": 0.6, "count": 10},
]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    page = Page("Explorer")
    explorer.section(page)
    path = tmp_path_factory.mktemp("explorer") / "page.html"
    page.write(path)
    return path.as_uri()


@pytest.fixture(scope="module")
def tab(browser, address):
    """One page for all tests, the lines of its console and the addresses it asked for."""
    page, console, asked = browser.new_page(), [], []
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    return page, console, asked


@pytest.fixture
def page(tab, address):
    """The page with its controls as they were; it must say nothing on its console and ask for nothing but itself."""
    page, console, asked = tab
    put(page, loss="dpo", **START)
    yield page
    assert console == []
    assert asked == [address]


def put(page, **values):
    """Give controls their values at once, as an input event would find them."""
    page.evaluate(
        """values => {
          const form = document.querySelector(".explorer form");
          for (const name in values) form.elements[name].value = values[name];
          form.dispatchEvent(new Event("input"));
        }""",
        values,
    )


def cells(page):
    """Return the table of numbers as text, by loss."""
    rows = page.locator(".explorer tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
    )
    return {LOSSES[head]: [cell.replace("−", "-") for cell in texts] for head, *texts in rows}


def value(text):
    return math.inf if text in ("∞", "not reached") else float(text)


def horizon(page, name):
    text = page.locator(f".explorer [data-out={name}-time]").inner_text()
    return 10.0 ** int(text.removeprefix("at 10").translate(SUPERSCRIPTS))


def measured(loss, eps, beta, mix, count, end):
    """Return the lab's own time to ½ and π_w at `end`, by the gradient of the library's loss.

    SciPy's LSODA follows MIO to late times, which are stiff.
    """
    base = arms(torch.tensor([eps], dtype=torch.float64), count)
    mix = mix if loss == "mio" else 0.5  # the library's DPO at another mix is not DPO
    field = ascent(OBJECTIVES[loss](base, torch.tensor([beta], dtype=torch.float64), mix))
    if loss == "mio" and end > 1e3:
        path = solve_ivp(
            lambda t, y: field(torch.from_numpy(y)[None])[0].numpy(),
            (0, end),
            base[0].numpy(),
            method="LSODA",
            events=lambda t, y: float(log_odds(torch.from_numpy(y)[None])),
            rtol=1e-6,
            atol=1e-8,
        )
        return min(path.t_events[0], default=math.inf), float(
            torch.from_numpy(path.y[:, -1]).softmax(-1)[0]
        )
    flow = integrate(field, base, end, log_odds)
    time = float(flow.time) if flow.arrived else math.inf
    last = (
        integrate(field, flow.state, end - float(flow.time)).state if flow.arrived else flow.state
    )
    return time, float(last.softmax(-1)[0, 0])


@pytest.mark.parametrize("case", CASES)
def test_the_tables_flows_are_the_labs_and_theorys(page, case):
    put(page, **case)
    eps, beta = (float(f"{10 ** case[name]:.2g}") for name in ("eps", "beta"))
    mix, count, end = case["mix"], case["count"], horizon(page, "table")
    for loss, (time, closed, final, limit, *_) in cells(page).items():
        expected = measured(loss, eps, beta, mix, count, end)
        assert [value(time), value(final)] == pytest.approx(expected, rel=1e-3), loss
        if loss != "mio":
            assert value(closed) == pytest.approx(expected[0], rel=1e-3), loss
            assert limit == "1"
        elif count > 2:
            ceiling = theory.mio_ceiling(eps, beta, mix)
            assert value(limit.split(" or ")[0]) == pytest.approx(ceiling, rel=1e-3)
            assert limit.endswith(" or 1.0000") == (beta <= 0.5 and ceiling < 1)
            assert value(final) == pytest.approx(
                ceiling, rel=3e-2
            )  # the limit is approached like 1/t


@pytest.mark.parametrize(("eps", "beta"), [(1e-2, 1.0), (1e-3, 0.1), (0.32, 2.0)])
def test_with_two_responses_the_closed_forms_are_theorys(page, eps, beta):
    put(page, eps=math.log10(eps), beta=math.log10(beta), count=2)
    table = cells(page)
    closed = {
        "rlhf": theory.escape_time_rlhf(eps),
        "sft": theory.escape_time_sft(eps),
        "dpo": theory.escape_time_dpo(eps, beta),
    }
    for loss, time in closed.items():
        assert [value(text) for text in table[loss][:2]] == pytest.approx([time, time], rel=1e-3), (
            loss
        )
    assert value(table["mio"][0]) == pytest.approx(theory.escape_time_mio(eps, beta), rel=1e-3)
    assert value(table["mio"][2]) == pytest.approx(theory.mio_rest(eps, beta), rel=1e-3)


def test_the_kernels_flows_are_the_labs_and_theorys(page):
    table, end = cells(page), horizon(page, "kernel")
    for loss, bound in (("dpo", "dv"), ("mio", "js")):
        lab, closed = collapse.lazy(collapse.Lazy(bound, end), 0)
        assert value(table[loss][4]) == pytest.approx(lab["final"], rel=1e-3), loss
        assert value(table[loss][5]) == pytest.approx(closed["final"], rel=1e-3), loss
    assert table["rlhf"][4] == table["rlhf"][5] == "4.6052 at t = 99.000"  # π_w = 1
    assert table["sft"][4] == table["sft"][5] == "4.6052 at t = 4.6052"


def test_dpo_under_the_kernel_meets_its_closed_form_and_turns_at_c_equal_to_a(page):
    signs = []
    for kappa in (-0.5, 0.5, 1, 2):
        put(page, kappa=kappa, beta=-0.7)
        here, closed = map(value, cells(page)["dpo"][4:])
        assert here == pytest.approx(closed, rel=1e-3, abs=1e-9)
        signs.append(math.copysign(1, here) if here else 0)
    assert signs == [1, 1, 0, -1]


def test_dpo_goes_along_its_direction_at_the_check_value(page):
    text = page.locator("[data-out=kernel-text]").inner_text().replace("−", "-")
    assert "z_w/(z_w - z_l) = -0.40000" in text
    assert "(a - c)/(a - 2c + d) = -0.40000" in text


def test_anchor_and_interval_are_drawn_where_the_library_has_them(page):
    page.get_by_label("α-MIO", exact=True).check()
    put(page, mix=0.95, beta=-0.3)
    ticks, anchor, interval = page.evaluate(
        """() => {
          const all = document.querySelector("[data-out=kernel]"), y = (node) => Number(node.getAttribute("y1"));
          const labels = [...all.querySelectorAll("text[text-anchor=end]")];
          return [labels.map((t) => [Number(t.textContent.replace("−", "-")), t.getAttribute("y") - 4.5]),
            y(all.querySelector(".anchor")), [...all.querySelectorAll(".interval")].map(y)];
        }"""
    )
    (z0, y0), (z1, y1) = ticks[0], ticks[-1]
    drawn = [z0 + (z1 - z0) * (y - y0) / (y1 - y0) for y in (anchor, interval[0])]
    assert drawn == pytest.approx(
        [mi.preference_anchor(0.95) / 0.5, mi.no_collapse_interval(0.95)[0] / 0.5], abs=1e-3
    )


def test_a_slider_and_the_losses_are_moved_by_keys(page):
    curves = {name: page.locator(f"[data-out={name}] path.chosen") for name in ("table", "kernel")}
    before, numbers = (
        {name: curve.get_attribute("d") for name, curve in curves.items()},
        cells(page),
    )
    slider = page.get_by_role("slider", name="beta")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "old => document.querySelector('path.chosen').getAttribute('d') !== old",
        arg=before["table"],
    )
    assert slider.get_attribute("aria-valuetext") == "0.89"
    assert curves["kernel"].get_attribute("d") != before["kernel"]
    after = cells(page)
    assert after["rlhf"][:2] == numbers["rlhf"][:2]
    assert value(after["dpo"][0]) == pytest.approx(
        measured("dpo", 1e-2, 0.89, 0.5, 3, 1e6)[0], rel=1e-3
    )
    drawn = curves["table"].get_attribute("d")
    page.get_by_role("radio", name="DPO").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "old => document.querySelector('path.chosen').getAttribute('d') !== old", arg=drawn
    )
    assert page.locator(".explorer tr.now th").inner_text() == "α-MIO"
    assert page.get_by_role("img", name="α-MIO: probabilities over time").is_visible()


@pytest.mark.parametrize(
    ("name", "key", "text", "moved", "still"),
    [
        ("epsilon", "ArrowLeft", "0.0089", ("table",), ("kernel",)),
        ("beta", "ArrowRight", "1.1", ("table", "kernel"), ()),
        ("alpha", "ArrowRight", "0.51", ("table", "kernel"), ()),
        ("kappa", "ArrowRight", "3.05", ("kernel",), ("table",)),
    ],
)
def test_each_slider_moves_the_curves_that_depend_on_it(page, name, key, text, moved, still):
    """α-MIO: ε and the table, κ and the kernel, β and α both."""
    put(page, loss="mio")
    curve = "([name, kind]) => document.querySelector(`[data-out=${name}] path.${kind}`).getAttribute('d')"
    before = {panel: page.evaluate(curve, [panel, "chosen"]) for panel in ("table", "kernel")}
    numbers = cells(page)["mio"]
    slider = page.get_by_role("slider", name=name)
    slider.focus()
    page.keyboard.press(key)
    assert slider.get_attribute("aria-valuetext") == text
    for panel in moved:
        assert page.evaluate(curve, [panel, "chosen"]) != before[panel], panel
    for panel in still:
        column = (
            4 if panel == "kernel" else 2
        )  # the axis of time may reach further; the end may not move
        assert value(cells(page)["mio"][column]) == pytest.approx(
            value(numbers[column]), rel=1e-3
        ), panel


def test_every_slider_has_a_name_and_says_its_value(page):
    sliders = page.get_by_role("slider").all()
    assert len(sliders) == 4
    for slider in sliders:
        assert slider.get_attribute("aria-label")
        assert slider.get_attribute("aria-valuetext")


@pytest.mark.parametrize("ends", [0, 1])
def test_the_ends_of_all_sliders_give_numbers(page, ends):
    sides = {
        "eps": (-6, -0.3),
        "beta": (-1.3, 0.3),
        "mix": (0, 1),
        "kappa": (-0.5, 4),
        "count": (2, 50),
    }
    put(page, **{name: side[ends] for name, side in sides.items()})
    shown = page.locator(".explorer svg, .explorer tbody").evaluate_all(
        "all => all.map((part) => part.outerHTML)"
    )
    assert not any("NaN" in part for part in shown)
    assert {len(row) for row in cells(page).values()} == {6}


@pytest.mark.parametrize("width", [700, 1400])
def test_it_fits_the_page(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_javascript_it_says_so(browser, address):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(address)
        assert "needs JavaScript" in page.locator(".explorer").inner_text()


def test_the_fragment_is_short_and_names_no_address():
    text = explorer.fragment()
    assert len(text.splitlines()) < 250
    assert not [
        word
        for word in ("http", "fetch(", "import", "src=", "href", "url(", "XMLHttp")
        if word in text
    ]
