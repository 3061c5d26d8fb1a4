// A dataset: samples, balance, findings, and one sample before and after augmentation.

function tileStyle(sheet, i, side) {
  return `width:${side}px;height:${Math.round((side * sheet.height) / sheet.width)}px;background-image:url(${sheet.png});background-size:${sheet.count * side}px auto;background-position:-${i * side}px 0`;
}
function barRows(names, counts) {
  const top = Math.max(1, ...counts.flat());
  return h("div", { class: "wb-bars", role: "img", "aria-label": names.map((n, i) => `${n}: ${counts[0][i]}`).join(", ") },
    names.map((name, i) => [h("span", { text: name }), h("span", {}, h("i", { style: `width:${(100 * counts[0][i]) / top}%` })), h("b", { text: fmt.count(counts[0][i]) })]));
}
function histogram(counts, label) {
  const top = Math.max(1, ...counts);
  return h("div", { class: "wb-hist", role: "img", "aria-label": label }, counts.map((c) => h("i", { style: `height:${(100 * c) / top}%` })));
}

function buildDataset(panel) {
  const left = h("div", { class: "wb-controls" }), middle = h("div", { class: "wb-first" }), right = h("div");
  panel.body.append(left, middle, right);
  const part = h("select", { "aria-label": "Part", onchange: () => look() }, ["train", "val", "test"].map((p) => h("option", { value: p, text: p })));
  const label = h("select", { "aria-label": "Class", onchange: () => look() });
  const augment = h("input", { type: "text", placeholder: "as in shift:1 + rotate:10", "aria-label": "Augmentation", oninput: () => { clearTimeout(typing); typing = setTimeout(() => preview(true), 250); }, onkeydown: (e) => { if (e.key === "Enter") { clearTimeout(typing); preview(false); } } });
  const order = h("select", { "aria-label": "Order", onchange: () => look() }, h("option", { value: "class", text: "spread over classes" }), h("option", { value: "suspicion", text: "most suspicious first" }));
  let typing = null;
  panel.cleanup(() => clearTimeout(typing));
  const samples = h("div", { style: "min-height:120px" }), sampleBox = h("div"), balance = h("div"), player = h("div", { "aria-live": "polite" });
  let chosen = 0;
  const look = () => { put(player); panel.send("look_at", { part: part.value, label: label.value === "" ? null : Number(label.value), order: order.value }); };
  const chosenOf = (g_) => ({ part: g_.part || "train", index: (g_.indices || [0])[chosen] ?? 0 });
  const play = () => { put(player); if (panel.get("state").plays) panel.send("play", chosenOf(panel.get("gallery"))); };
  const heard = (message) => { if (message?.sample) put(player, h("div", { class: "wb-small", text: `sample ${message.sample.index}, ${message.sample.name}` }), playerOf(message.sample)); };
  panel.model.on("msg:custom", heard);
  panel.cleanup(() => panel.model.off("msg:custom", heard));
  const preview = (isTyped) => { const g_ = panel.get("gallery"); if (panel.get("state").augments?.length) panel.send("augment", { ...chosenOf(g_), text: augment.value, is_typed: isTyped }); };
  loadForm(panel, left);

  function whole() {
    const s = panel.get("state");
    const has = Boolean(s.ref);
    panel.title.textContent = has ? `Dataset ${s.name}` : "Load data";
    panel.status.textContent = has ? s.ref : "";
    const hasForm = Boolean(panel.get("form")?.sources);
    left.hidden = !hasForm;
    panel.body.classList.toggle("wb-two", !hasForm);
    if (!has) { put(middle, empty("No data yet. Choose a source and press Load.")); put(right); return; }
    const total = Object.values(s.samples).reduce((a, b) => a + b, 0);
    const isPictured = s.has_tiles;
    put(label, h("option", { value: "", text: "all classes" }), ...s.labels.map((name, i) => h("option", { value: i, text: name })));
    if (document.activeElement !== augment) augment.value = augment.value || s.augment || "";
    put(middle, h("p", {}, h("b", { text: fmt.count(total) }), ` ${s.what}, ${s.shape_words} · ${s.labels.length ? `${s.labels.length} labels` : "values"} · fingerprint `, h("code", { text: s.fingerprint.slice(0, 8) })),
      h("div", { class: "wb-row", style: "margin:0 0 8px" }, h("label", { style: "width:120px" }, h("span", { class: "wb-label", text: "part" }), part), isPictured && s.has_classes ? h("label", { style: "width:160px" }, h("span", { class: "wb-label", text: "class" }), label) : "", isPictured && s.has_classes ? h("label", { style: "width:190px" }, h("span", { class: "wb-label", text: "order" }), order) : ""), samples, player,
      ...((s.augments || []).length ? [h("h3", { text: "augmentation of the marked sample (train only)" }), augment, chips(s.augments || []), sampleBox] : []));
    const names = s.labels.length ? s.labels : s.balance.train.map((_, i) => `bin ${i + 1}`);
    const shares = ["train", "val", "test"].filter((p) => s.balance[p]);
    put(right, h("h3", { text: "findings" }), ...(s.findings.length ? s.findings.map((f) => h("p", { class: f.severity === "warning" ? "wb-warn" : "" }, `${f.severity === "warning" ? "▲" : "·"} ${f.message}`, f.places.length ? details(`where (${f.places.length})`, h("div", { class: "wb-small", text: f.places.slice(0, 40).join(", ") })) : null)) : [h("p", { class: "wb-good", text: "✓ nothing noticed" })]),
      h("h3", { text: "split" }), facts(shares.map((p) => [p, `${fmt.count(s.samples[p])} (${Math.round((100 * s.samples[p]) / total)} %)`])),
      h("h3", { text: s.labels.length ? "classes in train" : "values in train" }), names.length <= 40 ? barRows(names, [s.balance.train]) : histogram(s.balance.train, "samples by class"),
      details("As a table", table([{ name: s.labels.length ? "class" : "bin", left: true }, ...shares.map((name) => ({ name }))], names.map((name, i) => ({ cells: [name, ...shares.map((p) => fmt.count(s.balance[p][i]))] })), "Balance")));
  }
  function chips(augments) {
    const parts = () => augment.value.split("+").map((part) => part.trim()).filter(Boolean);
    return h("div", { class: "wb-row", style: "margin:4px 0 8px" }, augments.map(([text, summary]) => h("button", { type: "button", class: "wb-quiet", title: summary, text: `+ ${text}`, "data-augment": text, onclick: () => {
      const kind = text.split(":")[0], rest = parts().filter((part) => part.split(/[:,]/)[0] !== kind);
      augment.value = (rest.length === parts().length ? [...rest, text] : rest).join(" + ");
      preview(false);
    } })));
  }
  function tiles() {
    const g_ = panel.get("gallery") || {};
    if (g_.part) part.value = g_.part;
    if (g_.png) {
      chosen = Math.min(chosen, g_.count - 1);
      const side = Math.max(40, Math.min(64, g_.width));
      put(samples, h("div", { class: "wb-tiles" }, g_.names.map((name, i) => h("button", { type: "button", class: `wb-tile${i === chosen ? " wb-on" : ""}`, style: tileStyle(g_, i, side), "aria-label": `sample ${g_.indices[i]}, ${name}`, "aria-pressed": String(i === chosen), title: g_.notes?.[i] || null, onclick: () => { chosen = i; tiles(); preview(true); play(); } }, h("span", { text: `${g_.notes?.[i] ? "▲ " : ""}${name}` })))), g_.order === "suspicion" ? h("p", { class: "wb-small", style: "margin-top:8px", text: g_.notes[chosen] ? `▲ sample ${g_.indices[chosen]}, ${g_.names[chosen]}: ${g_.notes[chosen]}` : "Its nearest samples bear the same label." }) : "");
    } else if (g_.columns) {
      put(samples, table([...g_.columns.map((name) => ({ name })), { name: "target" }], g_.rows.map((row, i) => ({ cells: [...row, g_.targets[i]] })), "First rows"),
        h("div", { class: "wb-grid", style: "margin-top:16px" }, Object.entries(g_.histograms).filter(([, counts]) => counts).map(([name, counts]) => h("div", {}, h("div", { class: "wb-small", text: name }), histogram(counts, `distribution of ${name}`)))));
    }
  }
  function sample() {
    const one = panel.get("sample") || {};
    if (!one.png) return put(sampleBox, one.problem ? h("p", { class: "wb-warn", role: "status", text: `▲ ${one.problem}` }) : h("p", { class: "wb-note", text: "Click a sample; write an augmentation to see what training would see." }));
    return put(sampleBox, one.problem ? h("p", { class: "wb-warn", role: "status", text: `▲ ${one.problem}` }) : "", h("div", { class: "wb-row" }, Array.from({ length: one.count }, (_, i) => [i === 1 ? h("span", { text: "→" }) : "", h("div", { class: "wb-tile", role: "img", "aria-label": i ? `after, ${i}` : `before: ${one.name}`, style: `${tileStyle(one, i, 64)};cursor:default` })])));
  }
  panel.on("state", () => { put(player); whole(); tiles(); sample(); });
  panel.on("gallery", tiles);
  panel.on("sample", sample);
}
export default { render: ({ model, el }) => frame(model, el, "dataset", "Dataset", buildDataset) };
