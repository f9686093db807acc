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
BOUNDS = {"nats": 4, "batch": 6, "error": 0}
START = {"eps": -2, "beta": 0, "mix": 0.5, "kappa": 3, "count": 3, "unseen": -1, "time": 1}
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
    put(page, tick=["dpo"], **START)
    put(page, "bounds", **BOUNDS)
    yield page

    assert console == []
    assert asked == [address]


def put(page, kind="flows", tick=None, **values):
    """Give controls their values at once, as an input event would find them; tick these boxes alone."""
    page.evaluate(
        """([kind, tick, values]) => {
          const form = document.querySelector(`.explorer.${kind} form`);
          for (const name in values) form.elements[name].value = values[name];
          for (const box of form.querySelectorAll("fieldset [type=checkbox]"))
            if (tick) box.checked = tick.includes(box.value);
          form.dispatchEvent(new Event("input"));
        }""",
        [kind, tick, values],
    )


def cells(page, kind="flows"):
    """Return the exact values behind the table's two digits, as text, by loss or bound."""
    rows = page.locator(f".explorer.{kind} tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.cells].map(c => c.dataset.value ?? c.textContent))"
    )
    return {LOSSES.get(head, head): texts for head, *texts in rows}


def shown(page, kind="flows"):
    """Return the table as a reader sees it."""
    return page.locator(f".explorer.{kind} tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
    )


def value(text):
    return math.inf if text == "Infinity" else float(text)


def horizon(page, name):
    text = page.locator(f".explorer.flows [data-out={name}-time]").inner_text()
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
def test_flows_of_the_table(page, case):
    """The table's flows are the lab's and theory's."""
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
            limits = [value(text) for text in limit.split(",")]
            assert limits[0] == pytest.approx(ceiling, rel=1e-3)
            assert limits[1:] == [1.0] * (beta <= 0.5 and ceiling < 1)
            # The limit is approached like 1/t
            assert value(final) == pytest.approx(ceiling, rel=3e-2)


@pytest.mark.parametrize(("eps", "beta"), [(1e-2, 1.0), (1e-3, 0.1), (0.32, 2.0)])
def test_two_responses(page, eps, beta):
    """With two responses the closed forms are theory's."""
    put(
        page,
        eps=math.log10(eps),
        beta=math.log10(beta),
        count=2,
    )
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


def test_flows_of_the_kernel(page):
    """The kernel's flows are the lab's and theory's."""
    table, end = cells(page), horizon(page, "kernel")
    for loss, bound in (("dpo", "dv"), ("mio", "js")):
        lab, closed = collapse.lazy(collapse.Lazy(bound, end), 0)
        assert value(table[loss][4]) == pytest.approx(lab["final"], rel=1e-3), loss
        assert value(table[loss][5]) == pytest.approx(closed["final"], rel=1e-3), loss

    end = math.log(100)  # π_w = 1
    for loss in ("rlhf", "sft"):
        assert [value(text) for text in table[loss][4:]] == pytest.approx([end, end], rel=1e-3)

    texts = {LOSSES[head]: row for head, *row in shown(page)}
    assert texts["rlhf"][4:] == ["4.6 at t = 99", "4.6 at t = 99"]
    assert texts["sft"][4:] == ["4.6 at t = 4.6", "4.6 at t = 4.6"]


def test_dpo_turn(page):
    """DPO under the kernel meets its closed form, and turns at c = a."""
    signs = []
    for kappa in (-0.5, 0.5, 1, 2):
        put(page, kappa=kappa, beta=-0.7)
        here, closed = map(value, cells(page)["dpo"][4:])
        assert here == pytest.approx(closed, rel=1e-3, abs=1e-9)
        signs.append(math.copysign(1, here) if here else 0)

    assert signs == [1, 1, 0, -1]


def test_dpo_direction(page):
    """DPO goes along its direction at the check value."""
    text = page.locator("[data-out=kernel-text]").inner_text().replace("−", "-")
    assert "(a - c)/(a - 2c + d) = -0.4," in text


def test_anchor_and_interval(page):
    """The anchor and the interval are drawn where the library has them."""
    put(page, tick=["mio"], mix=0.95, beta=-0.3)
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


def test_keys(page):
    """A slider and the losses are moved by keys."""
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

    page.get_by_role("checkbox", name="α-MIO").focus()
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelectorAll('[data-out=table] path.chosen').length === 2")

    assert page.locator(".flows tr.now th").all_inner_texts() == ["DPO", "α-MIO"]
    assert page.get_by_role("img", name="DPO and α-MIO: probabilities over time").is_visible()


@pytest.mark.parametrize(
    ("name", "key", "text", "moved", "still"),
    [
        ("epsilon", "ArrowLeft", "0.0089", ("table",), ("kernel",)),
        ("beta", "ArrowRight", "1.1", ("table", "kernel"), ()),
        ("alpha", "ArrowRight", "0.51", ("table", "kernel"), ()),
        ("kappa", "ArrowRight", "3.05", ("kernel",), ("table",)),
    ],
)
def test_moved_curves(page, name, key, text, moved, still):
    """Each slider moves the curves that depend on it.

    α-MIO: ε and the table, κ and the kernel, β and α both.
    """
    put(page, tick=["mio"])
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
        # The axis of time may reach further; the end may not move
        column = 4 if panel == "kernel" else 2
        assert value(cells(page)["mio"][column]) == pytest.approx(
            value(numbers[column]), rel=1e-3
        ), panel


def test_named_sliders(page):
    """Every slider has a name and says its value."""
    sliders = page.get_by_role("slider").all()
    assert len(sliders) == 9
    for slider in sliders:
        assert slider.get_attribute("aria-label")
        assert slider.get_attribute("aria-valuetext")


