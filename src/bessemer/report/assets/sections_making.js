// What went in, what the learner sees, and where the page comes from.

function features(D) {
  if (!D.features.length) return null;
  return card("Features", null, sortable([
    { name: "Feature", label: true, cell: (f) => h("span", { title: f.name }, f.name), key: (f) => f.name },
    { name: "Made from", label: true, cell: (f) => h("span", { title: f.group }, f.group), key: (f) => f.group },
    { name: "Kind", cell: (f) => String(f.kind || "").replace(/_/g, " "), key: (f) => f.kind },
    { name: "Meaning", wide: true, cell: (f) => f.meaning || "" },
  ], D.features, { label: "Features", limit: 40 }), D.features_left_out > 0 && h("p", { class: "hint after" }, `and ${plural(D.features_left_out, "feature")} more, in the run's features.json`));
}

// The card stands in the page as text, for readers without JavaScript.
function modelCard() {
  const card = document.getElementById("model-card");
  card.querySelectorAll(".scroll").forEach((node) => roomy.observe(node));
  card.classList.add("card");
  return card;
}

function provenance(D) {
  const P = D.provenance;
  return h("div", { class: "grid" },
    card("Run", null, h("dl", { class: "kv" }, [["Project", D.name], ["Version", D.version], ["Seed", String(P.seed)], ["Bessemer", P.bessemer]].filter((r) => has(r[1]) && r[1] !== "").map(([k, v]) => [h("dt", null, k), h("dd", { class: "mono" }, v)]))),
    card("Artifacts", "The content this page was made from, by SHA-256.", h("dl", { class: "kv" }, P.artifacts.map(([kind, digest]) => [h("dt", null, kind), h("dd", { class: "mono", title: digest }, digest.slice(0, 16))]))));
}

function timings() {
  const found = JSON.parse(document.getElementById("bessemer-timings").textContent);
  if (!found) return null;
  const stages = list(Array.isArray(found) ? found : found.stages);
  if (!stages.length) return null;
  const total = has(found.total) ? found.total : stages.reduce((sum, stage) => sum + (stage.seconds || 0), 0);
  return card(`${seconds(total)} in all`, null, forest(stages.map((stage) => ({ label: stage.stage, value: stage.seconds || 0, color: stage.status === "cached" ? 2 : 0, text: seconds(stage.seconds || 0), tip: stage.why, note: stage.status === "cached" ? "from the cache" : stage.why || stage.status })),
    { kind: "bar", notes: true, tick: (v) => seconds(v), format: seconds, label: "Seconds by stage" }));
}
