// Registered versions: a table, one version's lineage, files, audit; promote, roll back, verify.

function buildVersion(panel) {
  const left = h("div", { class: "wb-first" }), right = h("div", { class: "wb-detail" });
  panel.body.classList.add("wb-two");
  panel.body.append(left, right);
  const chips = (row) => row.aliases.map((a) => h("span", { class: "wb-chip", text: a }));
  const isShare = (row) => row.is_share;
  const beside = (own, other, words) => (other === null || other === undefined || own === null || own === undefined ? "–" : words(own, other));

  function list() {
    const s = panel.get("state");
    panel.title.textContent = s.name ? `Model ${s.name}` : "Models";
    const count = (s.rows || []).length + (s.more || 0);
    panel.status.textContent = `${fmt.count(count)} version${count === 1 ? "" : "s"}`;
    if (!(s.rows || []).length) { put(left, empty("Nothing is registered yet. Choose a variant in a study and press Register, or: wb.register(run, \"name\").")); put(right); return; }
    put(left, table([{ name: "version", left: true }, { name: "aliases", left: true }, { name: "score" }, { name: "size" }, { name: "ms" }, { name: "age" }, { name: "signed" }],
      s.rows.map((r) => ({ key: r.ref, class: s.selected?.ref === r.ref ? "wb-on" : null, onclick: () => panel.send("select", { ref: r.ref }),
        cells: [h("div", {}, h("button", { type: "button", class: "wb-quiet", "aria-pressed": String(s.selected?.ref === r.ref), text: r.ref.slice(6) }), h("div", { class: "wb-small wb-cut", title: r.recipe, text: r.recipe })), chips(r), fmt.score(r.score, isShare(r)), fmt.kb(r.size_bytes), fmt.sig(r.latency_ms), h("span", { title: r.created, text: age(r.created) }), signed(r.ref)] })), "Versions"), s.more ? h("p", { class: "wb-small" }, `and ${fmt.count(s.more)} older without an alias: `, h("code", { text: "wb.models()" })) : "", panel.isReadonly() ? "" : h("div", { class: "wb-row" }, action(panel, "verify_all", "Verify all", {})), below(s.selected));
  }
  const age = (time) => { const s = (Date.now() - Date.parse(time)) / 1000; return s < 90 ? "now" : s < 5400 ? `${Math.round(s / 60)} min` : s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`; };
  // What this kernel really checked, and when; nothing is claimed before.
  function signed(ref) {
    const c = (panel.get("checks") || {})[ref];
    return c ? h("span", { class: c.is_good ? "wb-good" : "wb-bad", title: c.words, "data-signed": String(c.is_good), text: `${c.is_good ? "✓" : "✕"} ${c.at}` }) : h("span", { class: "wb-small", text: "not checked" });
  }
  const chain = (steps) => h("ol", { class: "wb-chain" }, steps.map(([name, value]) => h("li", {}, h("span", { class: "wb-small", text: name }), h("b", { text: value }))));
  function below(v) {
    const c = v.champion;
    const own = c && c.ref === v.ref;
    return h("div", { class: "wb-pair", style: "margin-top:16px" }, h("div", {}, h("h3", { text: "from data to endpoint" }), chain(v.lineage)),
      h("div", {}, h("h3", { text: own ? "it is the champion" : c ? `beside the champion, ${c.ref.slice(6)}` : "no champion yet" }),
        facts([[v.metric || "score", own || !c ? fmt.score(v.score, isShare(v)) : beside(v.score, c.score, (a, b) => `${fmt.score(a, isShare(v))} (${fmt.drop(a - b, isShare(v))})`)],
          ["size", own || !c ? fmt.kb(v.size_bytes) : beside(v.size_bytes, c.size_bytes, (a, b) => `${fmt.kb(a)} (×${(a / b).toFixed(2)})`)],
          ["latency", own || !c ? fmt.ms(v.latency_ms) : beside(v.latency_ms, c.latency_ms, (a, b) => `${fmt.ms(a)} (×${(a / b).toFixed(2)}, not measured together)`)]])));
  }
  function detail() {
    const v = panel.get("state").selected;
    if (!v) return;
    const note = (panel.get("notes") || {})[v.ref];
    const alias = h("input", { type: "text", value: "champion", "aria-label": "Alias" });
    const now = () => { const n = v.pointing[alias.value]; if (n === v.number) return `${alias.value} is already version ${n}. Again?`; return n ? `Move ${alias.value} from version ${n} to ${v.number}?` : `Point ${alias.value} at version ${v.number}?`; };
    const acts = panel.isReadonly() ? [] : [field("alias", alias), h("div", { class: "wb-row" }, confirmed(panel, "promote", "Promote", now, () => ({ ref: v.ref, alias: alias.value, expected: v.pointing[alias.value] ?? null }), "wb-accent"), action(panel, "verify", "Verify", { ref: v.ref }), action(panel, "serve", "Serve", { ref: v.ref })),
      ...Object.entries(v.pointing).map(([name, number]) => (v.earlier[name] ? h("div", { class: "wb-row" }, confirmed(panel, "rollback", `Roll back ${name}`, `Take ${name} from version ${number} back to ${v.earlier[name]} and revoke ${number}?`, { name: v.name, alias: name })) : ""))];
    put(right, h("h3", { text: "selected" }), h("div", { class: "wb-big", style: "font-size:18px;overflow-wrap:anywhere", text: v.ref.slice(6) }), h("p", {}, chips(v)), note ? h("p", { role: "status", class: "wb-sentence", text: note }) : "", ...acts,
      h("h3", { text: "files" }), facts(v.files.map((f) => [f.name, `${fmt.kb(f.size_bytes)} · ${f.digest.slice(0, 12)}…`, f.digest])), facts([["manifest", `${v.digest.slice(0, 12)}…`, v.digest]]),
      details("card", facts(v.card)), details("audit", h("div", { class: "wb-small" }, v.audit.map(([time, what, whom]) => h("div", { text: `${time}  ${what}  ${whom}` })))), details("environment", facts(Object.entries(v.environment))));
  }
  // A question or a typed alias stays while the table is looked at again.
  let seen = "";
  panel.on("state", () => { list(); const key = JSON.stringify(panel.get("state").selected); if (key !== seen) { seen = key; detail(); } });
  panel.on("notes", detail);
  panel.on("checks", list);
}
export default { render: ({ model, el }) => frame(model, el, "version", "Registered versions", buildVersion) };
