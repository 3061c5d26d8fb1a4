// Estimates in the explorer: the page computes them; the kernel is asked when a slider rests, or when only it can say.

const APART_MS = 100, REST_MS = 250, PATIENCE_MS = 8000;

// Asks the kernel about the newest recipe only, at most ten times a second and one question at a time. What the page
// knows by itself is asked when the slider rests: each message makes the whole of JupyterLab show a busy kernel, and
// that costs more than the explorer's own frame. A question is let go when its answer comes or is long overdue.
function asker(panel) {
  let next = null, flying = null, sent = -1e9, timer = null;
  function later(ms) { clearTimeout(timer); timer = setTimeout(pump, ms); }
  function pump() {
    timer = clearTimeout(timer) ?? null;
    const now = performance.now();
    if (next === null || (flying !== null && now - sent < PATIENCE_MS)) return;
    if (now - sent < APART_MS) return later(APART_MS - (now - sent));
    flying = next;
    next = null;
    sent = now;
    panel.send("estimate", { recipe: flying });
  }
  panel.cleanup(() => clearTimeout(timer));
  return {
    ask(recipe, isKnownHere) {
      next = recipe === flying ? null : recipe;
      if (isKnownHere) later(REST_MS); else pump();
    },
    answered() { if ((panel.get("estimate") || {}).asked === flying) { flying = null; if (timer === null) pump(); } },
  };
}

// Sets a trait that the kernel only remembers: on the page at once, in the kernel when the hand rests. Until then an
// echo of what was told before does not undo it.
function kept(panel, name) {
  let mine = null, timer = null;
  const ref = () => panel.get("state").ref;
  const tell = () => { clearTimeout(timer); timer = mine = null; panel.model.save_changes(); };
  panel.on(name, () => { if (mine && mine.ref === ref() && panel.get(name) !== mine.value) panel.model.set(name, mine.value); });
  panel.cleanup(() => { if (mine) tell(); });
  return (value) => {
    mine = { value, ref: ref() };
    panel.model.set(name, value);
    clearTimeout(timer);
    timer = setTimeout(tell, REST_MS);
  };
}

// What computes estimates in the page, by study. Code and numbers come after the first message.
const tables = new Map();
let computing = null;
function tableOf(panel, changed) {
  const receive = async (message, buffers) => {
    if (!message || !message.table) return;
    computing ??= import(URL.createObjectURL(new Blob([message.code], { type: "text/javascript" })));
    const { open, estimate } = await computing;
    const table = open(message.table, buffers[0]);
    tables.set(message.ref, (recipe) => estimate(table, recipe));
    changed();
  };
  panel.model.on("msg:custom", receive);
  panel.cleanup(() => panel.model.off("msg:custom", receive));
}
const ends = ({ value, low, high }) => [value, low, high];
function computed(panel, recipe) {
  const estimate = tables.get(panel.get("state").ref);
  const found = estimate ? estimate(recipe) : null;
  return found && { asked: recipe, recipe, score: ends(found.score), size_bytes: ends(found.size_bytes), latency_ms: ends(found.latency_ms), is_provisional: found.is_provisional, needs_training: found.needs_training, reason: found.reason };
}

// The estimate of exactly this recipe, if it is there: the kernel's, else what the page computes.
function saidOf(panel, recipe) {
  const said = panel.get("estimate") || {};
  return said.asked === recipe ? said : computed(panel, recipe);
}
function bandWords(said, share) {
  const [value, low, high] = said.score;
  const ends = share ? `${(100 * Math.max(0, low)).toFixed(1)}–${(100 * high).toFixed(1)}` : `${fmt.sig(low, 3)}–${fmt.sig(high, 3)}`;
  return `≈ ${fmt.score(value, share)} (${ends})`;
}
const caution = (said) => (said.needs_training ? "needs training" : said.is_provisional ? "provisional" : "");

// Bars of what each layer adds to the expected harm; a click gives the layer a knob of its own.
function layerRows(panel, measure, keepKnobs) {
  const box = h("div", { class: "wb-layers" });
  let names = "", open = "", cells = {};
  const knobs = () => panel.get("knobs") || {};
  const own = (name) => (knobs()[OWN] || {})[name];
  function set(name, values) {
    const all = { ...(knobs()[OWN] || {}) };
    if (values === null) delete all[name]; else all[name] = values;
    keepKnobs({ ...knobs(), [OWN]: all });
  }
  function knobsOf(name) {
    const mine = own(name) || {};
    const off = h("input", { type: "checkbox", checked: Boolean(mine.off), "aria-label": `leave ${name} as it is`, onchange: (e) => { set(name, e.target.checked ? { off: true } : null); build(); update(); } });
    const sliders = mine.off ? [] : active(panel.get("offer"), knobs()).filter((m) => m.knobs[0]?.kind === "number" && m.knobs[0].max <= 1).map((m) => {
      const knob = m.knobs[0], value = mine[m.key]?.[knob.name] ?? knobs()[m.key][knob.name] ?? knob.default ?? 0.3;
      const out = h("output", { class: "wb-value", text: ` ${value}` });
      const input = h("input", { type: "range", min: 0.01, max: 0.99, step: 0.01, value, "aria-label": `${name}: ${m.key} ${knob.name}`, "data-layer-knob": `${name}/${m.key}`,
        oninput: (e) => { out.textContent = ` ${e.target.value}`; set(name, { ...(own(name) || {}), [m.key]: { [knob.name]: Number(e.target.value) } }); }, onkeydown: (e) => { if (e.key === "Enter") measure(); } });
      input.addEventListener("pointerup", () => setTimeout(measure));
      return h("label", { class: "wb-knob" }, h("span", { class: "wb-label" }, `${m.key.replaceAll("_", " ")} ${knob.name}`, out), input);
    });
    return h("div", { class: "wb-own" }, h("label", { class: "wb-small" }, off, " leave this layer as it is"), sliders,
      h("button", { type: "button", class: "wb-quiet", text: "as all others", onclick: () => { open = ""; set(name, null); build(); update(); } }));
  }
  function build() {
    const rows = (panel.get("estimate") || {}).layers || [];
    cells = {};
    put(box, ...rows.flatMap(([name]) => {
      const bar = h("i"), share = h("b", {});
      const button = h("button", { type: "button", class: "wb-layer", "data-layer": name, "aria-expanded": String(open === name), onclick: () => { open = open === name ? "" : name; build(); update(); } },
        h("span", { text: name }), h("span", { class: "wb-layer-bar" }, bar), share);
      cells[name] = { bar, share, button };
      return [button, open === name ? knobsOf(name) : null];
    }));
  }
  function update() {
    const said = panel.get("estimate") || {}, rows = said.layers || [];
    const now = rows.map(([name]) => name).join("|");
    if (now !== names) { names = now; build(); }
    const top = Math.max(...rows.map(([, part]) => part), 1e-9);
    for (const [name, part, size] of rows) {
      const cell = cells[name];
      cell.bar.style.width = `${(100 * part) / top}%`;
      cell.share.textContent = `${own(name) ? "◇ " : ""}${Math.round(100 * part)} %`;
      cell.button.title = `${name}: ${Math.round(100 * part)} % of the expected harm of ${said.layers_of}; ${Math.round(100 * size)} % of the weights. Click for a knob of its own.`;
      cell.button.setAttribute("aria-label", `${name}: ${Math.round(100 * part)} % of the expected harm${own(name) ? ", own knob" : ""}`);
    }
  }
  return { box, update, rebuild() { names = ""; update(); } };
}
