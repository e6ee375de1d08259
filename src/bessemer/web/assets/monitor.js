// The monitor's page: asks for the state every few seconds and draws what has changed.

const EVERY = 5000, CARDS = 6;
const DAY = 86400000;
const dayOf = (moment) => Date.parse(moment + "Z") / DAY; // days since 1970, UTC
const two = (n) => String(n).padStart(2, "0");
const moment = (stamp) => stamp.slice(0, 16).replace("T", " ");

// Ticks of time: whole days, hours, minutes or seconds, so that midnight is where one looks for it.
const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000];
function timeAxis(domain) {
  const chosen = (count) => STEPS.find((step) => ((domain[1] - domain[0]) * 86400) / step <= count) || 31536000;
  const step = (count) => chosen(count) / 86400;
  return {
    domain,
    ticks: (low, high, count) => { const by = step(count), found = []; for (let t = Math.ceil(low / by) * by; t <= high + 1e-9; t += by) found.push(t); return found; },
    format: (v) => {
      const when = new Date(Math.round(v * 86400) * 1000), date = `${when.getUTCDate()} ${when.toLocaleString("en-GB", { month: "short", timeZone: "UTC" })}`;
      const span = domain[1] - domain[0], time = `${two(when.getUTCHours())}:${two(when.getUTCMinutes())}`;
      return span > 4 ? date : span > 0.02 ? (time === "00:00" ? date : time) : `${time}:${two(when.getUTCSeconds())}`;
    },
  };
}

const section = (id, title, intro, ...body) => h("section", { id, "aria-labelledby": id + "-title" }, h("h2", { id: id + "-title" }, title), intro && h("p", { class: "intro" }, intro), ...body);

// What is served ------------------------------------------------------------------------------------------
function served(state) {
  const newest = state.windows[state.windows.length - 1];
  const now = state.versions.filter((each) => each.current);
  const rows = state.windows.reduce((sum, window) => sum + window.rows, 0);
  const known = state.windows.filter((window) => window.labelled);
  const labelled = known.reduce((sum, window) => sum + window.labelled, 0);
  const fact = (name, value, more) => h("div", null, h("dt", null, name), h("dd", null, value, more && h("small", null, more)));
  return section("served", "What is served", null, h("dl", { class: "facts" },
    fact("Version", words(now.map((each) => each.version)), `of ${state.model}, since ${moment(now[0].since)}`),
    fact("Last window", plural(newest.rows, "row"), `${moment(newest.start)} to ${newest.end.slice(11, 16)} UTC`),
    fact("Out of the ordinary", plural(state.alerts.length, "open finding"), `${plural(newest.found, "finding")} in the last window`),
    fact("Labels", rows ? percent(labelled / rows) : MISSING, `of ${plural(rows, "row")} in ${plural(state.windows.length, "window")}`)));
}

// Findings and what to do about each ----------------------------------------------------------------------
// What several detectors say of one thing is one card; what a version is told that no longer serves is counted only.
const RANK = ["critical", "error", "warning", "info"];
function grouped(found) {
  const groups = new Map();
  for (const one of found) {
    const key = JSON.stringify([one.kind, one.column, one.version]);
    groups.set(key, [...(groups.get(key) || []), one]);
  }
  const rank = (group) => Math.min(...group.map((one) => RANK.indexOf(one.severity)));
  const ordered = [...groups.values()].map((group) => group.sort((a, b) => RANK.indexOf(a.severity) - RANK.indexOf(b.severity)));
  return ordered.sort((a, b) => rank(a) - rank(b) || b[0].windows - a[0].windows);
}
function alertCard(group) {
  const [first] = group, since = group.map((one) => one.since).sort()[0], windows = Math.max(...group.map((one) => one.windows));
  return h("article", { class: "alert", "data-severity": first.severity },
    h("span", { class: "when" }, `${word(first.severity)}, since ${moment(since)}, in ${plural(windows, "window")}, version ${first.version}`),
    h("h3", null, first.title), group.slice(0, 3).map((one) => h("p", null, one.text)), h("p", { class: "do" }, first.cause), first.command && h("code", null, first.command));
}
function alerts(state) {
  const current = new Set(state.versions.filter((each) => each.current).map((each) => each.version));
  const groups = grouped(state.alerts.filter((one) => current.has(one.version))), past = state.alerts.filter((one) => !current.has(one.version)).length;
  const calm = h("p", { class: "calm" }, h("b", { "aria-hidden": "true" }, "✓"), "Nothing is out of the ordinary.");
  const box = h("div", { class: "alerts" }), put = (count) => box.replaceChildren(...groups.slice(0, count).map(alertCard));
  put(CARDS);
  return section("alerts", "Findings, and what to do", "What was found and has not ended yet.",
    groups.length ? expandable(box, groups.length, CARDS, () => put(groups.length)) : calm,
    past > 0 && h("p", { class: "hint after" }, `${plural(past, "finding")} more, of versions that answered nothing in the last window.`));
}

