// What all panels share: elements, figures in words, theme, banner, code strip, keys.
// A panel's own file follows this one in the same module and ends in `export default`.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, kids) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else if (name in node && (name === "value" || name === "checked" || name === "disabled")) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...kids.flat(3).filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return node;
}
const h = (tag, props, ...kids) => fill(document.createElement(tag), props, kids);
const g = (tag, props, ...kids) => fill(document.createElementNS(SVG, tag), props, kids);

// Writing the same words again would have them laid out again.
const reword = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const put = (node, ...kids) => { node.replaceChildren(); return fill(node, null, kids); };

// A sample that is heard or watched, by its media type; null for any other.
function playerOf(one) {
  const tag = { audio: "audio", video: "video" }[String(one?.type || "").split("/")[0]];
  return tag ? h(tag, { controls: true, src: one.media, class: "wb-player", "aria-label": `play ${one.name || "the sample"}` }) : null;
}

// --- figures in words: three significant figures, signed differences, units -----------------------
const LOCAL = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });
const fmt = {
  sig(value, digits = 3) {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) return value.toExponential(1);
    return LOCAL.format(Number(value.toPrecision(digits)));
  },
  kb: (bytes) => (bytes === null || bytes === undefined ? "–" : bytes >= 1e6 ? `${fmt.sig(bytes / 1e6)} MB` : `${fmt.sig(bytes / 1e3)} kB`),
  ms: (value) => (value === null || value === undefined ? "–" : `${fmt.sig(value)} ms`),
  signed(value, digits) {
    const text = Math.abs(value).toFixed(digits);
    return Number(text) === 0 ? text : (value < 0 ? "−" : "+") + text;
  },
  score: (value, share) => (value === null || value === undefined ? "–" : share ? `${(100 * value).toFixed(1)} %` : fmt.sig(value, 4)),
  drop: (value, share) => (share ? `${fmt.signed(100 * value, 1)} pt` : fmt.signed(value, 3)),
  seconds(value) {
    if (value === null || value === undefined) return "–";
    if (value < 60) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
    const minutes = Math.floor(value / 60);
    return minutes < 60 ? `${minutes} min ${Math.round(value % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  },
  count: (value) => (value === null || value === undefined ? "–" : Number(value).toLocaleString("en")),
};

// --- scales ----------------------------------------------------------------------------------------
function ticks(low, high, count = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(Number((i * step).toPrecision(12)));
  return found;
}
// As many decimals as tell neighbours apart.
function tickText(marks) {
  const step = marks.length > 1 ? Math.abs(marks[1] - marks[0]) : 1;
  const digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
  const local = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return (value) => local.format(Number(value.toPrecision(12)));
}
const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);

// --- theme: a canvas does not follow style sheets, so the colours are compared now and then -----------
function watchTheme(root, changed) {
  let last = "";
  const look = () => {
    const style = getComputedStyle(root);
    const seen = ["--jp-layout-color0", "--jp-ui-font-color1", "--vscode-editor-background"].map((n) => style.getPropertyValue(n).trim()).join("|");
    if (seen === last) return;
    last = seen;
    root.dataset.theme = isDark(root) ? "dark" : "light";
    changed();
  };
  look();
  const timer = setInterval(look, 500);
  return () => clearInterval(timer);
}
function isDark(root) {
  const probe = h("span", { style: "color:var(--jp-layout-color0, var(--vscode-editor-background, Canvas));display:none" });
  root.append(probe);
  const parts = (getComputedStyle(probe).color.match(/[\d.]+/g) || [255, 255, 255]).map(Number);
  probe.remove();
  return 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] < 128;
}
const ink = (root, name) => getComputedStyle(root).getPropertyValue(name).trim();

// --- the frame of a panel -------------------------------------------------------------------------------
const KEYS = [["Tab", "next control"], ["← →", "move a slider (Shift: coarse)"], ["Enter", "do it; on a slider: measure"], ["Esc", "stop, or close"], ["?", "this list"]];

function frame(model, el, kind, label, build) {
  const cleanups = [];
  const title = h("strong", { class: "wb-title" });
  const status = h("span", { class: "wb-status" });
  const banner = h("div", { class: "wb-banner", role: "alert", hidden: true });
  const gone = h("div", { class: "wb-banner wb-gone", role: "status", hidden: true });
  const stale = h("div", { class: "wb-banner wb-gone", role: "status", hidden: true });
  const body = h("div", { class: "wb-body" });
  const line = h("code", { class: "wb-line" });
  const copied = h("button", { class: "wb-quiet", type: "button", text: "Copy", onclick: () => copy(line.textContent, copied) });
  const strip = h("div", { class: "wb-strip", hidden: true }, line, copied);
  const said = h("div", { class: "wb-unseen", role: "status", "aria-live": "polite" });
  const keys = h("div", { class: "wb-keys", hidden: true }, KEYS.map(([key, what]) => h("span", {}, h("kbd", { text: key }), ` ${what}`)));
  const help = h("button", { class: "wb-quiet", type: "button", "aria-label": "Keys", title: "Keys (?)", text: "?", onclick: () => { keys.hidden = !keys.hidden; } });
  const root = h("section", { class: "wb", "data-panel": kind, "data-lm-suppress-shortcuts": "true", "aria-label": label, tabindex: "-1" },
    h("header", { class: "wb-head" }, title, status, h("span", { class: "wb-grow" }), help), keys, gone, stale, banner, body, strip, said);
  el.append(root);

  const panel = {
    model, root, body, title, status,
    get: (name) => model.get(name),
    sent: {},
    send(name, args) { panel.sent[name] = args || {}; model.send({ do: name, args: args || {} }); },
    on(names, seen) {
      for (const name of [names].flat()) {
        const event = `change:${name}`;
        model.on(event, seen);
        cleanups.push(() => model.off(event, seen));
      }
      seen();
    },
    say(text) { said.textContent = text; },
    cleanup(work) { cleanups.push(work); },
    isReadonly: () => Boolean(model.get("is_readonly")),
    onkey: null,
    redraw: () => {},
  };
  root.addEventListener("keydown", (event) => {
    event.stopPropagation(); // or Lab takes letters as its own shortcuts
    const typing = /^(TEXTAREA|SELECT)$/.test(event.target.tagName) || (event.target.tagName === "INPUT" && !/^(range|checkbox|radio)$/.test(event.target.type));
    if (event.key === "?" && !typing) { keys.hidden = !keys.hidden; event.preventDefault(); }
    if (event.key === "Escape" && !keys.hidden) keys.hidden = true;
    if (panel.onkey) panel.onkey(event, typing);
  });
  panel.on("banner", () => showBanner(banner, model.get("banner"), panel));
  panel.on("stale", () => { stale.hidden = !model.get("stale"); put(stale, ...(model.get("stale") ? [h("b", { text: "◷ " }), model.get("stale"), " ", action(panel, "refresh", "Refresh", {})] : [])); });
  panel.on("code", () => { line.textContent = model.get("code"); strip.hidden = !model.get("code"); });
  panel.on("said", () => { said.textContent = model.get("said"); });
  panel.on("busy", () => {
    const busy = model.get("busy");
    root.dataset.busy = busy.join(" ");
    for (const button of root.querySelectorAll("button[data-do]")) {
      const own = busy.includes(button.dataset.do);
      button.classList.toggle("wb-busy", own);
      button.setAttribute("aria-disabled", String(own || button.dataset.off === "true"));
    }
  });
  const lost = () => {
    gone.hidden = false;
    root.dataset.gone = "true";
    const page = el.closest(".wb-app");
    const line_ = page ? appLine(page) : (model.get("state") || {}).reattach || "wb.app()";
    const again = h("button", { type: "button", class: "wb-button", text: "Re-attach", onclick: async () => {
      again.setAttribute("aria-disabled", "true");
      try { await reattach(model, page || el, line_); for (const work of cleanups.splice(0)) work(); } catch (error) { again.after(h("span", { class: "wb-bad", text: ` ✕ ${error.message}` })); again.removeAttribute("aria-disabled"); }
    } });
    put(gone, h("b", { text: "◌ The kernel is gone. " }), "What you see is the last state; runs and endpoints go on in their own processes. ", model.widget_manager?.kernel?.requestExecute ? again : "", " Run the cell again, or: ", h("code", { text: line_ }));
  };
  const alive = () => { gone.hidden = true; delete root.dataset.gone; };
  model.on("comm_live_status_update", () => (model.comm_live === false ? lost() : alive()));
  model.on("comm:close", lost);
  cleanups.push(() => model.off("comm_live_status_update"));
  watchKernel(model, lost, alive, cleanups);
  build(panel);
  cleanups.push(watchTheme(root, () => panel.redraw()));
  return () => cleanups.forEach((work) => work());
}

function appLine(page) {
  const only = [...page.classList].find((name) => name.startsWith("wb-only-"));
  return only ? `wb.app("${only.slice(8)}")` : "wb.app()";
}

// Shows the record anew in this place, from the kernel that is there now.
async function reattach(model, el, line) {
  const manager = model.widget_manager;
  const expression = `(lambda wb: __import__("workbench.widgets.frontend", fromlist=["frontend"]).model_id(${line}))(__import__("workbench"))`;
  const done = manager.kernel.requestExecute({ code: "", silent: false, store_history: false, allow_stdin: false, user_expressions: { id: expression } }).done;
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error("the kernel does not answer yet; try again when it is idle")), 20000));
  const answer = (await Promise.race([done, late])).content.user_expressions?.id;
  if (answer?.status !== "ok") throw new Error(answer?.evalue || "the kernel could not show it");
  const shown = await manager.get_model(answer.data["text/plain"].slice(1, -1));
  const tab = el.querySelector(".wb-tabs [aria-selected=true]")?.dataset.tab, tabs = tab && shown.get("children")?.[0];
  if (tabs) { tabs.set("selected", tab); tabs.save_changes(); }
  el.replaceChildren((await manager.create_view(shown)).el);
}

// Lab tells by the kernel's status, other hosts by the comm alone.
function watchKernel(model, lost, alive, cleanups) {
  const kernel = model.widget_manager && model.widget_manager.kernel;
  if (!kernel || !kernel.statusChanged) return;
  const seen = (_sender, status) => { if (/restarting|autorestarting|dead|terminating/.test(status)) lost(); };
  kernel.statusChanged.connect(seen);
  cleanups.push(() => kernel.statusChanged.disconnect(seen));
}

function showBanner(node, error, panel) {
  node.hidden = !error;
  if (!error) return put(node);
  const copyButton = h("button", { class: "wb-quiet", type: "button", text: "Copy details", onclick: () => copy(JSON.stringify(error, null, 1), copyButton) });
  put(node, h("div", {}, h("b", { text: "✕ " }), error.message), (error.problems || []).length ? h("ul", {}, error.problems.map((text) => h("li", { text }))) : "",
    error.hint ? h("div", { class: "wb-hint", text: error.hint }) : "",
    h("div", { class: "wb-row" }, error.command && panel.sent[error.command] ? action(panel, error.command, "Retry", panel.sent[error.command]) : "", copyButton, h("button", { class: "wb-quiet", type: "button", text: "Dismiss", onclick: () => panel.send("dismiss") })));
  if (panel.root.contains(document.activeElement)) node.scrollIntoView({ block: "nearest" });
  return node;
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { style: "position:fixed;opacity:0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1200);
}

// A button that starts a command; while it is under way a second click does nothing.
function action(panel, name, text, args, kind = "") {
  return h("button", { type: "button", class: `wb-button ${kind}`, "data-do": name, text, onclick: (event) => {
    if (event.currentTarget.getAttribute("aria-disabled") === "true") return;
    panel.send(name, typeof args === "function" ? args() : args);
  } });
}

// Asks once, in the place of the button, before something that others notice.
function confirmed(panel, name, text, question, args, kind = "") {
  const holder = h("span", { class: "wb-confirm" });
  const ask = () => {
    const yes = action(panel, name, text, args, "wb-accent");
    const no = h("button", { type: "button", class: "wb-button", text: "Cancel", onclick: rest });
    yes.addEventListener("click", rest);
    put(holder, h("span", { class: "wb-question", text: typeof question === "function" ? question() : question }), yes, no);
    yes.focus();
  };
  const first = h("button", { type: "button", class: `wb-button ${kind}`, "data-ask": name, text, onclick: ask });
  function rest() { put(holder, first); }
  rest();
  return holder;
}

const facts = (rows) => h("dl", { class: "wb-facts" }, rows.filter(Boolean).map(([name, value, note]) => h("div", {}, h("dt", {}, name), h("dd", { title: note || null }, value))));

function table(columns, rows, label) {
  return h("div", { class: "wb-scroll", tabindex: "0", role: "group", "aria-label": label }, h("table", { class: "wb-table" },
    h("thead", {}, h("tr", {}, columns.map((c) => h("th", { scope: "col", class: c.left ? "wb-left" : null, text: c.name })))),
    h("tbody", {}, rows.map((row) => h("tr", { "data-key": row.key || null, class: row.class || null, onclick: row.onclick || null },
      row.cells.map((cell, i) => h("td", { class: columns[i].left ? "wb-left" : null }, cell)))))));
}
function details(summary, ...kids) { return h("details", { class: "wb-details" }, h("summary", { text: summary }), kids); }
// A table twin costs nothing until it is opened.
function twinOf(make) {
  const summary = h("summary", { text: "As a table" });
  const inside = h("div");
  const node = h("details", { class: "wb-details" }, summary, inside);
  const fillIn = () => { if (node.open) put(inside, make()); };
  node.addEventListener("toggle", fillIn);
  return { node, update(count) { summary.textContent = count === undefined ? "As a table" : `As a table (${count})`; fillIn(); } };
}
// Several changes within one frame are drawn once.
function once(work) {
  let asked = 0;
  return () => { if (!asked) asked = requestAnimationFrame(() => { asked = 0; work(); }); };
}
// At most once in so many milliseconds, the last time with what was said last.
function paced(work, ms) {
  let last = -ms, timer = null, said;
  const run = () => { timer = null; last = performance.now(); work(...said); };
  return (...now) => {
    said = now;
    if (timer !== null) return;
    const wait = last + ms - performance.now();
    if (wait <= 0) run(); else timer = setTimeout(run, wait);
  };
}
const field = (label, control, note) => h("label", { class: "wb-field" }, h("span", { class: "wb-label", text: label }), control, note ? h("span", { class: "wb-note", text: note }) : null);
const empty = (sentence, ...kids) => h("div", { class: "wb-empty" }, h("p", { text: sentence }), kids);

// A control for one option of a Config; only what was changed is sent.
function knobField(knob, values) {
  const set = (value) => { if (value === "" || value === null || Number.isNaN(value)) delete values[knob.name]; else values[knob.name] = value; };
  let control;
  if (knob.kind === "choice") control = h("select", { onchange: (e) => set(knob.choices.find((c) => String(c) === e.target.value) ?? null) }, knob.default === null ? h("option", { value: "", text: "automatic" }) : "", knob.choices.map((c) => h("option", { value: c, text: c, selected: c === knob.default })));
  else if (knob.kind === "bool") control = h("input", { type: "checkbox", checked: Boolean(knob.default), onchange: (e) => set(e.target.checked) });
  else if (knob.kind === "number") control = h("input", { type: "number", min: knob.min, max: knob.max, step: knob.step || "any", placeholder: knob.default === null ? "automatic" : String(knob.default), oninput: (e) => set(e.target.value === "" ? null : Number(e.target.value)) });
  else control = h("input", { type: "text", placeholder: knob.default === null ? "none" : String(knob.default ?? ""), oninput: (e) => set(e.target.value) });
  return field(knob.label || knob.name, control, knob.description);
}
