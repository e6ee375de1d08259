// The page's views: one is seen at a time, each has an address (#why, #dependence, #column=tenure), and paper has all.

function drawSection([, id, title, intro, make], data) {
  let body;
  try {
    body = make(data);
  } catch (error) {
    console.error(`section ${id}: ${error.stack || error}`);
    body = h("p", { class: "callout", "data-failed": id }, `This section could not be drawn: ${error.message}`);
  }
  if (!body) return null;
  return h("section", { id, "aria-label": title }, id !== "summary" && h("h2", null, title), intro && h("p", { class: "intro" }, intro), body);
}

function openPage(views, sections, data) {
  const drawn = views.map(([id, name]) => ({ id, name, sections: sections.filter((row) => row[0] === id).map((row) => drawSection(row, data)).filter(Boolean) }))
    .filter((view) => view.sections.length);
  for (const view of drawn) view.node = h("div", { class: "view", id: "view-" + view.id, hidden: "until-found" }, view.sections);
  const main = document.getElementById("main");
  main.append(...drawn.map((view) => view.node), h("footer", null, "Made by Bessemer. This page is one file: it loads nothing and sends nothing."));
  const show = navigation(drawn);
  // Found by the browser's search in a view that is not shown: show it.
  for (const view of drawn) view.node.addEventListener("beforematch", () => show(view));
  addEventListener("hashchange", () => follow(drawn, show));
  follow(drawn, show);
  addEventListener("beforeprint", redraw);
  addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  document.documentElement.dataset.ready = "true";
}

const redraw = (within) => (within.querySelectorAll ? within : document).querySelectorAll(".chart").forEach((chart) => chart.redraw());

// What the part of the address behind # names: a view, a section of one, or a thing in a section (column=tenure).
const OPENERS = {};
function follow(drawn, show) {
  const [name, ...rest] = location.hash.slice(1).split("="), argument = decodeURIComponent(rest.join("="));
  const section = Object.hasOwn(OPENERS, name) ? OPENERS[name](argument) : name;
  const view = drawn.find((one) => one.id === name || one.sections.some((node) => node.id === section)) || drawn[0];
  show(view);
  const node = view.id !== section && view.sections.length > 1 && view.sections.find((one) => one.id === section && one !== view.sections[0]);
  if (node) node.scrollIntoView();
  else scrollTo(0, 0);
}

function navigation(drawn) {
  const mark = s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { class: "f0", d: "M3 1h10l-1.6 7.2a3.6 3.6 0 0 1-6.8 0zM2 14h12v1.6H2z" }));
  const link = (node, name) => h("a", { href: "#" + node.id }, name);
  const entries = drawn.map((view) => ({
    view, link: link(view, view.name),
    inner: h("div", { class: "inner", hidden: true }, view.sections.length > 1 && view.sections.map((node) => link(node, node.getAttribute("aria-label")))),
  }));
  document.getElementById("nav").append(h("span", { class: "brand" }, mark, "Bessemer"), ...entries.flatMap((entry) => [entry.link, entry.inner]), themeButton());
  watchSections(entries);
  return (wanted) => entries.forEach(({ view, link, inner }) => {
    const current = view === wanted;
    if (current) { view.node.removeAttribute("hidden"); link.setAttribute("aria-current", "page"); redraw(view.node); centre(link); }
    else { view.node.setAttribute("hidden", "until-found"); link.removeAttribute("aria-current"); }
    inner.hidden = !current;
  });
}
const centre = (link) => { if (innerWidth <= 1020) link.parentElement.scrollTo({ left: link.offsetLeft - 80 }); };

// The link of the section in sight is marked.
function watchSections(entries) {
  addEventListener("scroll", () => entries.filter((entry) => !entry.inner.hidden).forEach(({ view, inner }) => {
    const end = scrollY + innerHeight >= document.documentElement.scrollHeight - 4, seen = view.sections.filter((node) => node.getBoundingClientRect().top <= innerHeight * 0.3);
    const at = end && scrollY > 0 ? view.sections.length - 1 : Math.max(0, seen.length - 1);
    [...inner.children].forEach((link, i) => (i === at ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
  }), { passive: true });
}

function themeButton() {
  const root = document.documentElement, wanted = root.dataset.theme, system = matchMedia("(prefers-color-scheme: dark)");
  const button = h("button", { class: "theme", type: "button", onclick: () => set(root.dataset.theme === "dark" ? "light" : "dark") });
  const set = (name) => {
    const other = name === "dark" ? "light" : "dark";
    root.dataset.theme = name;
    button.textContent = word(other);
    button.setAttribute("aria-label", `Switch to the ${other} theme`);
  };
  set(wanted === "auto" ? (system.matches ? "dark" : "light") : wanted);
  if (wanted === "auto") system.addEventListener("change", (event) => set(event.matches ? "dark" : "light"));
  return button;
}