// Performance over time -----------------------------------------------------------------------------------
const middle = (window) => (dayOf(window.start) + dayOf(window.end)) / 2;
const deployments = (state) => state.versions.map((each) => ({ x: dayOf(each.since), version: each.version }));

function performanceOver(state) {
  const known = state.windows.filter((window) => window.metric && (window.measured || window.estimated));
  if (!known.length) return null;
  const metric = known[known.length - 1].metric;
  const mine = known.filter((window) => window.metric === metric);
  const figures = (kind) => mine.filter((window) => window[kind] && has(window[kind].value));
  const line = (kind) => figures(kind).map((window) => [middle(window), window[kind].value]);
  const band = (kind) => figures(kind).filter((window) => has(window[kind].low)).map((window) => [middle(window), window[kind].low, window[kind].high]);
  const reference = mine.map((window) => [middle(window), window.reference && window.reference.value]).filter((point) => has(point[1]));
  const values = [...line("measured"), ...line("estimated"), ...reference].map((point) => point[1])
    .concat(band("measured").flatMap((point) => point.slice(1)), band("estimated").flatMap((point) => point.slice(1)));
  const y = extent(values, 0.08), x = timeAxis(extent([...mine.map(middle), ...deployments(state).map((d) => d.x)], 0.02));
  const drawn = (label, draw) => draw.length > 1 ? [{ kind: "line", points: draw, ...label }] : [];
  const marks = deployments(state).map(({ x: where }) => ({ kind: "whiskers", color: 3, points: [[where, y[0], y[1]]] }));
  const stops = mine.map((window) => ({ x: middle(window), title: `${moment(window.start)}, version ${window.version}`,
    lines: [window.measured && `measured ${score(window.measured.value)} ${interval(window.measured)} on ${plural(window.labelled, "label")}`,
      window.estimated && `estimated ${score(window.estimated.value)} ${interval(window.estimated)}`,
      window.reference && `when it was made ${score(window.reference.value)}`, plural(window.rows, "row")].filter(Boolean) }));
  return section("performance", `${word(metric)} over time`, "Measured where labels have come, estimated where they have not. Upright lines: a version's first requests.",
    h("div", { class: "card" },
      xy({ label: `${word(metric)} by window`, x, y: { domain: y }, hover: stops, height: 280, layers: [
        { kind: "band", color: 1, points: band("measured") }, { kind: "band", color: 2, points: band("estimated") },
        ...drawn({ color: 3, dash: true, thin: true }, reference), ...drawn({ color: 2 }, line("estimated")), ...drawn({ color: 1 }, line("measured")),
        { kind: "dots", color: 2, points: line("estimated"), radius: 2.5 }, { kind: "dots", color: 1, points: line("measured"), radius: 2.5 }, ...marks] }),
      legend([[1, "measured, 95 %"], [2, "estimated without labels, 95 %"], [3, "when the model was made"]]),
      versionsLine(state)));
}
const versionsLine = (state) => h("p", { class: "hint after" }, state.versions.map((each) => `${each.version} from ${moment(each.since)}`).join(" · "));

// Drift over time -----------------------------------------------------------------------------------------
function drift(state) {
  const columns = state.drift.columns, windows = state.windows.slice(-Math.max(0, ...columns.map((column) => column.values.length)));
  if (!columns.length) return null;
  const name = Math.min(190, 30 + 7 * Math.max(...columns.map((column) => column.name.length)));
  const draw = (width) => {
    const cell = Math.max(5, (width - name - 10) / windows.length), height = 18;
    const left = (i) => name + i * cell;
    const grade = (value) => (value >= 1 ? "found" : value >= 0.5 ? "some" : "none");
    const shown = (text) => (text.length > 24 ? text.slice(0, 23) + "…" : text);
    const first = (i) => i > 0 && windows[i].version !== windows[i - 1].version;
    return s("svg", { width: left(windows.length) + 4, height: columns.length * (height + 2) + 26, role: "img",
      "aria-label": `Drift of ${plural(columns.length, "column")} in ${plural(windows.length, "window")}: ${columns.filter((c) => c.values.some((v) => v >= 1)).map((c) => c.name).join(", ") || "none was found"}` },
      columns.map((column, row) => [
        s("text", { class: "name", x: name - 8, y: row * (height + 2) + 13, "text-anchor": "end" }, shown(column.name)),
        column.values.map((value, i) => has(value) && s("rect", { class: "cell " + grade(value), x: left(i), y: row * (height + 2), width: Math.max(1, cell - 1), height, rx: 1.5,
          ...tipped(column.name, [`${moment(windows[i].start)}, version ${windows[i].version}`, value >= 1 ? "found" : `${percent(value)} of the way to a finding`]) }))]),
      windows.map((window, i) => first(i) && s("line", { class: "mark", x1: left(i) - 0.5, x2: left(i) - 0.5, y1: 0, y2: columns.length * (height + 2) })),
      windows.map((window, i) => (i === 0 || i === windows.length - 1) && s("text", { x: i ? left(windows.length) : name, y: columns.length * (height + 2) + 16, "text-anchor": i ? "end" : "start" }, moment(window.start))));
  };
  const swatch = (kind, said) => h("span", null, h("i", { class: "swatch " + kind }), said);
  return section("drift", "Drift over time", "A row a column, a square a window: how sure it is that the column is not what it was.",
    h("div", { class: "card" }, h("div", { class: "heat" }, responsive(draw)),
      h("div", { class: "legend" }, swatch("found", "found"), swatch("some", "halfway to a finding"), swatch("none", "nothing speaks for it")),
      state.drift.more > 0 && h("p", { class: "hint after" }, `${plural(state.drift.more, "more column")} with less are not shown.`)));
}

