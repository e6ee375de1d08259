// The page: sections in order, the way around in them, and the theme.

const SECTIONS = [
  ["summary", "Summary", null, summary],
  ["gates", "Gates", "Whether the model may ship, and whether it is better than something simpler.", gates],
  ["performance", "Performance", "How well it predicts rows it has never seen.", metrics],
  ["slices", "Slices", "Whether it is equally good everywhere. An interval that clears the dashed line is hardly chance.", slices],
  ["importance", "Importance", "Which columns the model leans on.", importance],
  ["dependence", "Dependence", "What a column adds to the score, by its value. Bands and whiskers hold 80% of the rows: a wide one means that other columns change the effect.", dependence],
  ["examples", "Examples", "Single test rows, from the base to their score.", examples],
  ["training", "Training", "How it was found.", training],
  ["data", "Data", "What it learned from.", data],
  ["features", "Features", "What the learner sees, computed inside the model from the raw columns.", features],
  ["provenance", "Provenance", "The same project, data and seed give the same bytes.", provenance],
  ["timings", "Where the time went", null, timings],
];

function drawSection([id, title, intro, make], data) {
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

function navigation(sections) {
  const mark = s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { class: "f0", d: "M3 1h10l-1.6 7.2a3.6 3.6 0 0 1-6.8 0zM2 14h12v1.6H2z" }));
  const links = sections.map((section) => h("a", { href: "#" + section.id }, section.getAttribute("aria-label")));
  const theme = h("button", { class: "theme", type: "button", onclick: () => setTheme(dark() ? "light" : "dark") });
  document.getElementById("nav").append(h("span", { class: "brand" }, mark, "Bessemer"), ...links, theme);
  const dark = () => document.documentElement.dataset.theme === "dark";
  const setTheme = (name) => { document.documentElement.dataset.theme = name; theme.textContent = name === "dark" ? "Light" : "Dark"; theme.setAttribute("aria-label", `Switch to the ${name === "dark" ? "light" : "dark"} theme`); };
  const wanted = document.documentElement.dataset.theme, system = matchMedia("(prefers-color-scheme: dark)");
  setTheme(wanted === "auto" ? (system.matches ? "dark" : "light") : wanted);
  if (wanted === "auto") system.addEventListener("change", (event) => setTheme(event.matches ? "dark" : "light"));
  follow(sections, links);
}

// The link of the section in view is marked.
function follow(sections, links) {
  const mark = () => {
    const line = innerHeight * 0.3, end = scrollY + innerHeight >= document.documentElement.scrollHeight - 4;
    let current = 0;
    sections.forEach((section, i) => { if (section.getBoundingClientRect().top <= line) current = i; });
    if (end && scrollY > 0) current = sections.length - 1;
    links.forEach((link, i) => {
      if (i === current && !link.hasAttribute("aria-current")) { link.setAttribute("aria-current", "true"); if (innerWidth <= 1020) link.parentElement.scrollTo({ left: link.offsetLeft - 80 }); }
      if (i !== current) link.removeAttribute("aria-current");
    });
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}

const DATA = JSON.parse(document.getElementById("bessemer-data").textContent);
const drawn = SECTIONS.map((section) => drawSection(section, DATA)).filter(Boolean);
document.getElementById("main").append(...drawn, h("footer", null, "Made by Bessemer. This page is one file: it loads nothing and sends nothing."));
navigation(drawn);
document.querySelectorAll(".chart").forEach((chart) => chart.redraw());
addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
document.documentElement.dataset.ready = "true";
