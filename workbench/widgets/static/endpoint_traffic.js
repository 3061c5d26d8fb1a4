// Who answers: a slider for each version, a shadow, the budget at which a version is taken back; and who may ask.

function trafficOf(panel) {
  const box = h("div"), sliders = h("div"), rows = h("div"), back = h("div"), seen = h("div", { style: "margin-top:16px" }, back, rows);
  const wish = {}, names = {}, shadow = h("select", { "aria-label": "Shadow" });
  const number = (label, props) => h("input", { type: "number", min: 0, step: "any", placeholder: "any", "aria-label": label, ...props });
  const errors = number("Largest share of errors in %", { max: 99 }), slow = number("Slow from ms on");
  const asked = () => {
    const budget = {};
    if (errors.value !== "") budget.errors = Number(errors.value) / 100;
    if (slow.value !== "") budget.latency_ms = Number(slow.value);
    return { weights: Object.fromEntries(Object.entries(wish).filter(([, w]) => w > 0).map(([version, w]) => [names[version], w])), shadow: shadow.value || null, budget };
  };
  let known = "";
  function build(t) {
    known = JSON.stringify([t.choices, t.traffic]);
    for (const key of Object.keys(wish)) delete wish[key];
    const shares = Object.fromEntries(t.versions.map((v) => [v.version, v.share]));
    put(sliders, ...t.choices.map((c) => {
      names[c.version] = c.alias || c.version;
      wish[c.version] = Math.round(100 * (shares[c.version] || 0));
      const out = h("output", { class: "wb-value", text: ` ${wish[c.version]} %` });
      return h("label", { class: "wb-field" }, h("span", { class: "wb-label" }, `version ${c.version}${c.alias ? ` · ${c.alias}` : ""}`, out), h("input", { type: "range", min: 0, max: 100, step: 1, value: wish[c.version], "aria-label": `Share of version ${c.version}`, "data-version": c.version, oninput: (e) => { wish[c.version] = Number(e.target.value); out.textContent = ` ${e.target.value} %`; } }));
    }));
    put(shadow, h("option", { value: "", text: "none" }), t.choices.map((c) => h("option", { value: c.alias || c.version, text: `version ${c.version}`, selected: c.version === t.shadow })));
    errors.value = t.traffic.budget?.errors == null ? "" : 100 * t.traffic.budget.errors;
    slow.value = t.traffic.budget?.latency_ms ?? "";
    put(box, h("h3", { text: "traffic" }), ...(t.choices.length < 2 ? [h("p", { class: "wb-small", text: "One version is registered; with a second one, requests can be shared out, or copied to it in the shadow." })] : panel.isReadonly() ? [] : [
      sliders, h("div", { class: "wb-pair", style: "gap:8px" }, field("shadow gets copies", shadow), h("span")), h("div", { class: "wb-pair", style: "gap:8px" }, field("take back at errors %", errors), field("or slow from ms", slow)),
      h("div", { class: "wb-row" }, action(panel, "traffic", "Apply", asked, "wb-accent"), t.is_shared ? action(panel, "traffic_clear", "All to the first", {}) : "")]));
  }
  panel.on("traffic", () => {
    const t = panel.get("traffic") || {};
    box.hidden = !t.choices;
    if (!t.choices) return;
    if (JSON.stringify([t.choices, t.traffic]) !== known) build(t);
    put(rows, t.is_shared ? [h("h3", { text: "by version" }), table([{ name: "version", left: true }, { name: "share" }, { name: "answered" }, { name: "5xx" }, { name: "copies in the shadow", left: true }],
      t.versions.map((v) => ({ key: v.version, cells: [`${v.version}${v.alias ? ` · ${v.alias}` : ""}`, `${Math.round(100 * v.share)} %`, fmt.count(v.requests), h("span", { class: v.errors ? "wb-bad" : null, text: fmt.count(v.errors) }), v.copies || "–"] })), "Answers by version")] : "");
    put(back, t.taken_back ? h("p", { class: "wb-warn", text: `▲ version ${t.taken_back.version} was taken back: ${t.taken_back.reason}` }) : "");
  });
  return { box, seen };
}

function tokensOf(panel) {
  const box = h("div");
  const name = h("input", { type: "text", "aria-label": "Token name", placeholder: "who" });
  const scope = h("select", { "aria-label": "Scope" }, ["predict", "manage"].map((s) => h("option", { value: s, text: s })));
  const until = h("select", { "aria-label": "Valid for" }, [["1d", "a day"], ["30d", "30 days"], ["", "ever"]].map(([value, text]) => h("option", { value, text })));
  const rate = h("input", { type: "number", min: 0, step: "any", placeholder: "any", "aria-label": "Most requests a second" });
  const adding = details("add", h("div", { class: "wb-pair", style: "gap:8px" }, field("name", name), field("may", scope)), h("div", { class: "wb-pair", style: "gap:8px" }, field("valid for", until), field("a second", rate)),
    action(panel, "add_token", "Add and copy it", () => ({ name: name.value.trim(), scope: scope.value, expires: until.value, rate: rate.value === "" ? null : Number(rate.value) })));
  panel.model.on("msg:custom", (message) => { if (message?.token && message.made) name.value = rate.value = ""; });
  const list = h("div");
  put(box, h("h3", { text: "tokens" }), list, h("p", { class: "wb-small", text: "Their text is shown nowhere: Copy token puts yours on the clipboard, adding one puts that there." }), panel.isReadonly() ? "" : adding);
  panel.on("tokens", () => put(list, facts((panel.get("tokens") || []).map((t) => [h("span", {}, t.name, t.is_ours || panel.isReadonly() ? "" : confirmed(panel, "revoke_token", "Revoke", `Shut out ${t.name}?`, { name: t.name }, "wb-quiet")), t.words]))));
  return box;
}
