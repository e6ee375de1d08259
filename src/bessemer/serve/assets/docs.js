"use strict";
(() => {
  const api = JSON.parse(document.getElementById("openapi").textContent);
  const schemas = api.components.schemas;
  const edited = new Map(); // what was typed, a text a route

  /** An element: h("p", {class: "quiet"}, "text", child...). Text is never read as HTML. */
  const h = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  };

  const routes = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation, id: operation.operationId })));
  const bodyOf = (route) => route.operation.requestBody?.content["application/json"];
  const pretty = (value) => JSON.stringify(value, null, 2);
  const number = (value) =>
    typeof value !== "number" ? String(value)
      : Number.isInteger(value) ? value.toLocaleString("en") : String(+value.toPrecision(4));

  // JSON with colours -------------------------------------------------------------------------------
  const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;
  const coloured = (text) => {
    const pre = h("pre", { tabindex: "0" });
    let place = 0;
    for (const found of text.matchAll(TOKENS)) {
      pre.append(text.slice(place, found.index));
      const [whole, string, colon, digits] = found;
      const kind = string ? (colon ? "key" : "string") : digits ? "number" : "word";
      pre.append(h("span", { class: kind }, string ?? whole), colon ?? "");
      place = found.index + whole.length;
    }
    pre.append(text.slice(place));
    return pre;
  };

  // what a prediction says ---------------------------------------------------------------------------
  const bar = (label, share, text, down) => {
    const track = h("div", { class: down === undefined ? "track" : "track signed" });
    const fill = h("i", { class: down ? "down" : null });
    const width = Math.max(0, Math.min(1, share)) * (down === undefined ? 100 : 50);
    fill.style.width = `${width}%`;
    fill.style.left = down === undefined ? "0" : `${down ? 50 - width : 50}%`;
    track.append(fill);
    return [h("span", { class: "label" }, label), track, h("span", { class: "value" }, text)];
  };
  const shares = (probability) =>
    Object.entries(probability).sort((a, b) => b[1] - a[1]).slice(0, 6)
      .flatMap(([name, p]) => bar(name, p, `${(100 * p).toFixed(1)}%`));
  const pushes = ({ base, score, contributions }) => {
    const sorted = Object.entries(contributions).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, 10);
    const most = Math.max(1e-12, ...sorted.map(([, value]) => Math.abs(value)));
    return [
      h("h4", {}, `Why the score is ${number(score)}, where the average is ${number(base)}`),
      h("div", { class: "bars" }, ...sorted.flatMap(([name, value]) =>
        bar(name, Math.abs(value) / most, `${value < 0 ? "−" : "+"}${number(Math.abs(value))}`, value < 0))),
    ];
  };
  const told = (answer) => {
    const rows = Array.isArray(answer?.predictions) ? answer.predictions.slice(0, 3) : [];
    return rows.map((row, i) => {
      const one = row !== null && typeof row === "object" ? row : { prediction: row };
      const why = one.explanation ?? answer.explanations?.[i];
      return h("div", { class: "told" },
        h("p", { class: "answer" }, number(one.prediction)),
        one.probability ? h("h4", {}, "Probability") : null,
        one.probability ? h("div", { class: "bars" }, ...shares(one.probability)) : null,
        ...(why ? pushes(why) : []));
    });
  };

  // sending ------------------------------------------------------------------------------------------
  const send = async (route, text, place, button) => {
    button.disabled = true;
    const start = performance.now();
    try {
      const options = text === null ? {} : { method: route.method.toUpperCase(), body: text, headers: { "content-type": "application/json" } };
      const response = await fetch(route.path, options);
      const received = await response.text();
      const time = performance.now() - start;
      let parsed = null;
      try { parsed = JSON.parse(received); } catch { /* shown as it is */ }
      show(place, response, parsed, received, time);
    } catch (error) {
      place.replaceChildren(h("div", { class: "bar" }, h("h3", {}, "Answer"), h("span", { class: "status bad" }, "no answer")),
        h("p", { class: "empty" }, `The server cannot be reached: ${error.message}`));
    }
    button.disabled = false;
  };
  const show = (place, response, parsed, received, time) =>
    place.replaceChildren(
      h("div", { class: "bar" }, h("h3", {}, "Answer"),
        h("span", { class: `status ${response.ok ? "good" : "bad"}` }, `${response.status} ${response.statusText}`),
        h("span", { class: "quiet push" }, `${time.toFixed(0)} ms`)),
      ...(response.ok ? told(parsed) : []),
      coloured(parsed === null ? received : pretty(parsed)));

  // code ---------------------------------------------------------------------------------------------
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const compact = (text) => { try { return JSON.stringify(JSON.parse(text)); } catch { return text; } };
  const python = (value) => JSON.stringify(value, null, 4)
    .replace(TOKENS, (whole, string, colon, digits, word) =>
      word ? { true: "True", false: "False", null: "None" }[word] : whole);
  const codes = {
    curl: (url, text) => text === null ? `curl ${quoted(url)}`
      : `curl ${quoted(url)} \\\n  -H 'content-type: application/json' \\\n  -d ${quoted(compact(text))}`,
    Python: (url, text) => {
      let body = "";
      try { body = text === null ? "" : `, json=${python(JSON.parse(text))}`; } catch { body = ", json=..."; }
      return `import httpx\n\nanswer = httpx.${text === null ? "get" : "post"}(${JSON.stringify(url)}${body})\nprint(answer.json())`;
    },
  };
  const codeCard = (state) => {
    let kind = "curl";
    const content = h("pre", { tabindex: "0" });
    const tabs = Object.keys(codes).map((name) => h("button", { type: "button", role: "tab", onclick: () => pick(name) }, name));
    const copy = h("button", { type: "button", class: "push", onclick: async () => {
      await navigator.clipboard?.writeText(content.textContent);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1200);
    } }, "Copy");
    const refresh = () => { content.textContent = codes[kind](location.origin + state.url(), state.text()); };
    const pick = (name) => {
      kind = name;
      tabs.forEach((tab) => tab.setAttribute("aria-selected", tab.textContent === name));
      refresh();
    };
    pick(kind);
    const bar = h("div", { class: "bar" }, h("h3", {}, "Code"), h("div", { class: "tabs", role: "tablist" }, ...tabs), copy);
    return [h("div", { class: "card" }, bar, content), refresh];
  };

  // schemas ------------------------------------------------------------------------------------------
  const typeOf = (schema) => schema.anyOf ? typeOf(schema.anyOf[0]) : schema.enum ? schema.enum.map((value) => JSON.stringify(value)).join(", ")
    : schema.format ?? [schema.type].flat().filter((type) => type !== "null").join(" or ");
  const rowTable = () => {
    const { properties, required } = schemas.Row;
    const lines = Object.entries(properties).map(([name, schema]) => h("tr", {},
      h("td", {}, name, required.includes(name) ? h("span", { class: "tag" }, "required") : null),
      h("td", {}, typeOf(schema)), h("td", { class: "quiet" }, schema.description ?? "")));
    return h("section", { class: "section" }, h("h3", {}, "A row"),
      h("div", { class: "card scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, h("th", {}, "Input"), h("th", {}, "Type"), h("th", {}, "Values"))), h("tbody", {}, ...lines))));
  };
  const schemaCards = (route) => {
    const answer = route.operation.responses["200"].content["application/json"].schema;
    const bodies = [["Request schema", bodyOf(route)?.schema], ["Answer schema", answer]].filter(([, schema]) => schema);
    return bodies.map(([title, schema]) =>
      h("details", {}, h("summary", {}, title), h("div", { class: "card" }, coloured(pretty(schema)))));
  };

  // a route ------------------------------------------------------------------------------------------
  const requestCard = (route, state, answer) => {
    const body = bodyOf(route);
    const button = h("button", { type: "button", class: "main" }, "Send");
    const go = () => send(route, state.text(), answer, button);
    button.addEventListener("click", go);
    const bar = h("div", { class: "bar" }, h("h3", {}, "Request"), h("span", { class: "push" }, button));
    if (!body) return h("div", { class: "card" }, bar, h("p", { class: "empty" }, "This request has no body."));
    state.area.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) go(); });
    return h("div", { class: "card" }, bar, state.area);
  };
  const open = (route) => {
    const body = bodyOf(route);
    const area = h("textarea", { spellcheck: "false", autocomplete: "off", "aria-label": "Request body" });
    area.value = edited.get(route.id) ?? (body?.example === undefined ? "" : pretty(body.example));
    const state = { area, text: () => (body ? area.value : null), url: () => route.path };
    const answer = h("div", { class: "card" }, h("div", { class: "bar" }, h("h3", {}, "Answer")),
      h("p", { class: "empty" }, "Send the request to see the answer."));
    const [code, refresh] = codeCard(state);
    area.addEventListener("input", () => { edited.set(route.id, area.value); refresh(); });
    document.getElementById("route").replaceChildren(
      h("div", { class: "title" }, h("span", { class: `method ${route.method}` }, route.method.toUpperCase()), h("h2", {}, route.path)),
      h("p", { class: "quiet" }, route.operation.summary),
      h("div", { class: "panes" }, requestCard(route, state, answer), answer),
      h("div", { class: "section" }, code),
      body ? rowTable() : "",
      h("section", { class: "section" }, h("h3", {}, "Schemas"), ...schemaCards(route)));
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash === `#${route.id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };

  document.getElementById("name").textContent = api.info.title;
  document.getElementById("about").textContent = api.info.description.replaceAll("`", "");
  document.getElementById("version").textContent = `Version ${api.info.version}`;
  document.getElementById("routes").append(...api.tags.flatMap((tag) => [
    h("h2", {}, tag.name),
    ...routes.filter((route) => route.operation.tags[0] === tag.name).map((route) =>
      h("a", { href: `#${route.id}` }, h("span", { class: `method ${route.method}` }, route.method.toUpperCase()), h("span", {}, route.path))),
  ]));
  const follow = () => open(routes.find((route) => `#${route.id}` === location.hash) ?? routes[0]);
  addEventListener("hashchange", follow);
  follow();
})();
