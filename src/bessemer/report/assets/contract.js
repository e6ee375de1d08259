// A snapshot held to its contract: what is broken, how much of it, since when, and every rule.

const K = JSON.parse(document.getElementById("bessemer-data").textContent);
const panel = (title, hint, ...body) => h("div", { class: "card" }, title && h("h3", null, title), hint && h("p", { class: "hint" }, hint), body);
const fact = (name, value, more) => h("div", null, h("dt", null, name), h("dd", null, value, more && h("small", null, more)));
const SEVERITY = { stop: ["✗", "stops the run"], quarantine: ["◐", "rows set aside"], warn: ["△", "told"] }, GRAVITY = { stop: 3, quarantine: 2, warn: 1 };
const severityOf = (name) => h("span", { class: name === "warn" ? "badge" : "badge bad" }, `${SEVERITY[name][0]} ${SEVERITY[name][1]}`);
const moment = (time) => String(time || "").slice(0, 16).replace("T", " ");
const part = (share) => (has(share) ? (share > 0 && share < 0.0001 ? "<0.01%" : fixed(100 * share, 2) + "%") : MISSING);
const brokenNames = new Set(K.findings.map((found) => found.name));

function outcome() {
  const verdict = h("span", { class: K.passed ? "badge" : "badge bad" }, K.passed ? (brokenNames.size ? "✓ goes on" : "✓ keeps the contract") : "✗ stops the run");
  return [
    h("p", { class: "lead" }, verdict),
    !K.passed && h("div", { class: "callout" }, sentence(K.why), K.fix && h("div", { class: "hint" }, sentence(K.fix))),
    h("dl", { class: "facts" },
      fact("Rows", num(K.rows)),
      fact("Set aside", num(K.aside), ` ${part(K.rows ? K.aside / K.rows : 0)}, up to ${part(K.allowed)} may be`),
      fact("Rules", num(K.rules.length), ` ${num(brokenNames.size)} broken`),
      fact("Run", h("span", { class: "mono" }, K.run), ` ${moment(K.time)} UTC`)),
  ];
}

function broken() {
  if (!K.findings.length) return panel(null, null, h("p", null, K.inferred ? "The contract was written from these data just now: review it, edit it, commit it." : "Every rule is kept."));
  const values = (found) => (found.says ? [found.says] : found.samples.map((value) => (has(value) ? value : "(missing)")));
  const table = sortable([
    { name: "", cell: (found) => severityOf(found.severity), key: (found) => GRAVITY[found.severity], number: true },
    { name: "Rule", label: true, cell: (found) => h("span", { dir: "auto" }, found.rule) },
    { name: "Column", label: true, cell: (found) => h("span", { dir: "auto" }, found.column || "") , key: (found) => found.column },
    { name: "Rows", number: true, cell: (found) => num(found.rows), key: (found) => found.rows },
    { name: "Share", number: true, cell: (found) => part(found.share), key: (found) => found.share },
    { name: "Since", cell: (found) => h("span", { title: `run ${found.since.run || K.run}`, class: "iv" }, moment(found.since.time || K.time), (found.since.runs || 1) > 1 ? `, ${num(found.since.runs)} runs` : ", this run"), key: (found) => found.since.time },
    { name: "Such as", wide: true, cell: (found) => h("span", { class: found.says ? null : "mono", dir: "auto" }, values(found).join(" · ")) },
  ], K.findings, { label: "What is broken", limit: 60 });
  return panel(null, "Rows that are set aside are in the quarantine, each with the rules it breaks. A click on a head sorts.", table);
}

function rules() {
  const table = sortable([
    { name: "", cell: (rule) => (brokenNames.has(rule.name) ? "✗ broken" : "✓ kept"), key: (rule) => (brokenNames.has(rule.name) ? 0 : 1) },
    { name: "Column", label: true, cell: (rule) => h("span", { dir: "auto" }, rule.column), key: (rule) => rule.column },
    { name: "Rule", label: true, cell: (rule) => h("span", { dir: "auto" }, rule.rule) },
    { name: "It says", wide: true, cell: (rule) => h("span", { class: "mono", dir: "auto" }, rule.says) },
  ], K.rules, { label: "Every rule", limit: 100 });
  return K.rules.length > 0 && panel(null, null, table);
}

openPage([["overview", "What is broken"], ["rules", "Every rule"]], [
  ["overview", "summary", "Summary", null, outcome],
  ["overview", "broken", "What is broken", null, broken],
  ["rules", "every-rule", "Every rule", "What the contract says.", rules],
], K);
