// The explorer: sliders for every knob, a scatter of what was measured. The kernel only measures.

function buildStudy(panel) {
  const ui = { axis: "size_bytes" };
  const asking = asker(panel);
  const keepKnobs = kept(panel, "knobs"), keepBudget = kept(panel, "budget");
  tableOf(panel, () => { panel.root.dataset.computes = state().ref; if (state().ref) redraw(); });
  const controls = h("div", { class: "wb-columns" });
  const plot = scatter(panel, { limit: () => limit(), inside: (p) => inside(p), wordsOf: (p) => pointWords(p), choose: (recipe) => choose(recipe), resized: () => { if (state().ref) draw(); } });
  const verdict = h("p", { class: "wb-verdict" });
  const axis = h("span", { role: "radiogroup", "aria-label": "Horizontal axis" });
  const line = h("div", { class: "wb-row", style: "min-height:56px" });
  const going = h("div", { style: "min-height:44px;margin-top:8px" });
  const twin = twinOf(() => table([{ name: "recipe", left: true }, { name: `${state().metric}` }, { name: "change (90 %)" }, { name: "kB" }, { name: "zstd kB" }, { name: "ms" }, { name: "latency" }],
    state().points.map((p) => ({ key: p.recipe, class: p.recipe === panel.get("chosen") ? "wb-on" : null, onclick: () => choose(p.recipe), cells: [inWords(p.recipe).line, fmt.score(p.score, share()), p.difference_words, fmt.sig(p.size_bytes / 1e3), fmt.sig(p.stored_bytes / 1e3), fmt.sig(p.latency_ms), p.latency_words] })), "Measured variants"));
  const chosenBox = h("div");
  const held = h("p", { class: "wb-small", "data-held": "", style: "min-height:20px;margin-top:8px" });
  const bars = layerRows(panel, () => measure(), keepKnobs);
  const layers = { node: h("div", { hidden: true }, h("h3", { text: "each layer's part of the expected harm" }), bars.box) };
  const middle = h("div", { class: "wb-first" }, verdict, h("div", { class: "wb-row", style: "margin:0 0 4px" }, h("span", { class: "wb-small", text: "across:" }), axis), plot.node,
    h("div", { class: "wb-legend" }, h("span", { text: "◆ baseline" }), h("span", { text: "● measured" }), h("span", { text: "◎ chosen" }), h("span", { text: "○ estimate with its band" }), h("span", {}, h("i", { style: "border-color:var(--wb-blue)" }), "front"), h("span", { text: "▒ outside budget" })), line, going, layers.node, held, twin.node);
  if (panel.isReadonly()) panel.body.classList.add("wb-two");
  const topBudget = h("div", { class: "wb-pair", style: "max-width:520px" });
  if (panel.isReadonly()) { verdict.after(topBudget); line.hidden = going.hidden = true; }
  const leftSide = h("div", { class: "wb-controls wb-scrolled" });
  panel.body.append(...(panel.isReadonly() ? [] : [leftSide]), middle, chosenBox);
  for (const [key, [name]] of Object.entries(AXES)) {
    axis.append(h("button", { type: "button", class: "wb-quiet", role: "radio", "data-axis": key, "aria-checked": String(key === ui.axis), text: name.split(" p50")[0].replace("size (kB, file)", "file size").replace("size (kB, after zstd)", "after zstd"), onclick: () => {
      ui.axis = key;
      for (const b of axis.children) b.setAttribute("aria-checked", String(b.dataset.axis === key));
      draw();
    } }));
  }
  const state = () => panel.get("state");
  const share = () => state().is_share;
  const limit = () => { const b = panel.get("budget") || {}; return { drop: b.drop === null || b.drop === undefined ? Infinity : share() ? b.drop / 100 : b.drop, bytes: b.kb ? b.kb * 1000 : Infinity, ms: b.ms || Infinity }; };
  const inside = (p) => p.drop <= limit().drop + 1e-12 && p.size_bytes <= limit().bytes && p.latency_ms <= limit().ms;

  // --- the recipe that the sliders say ---------------------------------------------------------------
  const steps = () => stepsOf(panel.get("offer"), panel.get("knobs") || {});
  const wish = () => recipeText(panel.get("offer"), panel.get("knobs") || {});
  function setKnob(key, values) {
    const offer = panel.get("offer").methods;
    const all = { ...(panel.get("knobs") || {}) };
    all[key] = { ...(all[key] || {}), ...values };
    const own = offer.find((m) => m.key === key);
    if (values.on && own.produces) for (const other of offer) if (other.produces && other.key !== key && all[other.key]?.on) all[other.key] = { ...all[other.key], on: false };
    keepKnobs(all);
  }
  function measure() {
    const recipe = wish();
    const known = state().points.find((p) => p.recipe === recipe);
    if (known) choose(known.recipe);
    else panel.send("measure", { recipe });
  }
  function choose(recipe) {
    panel.model.set("chosen", recipe);
    panel.model.save_changes();
  }

  // --- left: budget and methods ------------------------------------------------------------------------
  const marks = {};
  const chooser = h("div");
  panel.on("form", () => {
    const f = panel.get("form") || {};
    if (!f.studies) return;
    const pick = (name, items, first) => field(name, h("select", { "aria-label": name, onchange: (e) => e.target.value && panel.send("open", { ref: e.target.value }) }, h("option", { value: "", text: first }), items.map((i) => h("option", { value: i.ref, text: i.label, selected: i.ref === panel.get("state").ref }))));
    put(chooser, ...(f.studies.length ? [pick("study", f.studies, "choose …")] : []), ...(f.runs.length ? [pick("new study of a run", f.runs, "choose …")] : []));
  });
  function buildControls() {
    const offer = panel.get("offer").methods || [];
    if (!offer.length || controls.dataset.for === state().ref) return;
    controls.dataset.for = state().ref;
    const budget = panel.get("budget") || {};
    const setBudget = (name, text) => keepBudget({ ...(panel.get("budget") || {}), [name]: text === "" ? null : Number(text) });
    const worst = share() ? 10 : Math.max(...state().points.map((p) => p.drop), budget.drop * 4 || 1);
    const drop = h("input", { type: "range", min: 0, max: worst, step: worst / 100, value: budget.drop ?? worst, "aria-label": "Largest drop", oninput: (e) => setBudget("drop", e.target.value) });
    const size = h("input", { type: "number", min: 0, step: "any", value: budget.kb ?? "", placeholder: "any", "aria-label": "Largest size in kB", oninput: (e) => setBudget("kb", e.target.value) });
    marks.drop = h("output", {});
    marks.dropInput = drop;
    const budgetFields = [h("label", { class: "wb-field" }, h("span", { class: "wb-label" }, "drop ≤ ", marks.drop), drop), field("size ≤ kB", size)];
    if (panel.isReadonly()) { put(topBudget, budgetFields); return; }
    if (panel.get("offer").can_search) budgetFields.push(searchFields(budget, setBudget));
    put(controls, h("h3", { text: "budget" }), budgetFields, h("h3", { text: "methods" }), ...[...offer].sort((a, b) => Number(a.trains) - Number(b.trains)).map(methodBox));
    knobs();
  }
  // The same limits, handed to the search; it ends with its best when the time is over or it is stopped.
  function searchFields(budget, setBudget) {
    const ms = h("input", { type: "number", min: 0, step: "any", value: budget.ms ?? "", placeholder: "any", "aria-label": "Largest latency in ms", oninput: (e) => setBudget("ms", e.target.value) });
    const what = h("select", { "aria-label": "Make small" }, h("option", { value: "size_bytes", text: "size" }), h("option", { value: "latency_ms", text: "latency" }));
    const time = h("input", { type: "number", min: 5, step: 5, value: 60, "aria-label": "Seconds for the search" });
    const goal = () => ({ max_drop: Number.isFinite(limit().drop) ? limit().drop : null, max_size: Number.isFinite(limit().bytes) ? limit().bytes : null, max_latency_ms: (panel.get("budget") || {}).ms ?? null, minimize: what.value, budget: Number(time.value) || 60 });
    return h("div", {}, h("div", { class: "wb-pair", style: "gap:8px" }, field("latency ≤ ms", ms), field("make small", what)), h("div", { class: "wb-pair", style: "gap:8px;align-items:end" }, field("seconds", time), h("div", { style: "margin-bottom:12px" }, action(panel, "search", "Search", goal, "wb-accent"))));
  }
  function methodBox(method) {
    const mark = (marks[method.key] = { values: {} });
    mark.on = h("input", { type: "checkbox", disabled: Boolean(method.reason), "data-method": method.key, onchange: (e) => setKnob(method.key, { on: e.target.checked }) });
    const [first, ...others] = method.knobs;
    const box = h("fieldset", { class: "wb-method" }, h("label", { title: method.summary }, mark.on, ` ${method.key.replaceAll("_", " ")}`, method.reason ? h("span", { class: "wb-note", text: method.reason }) : null));
    if (method.reason) return box;
    if (first) box.append(slider(method, first, true));
    if (others.length) box.append(details("more", ...others.map((knob) => slider(method, knob, false))));
    return box;
  }
  // A slider measures when it is let go; by keys it waits for Enter, so that ten steps are not ten measurements.
  function slider(method, knob, isFirst) {
    const put = (value) => setKnob(method.key, { on: true, [knob.name]: value });
    const label = `${method.key} ${knob.name}`;
    const out = h("output", { class: "wb-value" });
    let control;
    if (knob.kind === "number" && knob.min !== null && knob.max !== null) {
      const wide = knob.max - knob.min > 1000;
      const step = knob.is_integer ? 1 : Number(((knob.max - knob.min) / (isFirst ? 100 : 200)).toPrecision(1));
      const low = knob.min + (knob.is_open_low ? step : 0), high = knob.max - (knob.is_open_high ? step : 0);
      const tidy = (v) => Number(Number(v).toFixed(4));
      control = wide
        ? h("input", { type: "number", min: low, max: high, step: knob.is_integer ? 1 : "any", "aria-label": label, onchange: (e) => e.target.value !== "" && put(Number(e.target.value)) })
        : h("input", { type: "range", min: low, max: high, step, "aria-label": label, "data-knob": `${method.key}.${knob.name}`, oninput: (e) => put(tidy(e.target.value)) });
      if (!wide) {
        let held = false;
        control.addEventListener("pointerdown", () => { held = true; });
        control.addEventListener("change", () => { if (held) measure(); held = false; });
        control.addEventListener("keydown", (e) => {
          const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[e.key];
          if (by && e.shiftKey) { e.preventDefault(); control.value = tidy(Number(control.value) + by * step * 10); put(tidy(control.value)); }
          if (e.key === "Enter") measure();
        });
      }
    } else if (knob.kind === "choice" && knob.choices.length === 1) {
      control = h("span", { class: "wb-small", text: `${knob.choices[0]}${typeof knob.choices[0] === "number" ? ` ${knob.name}` : ""}` });
    } else if (knob.kind === "choice") {
      control = h("select", { "aria-label": label, onchange: (e) => put(knob.choices.find((c) => String(c) === e.target.value)) }, knob.choices.map((c) => h("option", { value: c, text: c })));
    } else if (knob.kind === "bool") {
      control = h("select", { "aria-label": label, onchange: (e) => put(e.target.value === "" ? null : e.target.value === "true") }, (knob.default === null ? [["", "automatic"]] : []).concat([["true", "yes"], ["false", "no"]]).map(([value, text]) => h("option", { value, text })));
    } else control = h("input", { type: "text", "aria-label": label, placeholder: knob.default === null ? "automatic" : String(knob.default ?? ""), onchange: (e) => put(e.target.value === "" ? null : Number.isNaN(Number(e.target.value)) ? e.target.value : Number(e.target.value)) });
    marks[method.key].values[knob.name] = { control, out, start: startOf(knob) };
    const kind = control.type === "range";
    return h("label", { class: "wb-knob", title: knob.description }, h("span", { class: "wb-label" }, isFirst && !kind ? "" : knob.name.replaceAll("_", " "), kind ? out : null), control);
  }
  function startOf(knob) {
    const said = knob.default ?? knob.start;
    if (said !== null && said !== undefined) return said;
    if (knob.kind !== "number" || knob.min === null) return "";
    return knob.max > 1 ? Number((knob.min + (knob.max - knob.min) * 0.99).toFixed(2)) : 0.3;
  }
  function knobs() {
    const set = panel.get("knobs") || {};
    for (const method of panel.get("offer").methods || []) {
      const mark = marks[method.key];
      if (!mark) continue;
      if (mark.on.checked !== Boolean(set[method.key]?.on)) mark.on.checked = Boolean(set[method.key]?.on);
      for (const [name, one] of Object.entries(mark.values)) {
        const value = set[method.key]?.[name] ?? one.start;
        if (one.shown === value) continue;
        one.shown = value;
        if ("value" in one.control && document.activeElement !== one.control) one.control.value = String(value);
        reword(one.out, ` ${value}`);
      }
    }
  }
  function stepsNow() {
    // A method that was only ticked stands at the value its slider shows.
    const set = panel.get("knobs") || {};
    const missing = (panel.get("offer").methods || []).filter((m) => set[m.key]?.on && m.knobs[0] && set[m.key][m.knobs[0].name] === undefined && (m.knobs[0].default === null || m.knobs[0].default === undefined));
    if (!missing.length) return;
    const all = { ...set };
    for (const m of missing) all[m.key] = { ...all[m.key], [m.knobs[0].name]: startOf(m.knobs[0]) };
    keepKnobs(all);
  }

  leftSide.append(chooser, controls);

  // --- middle ------------------------------------------------------------------------------------------
  // What the sliders say and nothing measured yet: its own estimate, or the last one until it is there.
  function hollow() {
    const recipe = wish();
    if (recipe === "baseline" || panel.isReadonly() || state().points.some((p) => p.recipe === recipe)) return null;
    const said = saidOf(panel, recipe), last = panel.get("estimate") || {};
    if ((panel.get("estimate") || {}).asked !== recipe) asking.ask(recipe, Boolean(said));
    return { recipe, said: said?.score ? said : null, refusal: said?.refusal, last: last.score ? last : null, size: recipe.startsWith("{") ? null : sizeOf(steps(), state(), panel.get("offer")) };
  }
  function across(guess) {
    const own = guess.said?.[ui.axis];
    if (own) return own;
    if (ui.axis === "size_bytes" && guess.size) return [guess.size.bytes, guess.size.bytes, guess.size.bytes];
    return guess.refusal || !guess.last ? null : guess.last[ui.axis] || null;
  }
  function draw() {
    if (!(state().points || []).length) return;
    const guess = hollow();
    plot.draw(ui.axis, guess && { ...guess, across: across(guess), shown: guess.refusal ? null : guess.said || guess.last });
    tellLine(guess);
  }
  const redraw = once(draw);
  const pointWords = (p) => `${inWords(p.recipe).line}: ${state().metric} ${fmt.score(p.score, share())} (${p.difference_words}), ${fmt.kb(p.size_bytes)}, ${fmt.ms(p.latency_ms)}${inside(p) ? "" : ", outside the budget"}`;
  const go = h("button", { type: "button", class: "wb-button wb-accent", "data-do": "measure", text: "Measure", onclick: measure });
  const code = h("code"), note = h("span");
  line.append(...(panel.isReadonly() ? [] : [go, code, note]));
  let told = null;
  const tellLine = paced(sayLine, 100); // nobody reads a sentence sixty times a second
  function sayLine(guess) {
    if (panel.isReadonly()) return;
    const recipe = wish(), isNothing = recipe === "baseline", known = state().points.some((p) => p.recipe === recipe);
    go.hidden = note.hidden = isNothing;
    go.dataset.off = String(known);
    go.setAttribute("aria-disabled", String(known));
    go.classList.toggle("wb-accent", !known);
    code.title = recipe;
    reword(code, isNothing ? "move a slider to make a variant" : inWords(recipe).line);
    reword(note, known ? "measured" : wordsOf(guess));
    note.className = guess?.refusal ? "wb-warn" : "wb-small";
    clearTimeout(told);
    if (guess?.said && panel.root.contains(document.activeElement)) told = setTimeout(() => panel.say(`estimate: ${wordsOf(guess)}`), 600);
  }
  function wordsOf(guess) {
    if (!guess) return "";
    if (guess.refusal) return `▲ no estimate: ${guess.refusal}`;
    const size = guess.said ? guess.said.size_bytes[0] : guess.size?.bytes;
    return [guess.said ? bandWords(guess.said, share()) : "", size ? `${guess.size?.exact ? "" : "≈ "}${fmt.kb(size)}` : "", guess.said ? `≈ ${fmt.ms(guess.said.latency_ms[0])}` : "", guess.said?.reason].filter(Boolean).join(" · ");
  }
  function sayHeld() {
    const e = panel.get("estimate") || {};
    layers.node.hidden = !(e.layers || []).length || !state().ref || panel.isReadonly();
    if (!layers.node.hidden) bars.update();
    held.title = e.account_words || "";
    held.textContent = panel.isReadonly() || e.held_of === undefined ? "" : [e.held_of ? `band holds: ${Math.round(100 * e.held)} % of ${e.held_of} measured` : "band: nothing measured yet to hold it against", e.is_refined ? "" : "the table of layers is being filled"].filter(Boolean).join(" · ");
  }
  function sayVerdict() {
    const fits = state().points.filter(inside).sort((a, b) => a.size_bytes - b.size_bytes)[0];
    const words = [share() ? `drop ≤ ${fmt.sig(100 * limit().drop)} pt` : `drop ≤ ${fmt.sig(limit().drop)}`, Number.isFinite(limit().bytes) ? `size ≤ ${fmt.kb(limit().bytes)}` : "", Number.isFinite(limit().ms) ? `latency ≤ ${fmt.ms(limit().ms)}` : ""].filter(Boolean).join(", ");
    put(verdict, ...(fits ? ["Smallest with ", words, ": ", h("button", { type: "button", class: "wb-quiet", title: fits.recipe, text: inWords(fits.recipe).line, onclick: () => choose(fits.recipe) }), ` ${fmt.score(fits.score, share())}, ${fmt.kb(fits.size_bytes)}, ${fmt.ms(fits.latency_ms)}`] : [`Nothing measured fits ${words} yet.`]));
  }
  const list = () => twin.update(state().points.length);
  let timer = null;
  function progress() {
    const m = panel.get("measuring") || {};
    clearInterval(timer);
    panel.root.dataset.measuring = m.recipe || "";
    if (!m.recipe) return put(going);
    const time = h("span", { class: "wb-small" });
    const tell = () => { time.textContent = `${m.note || "measuring"} · ${fmt.seconds(Math.max(0, Date.now() / 1000 - m.began))}${m.next ? ` · next: ${m.next}` : ""}`; };
    tell();
    timer = setInterval(tell, 500);
    return put(going, h("div", { class: "wb-bar", role: "progressbar", "aria-label": `Measuring ${m.recipe}`, "aria-valuenow": String(Math.round((100 * m.done) / (m.total || 1))), "aria-valuemin": "0", "aria-valuemax": "100" }, h("i", { style: `width:${Math.max(4, (100 * m.done) / (m.total || 1))}%` })),
      h("div", { class: "wb-row", style: "margin-top:2px" }, time, action(panel, "stop", "Stop", {})));
  }
  panel.cleanup(() => clearInterval(timer));

  // --- right: the chosen one -----------------------------------------------------------------------------
  let nameTyped = "";
  function details_() {
    const s = state();
    const p = s.points.find((one) => one.recipe === panel.get("chosen"));
    if (!p) return put(chosenBox, h("h3", { text: "chosen" }), h("p", { class: "wb-small", text: "Click a point to see what it gains and loses." }));
    const words_ = inWords(p.recipe);
    const base = s.points.find((one) => one.is_baseline);
    const done = (panel.get("results") || {})[p.recipe] || {};
    const name = h("input", { type: "text", value: nameTyped || `${s.data_name}-model`.replace(/[^a-z0-9-]+/g, "-"), "aria-label": "Model name", oninput: (e) => { nameTyped = e.target.value; } });
    const acts = panel.isReadonly() ? [] : [h("h3", { text: "keep it" }), field("model name", name),
      h("div", { class: "wb-row" }, done.version ? h("span", { class: "wb-good", text: `✓ ${done.version}` }) : action(panel, "register", "Register", () => ({ recipe: p.recipe, name: name.value }), "wb-accent"),
        done.version && !done.promoted ? confirmed(panel, "promote", "Promote", `Point champion at ${done.version}?`, { recipe: p.recipe }) : done.promoted ? h("span", { class: "wb-chip", text: "champion" }) : null,
        done.endpoint ? null : action(panel, "serve", "Serve", { recipe: p.recipe })),
      done.endpoint ? h("p", { class: "wb-small", style: "margin-top:8px" }, h("span", { class: "wb-good", text: "✓ served" }), ` shown by wb.endpoint("${done.endpoint}")`) : ""];
    return put(chosenBox, h("h3", { text: "chosen" }), h("code", { title: p.recipe, text: words_.line }), words_.layers.length ? h("div", { class: "wb-own-layers", tabindex: "0", role: "group", "aria-label": "Layers treated otherwise" }, facts(words_.layers)) : "",
      h("div", { class: "wb-big" }, fmt.score(p.score, share()), h("span", { class: "wb-small", text: `  ${s.metric}` })),
      facts([p.is_baseline ? null : ["change, 90 % interval", p.difference_words], ["file", `${fmt.kb(p.size_bytes)}${p.is_baseline ? "" : ` (×${(p.size_bytes / base.size_bytes).toFixed(2)})`}`], ["after zstd", fmt.kb(p.stored_bytes)], ["latency p50", `${fmt.ms(p.latency_ms)} (${p.latency_words.replace(" (no diff.)", ", no difference")})`], p.energy_j ? ["energy, 1,000 samples", `${fmt.sig(p.energy_j)} J`, "all processor packages, whatever else ran on them included"] : p.cpu_s ? ["CPU time, 1,000 samples", `${fmt.sig(p.cpu_s)} s`, "no energy counter can be read here; watts are not guessed"] : null]),
      done.found ? h("p", { style: "margin-top:12px", class: "wb-sentence", text: done.found }) : "", h("p", { style: "margin-top:12px", class: "wb-sentence", text: p.sentence }), ...p.notes.map((text) => h("p", { class: /saturat|no number/.test(text) ? "wb-warn" : "wb-small", text: `${/saturat|no number/.test(text) ? "▲" : "·"} ${text}` })),
      h("p", { class: "wb-small", text: `${fmt.count(s.samples)} samples · ${s.machine}` }), ...acts);
  }

  const whole = () => {
    const s = state();
    panel.title.textContent = s.ref ? `Compression of ${s.data_name}` : "Compress a model";
    panel.status.textContent = s.ref || "";
    if (!s.ref) { middle.hidden = chosenBox.hidden = true; put(controls, empty("No study is open. Train a model first, then press “Compress this model”.")); return; }
    middle.hidden = chosenBox.hidden = false;
    buildControls(); draw(); sayVerdict(); list(); details_(); sayHeld();
  };
  panel.on("state", whole);
  panel.on("offer", whole);
  let methodsOn = "";
  panel.on("knobs", () => {
    if (!state().ref) return;
    stepsNow(); knobs(); redraw();
    const on = active(panel.get("offer"), panel.get("knobs") || {}).map((m) => m.key).join();
    if (on !== methodsOn) { methodsOn = on; bars.rebuild(); }
  });
  let basis = "";
  panel.on("estimate", () => {
    const e = panel.get("estimate") || {}, now = `${e.is_refined} ${e.held_of}`;
    asking.answered();
    if (now !== basis) { basis = now; const recipe = wish(); if (e.asked === recipe && !state().points.some((p) => p.recipe === recipe)) asking.ask(recipe, false); }
    if (state().ref) { redraw(); sayHeld(); }
  });
  panel.on("budget", () => { if (!state().ref) return; const b = panel.get("budget") || {}; if (marks.drop) marks.drop.textContent = b.drop === null || b.drop === undefined ? "any" : share() ? `${fmt.sig(b.drop, 2)} pt` : fmt.sig(b.drop); sayVerdict(); redraw(); });
  panel.on("chosen", () => { if (!state().ref) return; draw(); list(); details_(); });
  panel.on("results", () => { if (state().ref) details_(); });
  panel.on("measuring", progress);
  if (!panel.isReadonly()) { // once it is painted, the kernel gets ready to estimate
    const ready = setTimeout(() => { if (state().ref) panel.send("estimate", { recipe: "" }); }, 1500);
    panel.cleanup(() => clearTimeout(ready));
  }
  panel.onkey = (event, typing) => { if (event.key === "Escape" && !typing && (panel.get("measuring") || {}).recipe) panel.send("stop"); };
}
export default { render: ({ model, el }) => frame(model, el, "study", "Compression explorer", buildStudy) };