@pytest.mark.parametrize("ends", [0, 1])
def test_ends_of_sliders(page, ends):
    """The ends of all sliders give numbers."""
    sides = {
        "eps": (-6, -0.3),
        "beta": (-1.3, 0.3),
        "mix": (0, 1),
        "kappa": (-0.5, 4),
        "count": (2, 50),
        "unseen": (-4, 4),
        "time": (0, 1),
    }
    put(page, **{name: side[ends] for name, side in sides.items()})
    put(
        page,
        "bounds",
        nats=(0.25, 12)[ends],
        batch=(1, 12)[ends],
        error=(-0.5, 0.5)[ends],
    )
    shown = page.locator(".explorer svg, .explorer tbody").evaluate_all(
        "all => all.map((part) => part.outerHTML)"
    )

    assert not any("NaN" in part for part in shown)
    assert {len(row) for row in cells(page).values()} == {6}


@pytest.mark.parametrize("width", [390, 700, 1400])
def test_widths(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_no_javascript(browser, address):
    """Without JavaScript it says so."""
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(address)
        assert "needs JavaScript" in page.locator(".explorer.flows").inner_text()


@pytest.mark.parametrize("name", ["flows", "bounds"])
def test_no_address(name):
    """A fragment names no address."""
    text = explorer.shared() + explorer.fragment(name)
    assert not [
        word
        for word in ("http", "fetch(", "import", "src=", "href", "url(", "XMLHttp")
        if word in text
    ]


@pytest.mark.parametrize(("kappa", "unseen"), [(3, 2), (0.5, 1), (0.5, 0.2), (2, -3)])
def test_softmax_path(page, kappa, unseen):
    """DPO turns on the softmax path where theory says."""
    put(page, kappa=kappa, unseen=unseen)
    a, c, d, eps = 1.0, kappa, 1 + kappa**2, 0.01
    share = (1 - eps) / 2
    turn = theory.turning_point([eps, share, share], [a - c, c - d, unseen])
    drawn = page.locator("[data-out=path]").get_attribute("data-turn")

    assert value(drawn) == pytest.approx(turn, rel=1e-6)
    assert page.locator("[data-out=path] line.escape").count() == int(0 < turn < math.inf)


def test_state_in_the_address(page, browser, address):
    """The address brings the state back."""
    put(page, tick=["dpo", "sft"], eps=-3, kappa=1.5)
    put(page, "bounds", nats=7)
    again = browser.new_page()
    again.goto(page.url)

    assert shown(again) == shown(page)
    assert shown(again, "bounds") == shown(page, "bounds")
    assert again.locator(".flows tr.now th").all_inner_texts() == ["SFT", "DPO"]
    again.close()


def test_pointer_and_play(page):
    """A pointer reads the curves off, and play moves the cursor."""
    text = page.locator("[data-out=table-text]")
    before = text.inner_text()
    page.locator("[data-out=table]").hover(position={"x": 200, "y": 100})

    assert text.inner_text() != before

    page.get_by_role("button", name="Play").click()
    page.wait_for_function("Number(document.querySelector('.flows [name=time]').value) > 0.02")
    page.get_by_role("button", name="Stop").click()

    assert page.get_by_role("button", name="Play").is_visible()


@pytest.mark.parametrize(("nats", "batch", "error"), [(2, 6, 0), (4, 4, -0.3), (1, 3, 0.25)])
def test_bounds_on_a_batch(page, nats, batch, error):
    """The bounds on a batch are those of the library.

    By many batches; NWJ and the population by closed forms.
    """
    put(page, "bounds", nats=nats, batch=batch, error=error)
    table = {
        name: [value(text) for text in row[1:]]
        for name, row in cells(page, "bounds").items()
        if name != "SMILE"
    }
    table["SMILE"] = [
        float(t) if t != "none" else math.nan for t in cells(page, "bounds")["SMILE"][1:]
    ]
    size, runs, scale = 2**batch, 40_000, 1 + error
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(2, runs, size, generator=generator, dtype=torch.float64) * (2 * nats) ** 0.5
    joint = scale * (draw[0] + nats)
    product = scale * (draw[1] - nats)
    rows = torch.cat([joint[:, :1], product[:, 1:]], -1)
    sampled = {
        "DV": mi.dv(joint, product),
        "JS": mi.js(joint, product),
        "SMILE": mi.smile(joint, product),
        "InfoNCE": joint[:, 0] - mi.log_mean_exp(rows),
    }

    for name, values in sampled.items():
        mean, _, deviation, _ = table[name]
        rows_of_batch = size if name == "InfoNCE" else 1
        error_of_mean = float(values.std()) / runs**0.5
        assert mean == pytest.approx(float(values.mean()), abs=5 * error_of_mean), name
        assert deviation == pytest.approx(float(values.std()) / rows_of_batch**0.5, rel=0.05), name

    tilts = [math.exp(k * scale * (k * scale - 1) * nats) for k in (1, 2)]
    noise = (2 * nats * scale**2 + tilts[1] - tilts[0] ** 2) / size

    assert table["NWJ"][0] == pytest.approx(1 + scale * nats - tilts[0], rel=1e-9)
    assert table["NWJ"][2] == pytest.approx(noise**0.5, rel=1e-9)
    assert table["DV"][3] == pytest.approx(scale * nats * (2 - scale), rel=1e-9)


def test_minibatch_dv(page):
    """The threshold of minibatch DV is theory's."""
    drawn = float(page.locator("[data-out=readings]").get_attribute("data-threshold"))
    mass = torch.special.ndtr(torch.tensor(-((2 * drawn) ** 0.5), dtype=torch.float64))
    assert float(mass) == pytest.approx(theory.minibatch_dv_threshold(0.5, 64), rel=1e-6)
