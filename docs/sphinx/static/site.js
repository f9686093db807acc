// The two sidebars have names, and what overflows can be scrolled by keyboard: code, tables and formulas.
document.addEventListener("DOMContentLoaded", () => {
  for (const [box, name] of [[".sidebar-drawer", "All pages"], [".toc-drawer", "This page"]]) {
    document.querySelector(box)?.setAttribute("aria-label", name);
  }
  // a folded cell's own words are its name; the label that myst-nb puts on it differs from them
  document.querySelectorAll("summary[aria-label]").forEach((box) => box.removeAttribute("aria-label"));
  const wide = "div.highlight pre, .table-wrapper, mjx-container[display=true], div.output pre";
  const mark = () => document.querySelectorAll(wide).forEach((box, k) => {
    if (box.scrollWidth > box.clientWidth && !box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      if (!box.getAttribute("role")) box.setAttribute("role", "region");
      box.setAttribute("aria-label", `${k + 1}, scrolls sideways`);
    }
  });
  mark();
  window.addEventListener("load", () => setTimeout(mark, 500));
});