// Retrainings and the newest findings ---------------------------------------------------------------------
function retrainings(state) {
  if (!state.retrainings.length) return null;
  const columns = [
    { name: "Begun", cell: (one) => moment(one.begun) }, { name: "Version", cell: (one) => one.version },
    { name: "Because", cell: (one) => word(one.cause) }, { name: "Outcome", cell: (one) => h("b", null, word(one.outcome || one.step)) },
    { name: "Why", cell: (one) => h("span", null, one.why.split("\n")[0]), wide: true },
  ];
  return section("retrainings", "Trained again", "Compared with the served model on fresh rows that neither has seen.", sortable(columns, state.retrainings, { label: "Retrainings", limit: 12 }));
}
function findings(state) {
  if (!state.findings.length) return null;
  const columns = [
    { name: "Window", cell: (one) => moment(one.start) }, { name: "Version", cell: (one) => one.version }, { name: "What", cell: (one) => one.column, label: true },
    { name: "Kind", cell: (one) => word(one.kind) }, { name: "Found by", cell: (one) => word(one.detector) }, { name: "Text", cell: (one) => one.text, wide: true },
  ];
  return section("findings", "The newest findings", null, sortable(columns, state.findings, { label: "Findings", limit: 15 }));
}

// Asking and drawing --------------------------------------------------------------------------------------
const PARTS = [served, alerts, performanceOver, drift, retrainings, findings];
const live = document.getElementById("live");
const chosen = { model: "", mark: "" };

function draw(state) {
  const main = document.getElementById("main");
  document.getElementById("title").textContent = state.model || "Monitor";
  document.title = state.model ? `${state.model}: monitor` : "Bessemer monitor";
  pickModel(state);
  if (!state.windows || !state.windows.length) {
    main.replaceChildren(h("p", { class: "callout" }, "No window was looked at yet. ", h("code", null, "bessemer monitor watch PACKAGE"), " looks at the prediction log of a model."));
    return;
  }
  hideTip();
  main.replaceChildren(...PARTS.map((part) => part(state)).filter(Boolean));
}
function pickModel(state) {
  const box = document.getElementById("models"), select = box.querySelector("select");
  box.hidden = state.models.length < 2;
  select.replaceChildren(...state.models.map((name) => h("option", { value: name, selected: name === state.model }, name)));
}
function tell(good, said) {
  if (live.textContent !== said) live.textContent = said;
  live.dataset.live = String(good);
}
async function look() {
  const days = document.getElementById("days").value;
  try {
    const answer = await fetch(`/state.json?${new URLSearchParams({ model: chosen.model, days })}`, { headers: chosen.mark ? { "If-None-Match": chosen.mark } : {}, cache: "no-store" });
    if (answer.status !== 304) {
      const state = await answer.json();
      if (!answer.ok) throw new Error(state.error);
      chosen.mark = answer.headers.get("etag") || "";
      draw(state);
    }
    tell(true, "live");
  } catch (error) {
    tell(false, error instanceof TypeError ? "the monitor does not answer" : String(error.message));
  }
  document.documentElement.dataset.ready = "true";
}
async function watch() {
  await look();
  setTimeout(watch, EVERY);
}
const again = () => { chosen.mark = ""; look(); };

function theme() {
  const root = document.documentElement, button = document.getElementById("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  const set = (name) => { root.dataset.theme = name; button.textContent = name === "dark" ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to the ${button.textContent.toLowerCase()} theme`); };
  button.addEventListener("click", () => set(root.dataset.theme === "dark" ? "light" : "dark"));
  set(dark.matches ? "dark" : "light");
}

theme();
document.getElementById("days").addEventListener("change", again);
document.querySelector("#models select").addEventListener("change", (event) => { chosen.model = event.target.value; again(); });
watch();
