// What both explorers share: numbers as text, a panel of curves with a cursor, and the state in the address.
const explorer = (() => {
"use strict";
const minus = (text) => String(text).replace(/-/g, "−");
const number = (x) => Number.isNaN(x) ? "none" : minus(!isFinite(x) ? x > 0 ? "∞" : "-∞" : x === 0 ? "0" :
  Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? Number(x.toPrecision(2)) : x.toExponential(1));
const power = (k) => "10" + String(k).replace(/./g, (x) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(x)]);

// A panel from `left` to `right` and from `low` to `high`, with [value, label] marks on both axes; `inside` draws.
function panel(svg, title, [left, right, words, ticks], [low, high, levels], inside) {
  const X = (x) => 52 + 480 * (Math.max(left, Math.min(right, x)) - left) / (right - left);
  const Y = (y) => 292 - 280 * (Math.max(2 * low - high, Math.min(2 * high - low, y)) - low) / (high - low);
  const line = (x1, x2, y1, y2, kind) => `<line x1=${x1} x2=${x2} y1=${y1} y2=${y2} class="${kind}" />`;
  const text = (x, y, anchor, words) => `<text x=${x} y=${y} text-anchor=${anchor}>${words}</text>`;
  const points = (path) => [...new Set(path.map(([x, y]) => `${X(x).toFixed(1)} ${Y(y).toFixed(1)}`))].join("L");
  const put = {
    curve: (kind, path) => `<path class="curve ${kind}" d="M${points(path)}" />`,
    band: (kind, path) => `<path class="band ${kind}" d="M${points([...path.map(([x, , y]) => [x, y]),
      ...path.map(([x, y]) => [x, y]).reverse()])}Z" />`,
    level: (kind, y) => line(52, 532, Y(y), Y(y), kind),
    upright: (x, kind = "escape") => line(X(x), X(x), 12, 292, kind),
    mark: (x, y) => `<circle cx=${X(x)} cy=${Y(y)} r=5 />`,
  };
  svg.innerHTML = `<title>${title}</title>` + text(292, 331, "middle", words) +
    ticks.map(([x, label]) => line(X(x), X(x), 12, 292, "grid") + text(X(x), 310, "middle", label)).join("") +
    levels.map(([y, label]) => put.level("grid", y) + text(46, Y(y) + 4.5, "end", label)).join("") +
    `<svg x=52 y=6 width=480 height=286 viewBox="52 6 480 286">${inside(put).join("")}` +
    `<line x1=52 x2=52 y1=12 y2=292 class=cursor visibility=hidden /></svg>`; // clips
}
const decades = (low, high) => {
  const each = Math.ceil((high - low) / 8), all = Array.from({ length: high - low + 1 }, (_, k) => k + low);
  return all.filter((k) => (k - low) % each === 0).map((k) => [k, power(k)]);
};
const rounds = (low, high, most = 7) => {
  const unit = 10 ** Math.floor(Math.log10((high - low) / most));
  const each = [1, 2, 5, 10].map((k) => k * unit).find((k) => k >= (high - low) / most), levels = [];
  for (let k = Math.ceil(low / each); k * each < high + 1e-9; k++)
    levels.push([k * each, minus(Number((k * each).toPrecision(6)))]);
  return levels;
};

// A share of the panel's width → the cursor there; hovering calls `at` with that share.
function cursor(svg, share) {
  const line = svg.querySelector(".cursor");
  for (const end of ["x1", "x2"]) line.setAttribute(end, 52 + 480 * share);
  line.setAttribute("visibility", "visible");
}
function hover(svg, at) {
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), x = 552 * (event.clientX - box.left) / box.width;
    at(Math.max(0, Math.min(1, (x - 52) / 480)));
  });
}

// The state of all forms in the address: "#explorer?eps=-2&loss=dpo&…".
const MARK = "#explorer?";
function remember() {
  const state = new URLSearchParams();
  for (const form of document.querySelectorAll(".explorer form"))
    for (const field of form.elements)
      if (field.name && field.type !== "button" && (field.type !== "checkbox" || field.value === "on" || field.checked))
        state.append(field.name, field.type === "checkbox" && field.value === "on" ? Number(field.checked) : field.value);
  history.replaceState(null, "", MARK + state);
}
function recall(form) {
  if (!location.hash.startsWith(MARK)) return;
  const state = new URLSearchParams(location.hash.slice(MARK.length));
  for (const field of form.elements) {
    if (!state.has(field.name)) continue;
    const values = state.getAll(field.name);
    if (field.type !== "checkbox") field.value = values[0];
    else field.checked = field.value === "on" ? values[0] === "1" : values.includes(field.value);
  }
}
return { minus, number, power, panel, decades, rounds, cursor, hover, remember, recall };
})();
