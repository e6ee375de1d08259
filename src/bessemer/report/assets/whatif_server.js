// Asking a running server, which the page does when its reader presses the button, and never by itself.

function serverView(D, row) {
  const W = D.whatif, said = h("div", { class: "after", role: "status" });
  const address = h("input", { class: "filter", type: "url", value: predictAddress(W.server), "aria-label": "Address of the server" });
  const show = (...children) => said.replaceChildren(...children.flat());
  async function ask() {
    if (new URL(address.value, W.server).origin !== new URL(W.server).origin) return show(h("p", { class: "hint" }, `This page may ask ${new URL(W.server).origin} only: the project file says so (report: server).`));
    show(h("p", { class: "hint" }, "Asking…"));
    try {
      const response = await fetch(address.value, { method: "POST", headers: { "content-type": "application/json" }, credentials: "omit", body: JSON.stringify({ rows: [row()], explain: true }) });
      const body = await response.json();
      show(response.ok ? served(D, body.predictions[0], row()) : h("p", { class: "hint" }, `The server answered ${response.status}: ${(body.error && body.error.message) || "no reason given"}`));
    } catch {
      show(h("p", { class: "hint" }, "No answer. Is the server running, and does it let this page ask (serve: {cors: {origins: [\"*\"]}})?"));
    }
  }
  return h("div", { class: "card server" }, h("h3", null, "Ask the server"), h("p", { class: "hint" }, "The values of the row are sent to this address when you press the button, and at no other time."),
    h("div", { class: "bar" }, address, h("button", { class: "pill", onclick: ask }, "Ask")), said);
}
const predictAddress = (server) => (new URL(server).pathname === "/" ? server.replace(/\/$/, "") + "/predict" : server);

// A row of the plain protocol: prediction, for classes probability {class: p}, and explanation {base, score, contributions}; a number alone is a regression's.
function served(D, answer, row) {
  const whole = typeof answer === "object" ? answer : { prediction: answer }, why = whole.explanation, shares = whole.probability || {};
  const fact = (name, value) => h("div", null, h("span", null, name), h("bdi", null, value)), wanted = D.task === "binary" ? D.positive : whole.prediction;
  return [h("div", { class: "stats spread" }, fact("Prediction", text(whole.prediction)),
    Object.hasOwn(shares, String(wanted)) && fact(`Probability of ${text(wanted)}`, percent(shares[String(wanted)], 1)), why && fact("Score", score(why.score))),
  ...(why ? waterfall({ row, ...why }) : [])];
}
