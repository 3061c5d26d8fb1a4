// A run: loss and metric as they come, on canvases of our own.

// Long runs get an axis that grows in steps, so that the first epochs are not a needle at the left.
const horizon = (seen, epochs) => Math.min(epochs, [10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((n) => n >= seen * 1.2) || epochs);

// 1, 2, 5 of each decade, or the decades alone where there are many.
function logTicks(low, high) {
  const found = [];
  const many = high / low > 2000;
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) for (const m of many ? [1] : [1, 2, 5]) if (m * power >= low && m * power <= high) found.push(Number((m * power).toPrecision(6)));
  return found;
}

class Curves {
  constructor(root, label, height = 220) {
    this.root = root;
    this.height = height;
    this.label = label;
    this.lines = [];
    this.hover = null;
    this.mark = null;
    this.isLog = false;
    this.share = false;
    this.canvas = h("canvas", { role: "img", "aria-label": label, style: `width:100%;height:${height}px` });
    this.canvas.addEventListener("pointermove", (event) => { this.hover = event.offsetX; this.draw(); this.onhover?.(this.at(event.offsetX)); });
    this.canvas.addEventListener("pointerleave", () => { this.hover = null; this.draw(); this.onhover?.(null); });
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(this.canvas);
  }
  at(pixel) { return this.toX ? Math.round(this.fromX(pixel)) : null; }
  setHover(epoch) { this.hover = epoch === null || !this.toX ? null : this.toX(epoch); this.draw(); }
  draw() {
    if (this.queued) return;
    this.queued = requestAnimationFrame(() => { this.queued = null; this.paint(); });
  }
  paint() {
    const width = this.canvas.clientWidth, height = this.height, dpr = window.devicePixelRatio || 1;
    if (!width) return;
    if (this.canvas.width !== Math.round(width * dpr)) { this.canvas.width = Math.round(width * dpr); this.canvas.height = Math.round(height * dpr); }
    const c = this.canvas.getContext("2d");
    c.setTransform(dpr, 0, 0, dpr, 0, 0);
    c.clearRect(0, 0, width, height);
    c.font = "11px system-ui, sans-serif";
    const soft = ink(this.root, "--wb-soft"), rule = ink(this.root, "--wb-line");
    const [x0, x1, y0, y1] = this.range();
    const left = 48, right = width - 12, top = 12, bottom = height - 26;
    const toX = (this.toX = scale(x0, x1, left, right));
    this.fromX = scale(left, right, x0, x1);
    const map = this.isLog ? (v) => Math.log10(Math.max(v, 1e-9)) : (v) => v;
    const toY = (value) => scale(map(y0), map(y1), bottom, top)(map(value));
    c.strokeStyle = rule;
    c.fillStyle = soft;
    c.lineWidth = 1;
    c.textAlign = "right";
    const marks = this.isLog ? logTicks(y0, y1) : ticks(y0, y1, 4);
    for (const value of marks) {
      const y = Math.round(toY(value)) + 0.5;
      c.globalAlpha = 0.6;
      c.beginPath(); c.moveTo(left, y); c.lineTo(right, y); c.stroke();
      c.globalAlpha = 1;
      c.fillText(this.share ? `${fmt.sig(100 * value)} %` : fmt.sig(value), left - 6, y + 4);
    }
    c.textAlign = "center";
    for (const value of ticks(x0, x1, Math.min(8, width / 60)).filter(Number.isInteger)) c.fillText(String(value), toX(value), bottom + 16);
    c.textAlign = "left";
    c.fillText("epoch", 2, bottom + 16);
    c.save();
    c.beginPath(); c.rect(left - 4, top - 6, right - left + 10, bottom - top + 12); c.clip();
    for (const line of this.lines) this.stroke(c, line, toX, toY);
    if (this.mark) {
      const { x, y, color } = this.mark;
      c.strokeStyle = ink(this.root, color);
      c.lineWidth = 2;
      c.beginPath(); c.arc(toX(x), toY(y), 6, 0, 7); c.stroke();
    }
    if (this.hover !== null) {
      c.strokeStyle = soft; c.lineWidth = 1; c.setLineDash([3, 3]);
      c.beginPath(); c.moveTo(this.hover, top); c.lineTo(this.hover, bottom); c.stroke();
      c.setLineDash([]);
    }
    c.restore();
  }
  stroke(c, line, toX, toY) {
    c.strokeStyle = c.fillStyle = ink(this.root, line.color);
    c.lineWidth = line.width;
    c.globalAlpha = line.alpha || 1;
    c.setLineDash(line.dash || []);
    c.beginPath();
    line.points.forEach(([x, y], i) => (i ? c.lineTo(toX(x), toY(y)) : c.moveTo(toX(x), toY(y))));
    c.stroke();
    c.setLineDash([]);
    if (line.dots && line.points.length < 40) for (const [x, y] of line.points) { c.beginPath(); c.arc(toX(x), toY(y), line.width + 0.5, 0, 7); c.fill(); }
    c.globalAlpha = 1;
  }
  range() {
    const all = this.lines.flatMap((line) => line.points).filter(([, y]) => Number.isFinite(y));
    const x1 = Math.max(this.last || 1, ...all.map((p) => p[0]));
    if (!all.length) return [0, x1, 0, 1];
    let y0 = Math.min(...all.map((p) => p[1])), y1 = Math.max(...all.map((p) => p[1]));
    if (this.isLog) return [0, x1, Math.max(1e-6, y0 * 0.8), y1 * 1.2];
    if (this.share) { y1 = Math.min(1, y1 + 0.02); y0 = Math.max(0, y0 - 0.05); } else y0 = Math.min(0, y0);
    if (y1 - y0 < 1e-9) y1 = y0 + 1;
    return [0, x1, y0, y1 + (this.share ? 0 : (y1 - y0) * 0.05)];
  }
  destroy() { this.sizes.disconnect(); if (this.queued) cancelAnimationFrame(this.queued); }
}

const MAIN = new Set(["family", "epochs", "lr", "batch_size", "seed", "width", "depth", "hidden", "stages", "dropout", "early_stopping"]);
const STATUS = { created: "○ starting", running: "● running", paused: "‖ paused", succeeded: "✓ done", failed: "✕ failed", cancelled: "■ stopped", interrupted: "◌ interrupted" };
const COLORS = ["--wb-blue", "--wb-orange", "--wb-green", "--wb-purple"];

function matrix(view, columns) {
  if (!view || !view.byteLength) return [];
  const flat = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  return Array.from({ length: flat.length / columns }, (_, i) => flat.subarray(i * columns, (i + 1) * columns));
}

function buildRun(panel) {
  const loss = new Curves(panel.root, "Loss over epochs"), metric = new Curves(panel.root, "Metric over epochs");
  panel.cleanup(() => { loss.destroy(); metric.destroy(); });
  const readout = h("div", { class: "wb-legend", "aria-hidden": "true" });
  const lossName = h("h3", { text: "loss" }), metricName = h("h3", {});
  const log = h("input", { type: "checkbox", onchange: () => { loss.isLog = log.checked; loss.draw(); } });
  const bar = h("i"), barBox = h("div", { class: "wb-bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
  const where = h("div", { class: "wb-small", style: "min-height:20px" });
  const buttons = h("div", { class: "wb-row" });
  const twin = twinOf(() => table([{ name: "epoch" }, { name: "train loss" }, { name: "val loss" }, { name: panel.get("state").metric_name || "score" }],
    (rows[panel.get("state").ref] || []).map((r) => ({ cells: [String(r[0]), fmt.sig(r[1]), fmt.sig(r[2]), fmt.score(r[3], panel.get("state").is_share)] })), "Metrics by epoch"));
  let rows = {};
  const config = h("div"), summary = h("div"), others = h("div", { style: "margin-top:16px" }), next = h("div", { class: "wb-row" });
  const form = h("div");
  panel.body.append(h("div", { class: `wb-controls${panel.get("form")?.families ? "" : " wb-last"}` }, form, config), h("div", { class: "wb-first" },
    h("div", { class: "wb-charts" }, h("div", {}, lossName, loss.canvas), h("div", {}, metricName, metric.canvas)),
    readout, h("label", { class: "wb-small" }, log, " log axis"), h("div", { style: "margin-top:8px" }, barBox, where), buttons, twin.node),
    h("div", {}, summary, next, others));
  let hovered = null;
  loss.onhover = (epoch) => { metric.setHover(epoch); tell(epoch); };
  metric.onhover = (epoch) => { loss.setHover(epoch); tell(epoch); };

  function tell(epoch) {
    hovered = epoch;
    const state = panel.get("state");
    const row = (rows[state.ref] || []).find((r) => r[0] === epoch);
    if (!row) return legend();
    put(readout, h("span", { text: `epoch ${epoch}` }), h("span", { text: `train loss ${fmt.sig(row[1])}` }), h("span", { text: `val loss ${fmt.sig(row[2])}` }),
      h("span", { text: `${state.metric_name} ${fmt.score(row[3], state.is_share)}` }));
  }
  function legend() {
    const shown = panel.get("state").shown || [];
    const key = (color, style, text) => h("span", {}, h("i", { style: `border-color:var(${color});${style}` }), text);
    put(readout, key("--wb-soft", "border-top-width:1px", "train (thin)"), key("--wb-soft", "border-top-width:3px", "validation (thick)"),
      ...(shown.length > 1 ? shown.map((ref, i) => key(COLORS[i % 4], "border-top-width:3px", ref.slice(4))) : []), h("span", { text: "○ best epoch" }));
  }
  function curves() {
    const state = panel.get("state"), held = panel.get("curves") || {};
    rows = {};
    loss.lines = []; metric.lines = []; metric.mark = null;
    (state.shown || []).forEach((ref, i) => {
      const one = held[ref];
      if (!one) return;
      const color = COLORS[i % 4];
      rows[ref] = matrix(one.epochs, 4);
      const column = (k) => rows[ref].map((r) => [r[0], r[k]]).filter((p) => Number.isFinite(p[1]));
      loss.lines.push({ points: matrix(one.batches, 2).map((r) => [r[0], r[1]]), color, width: 1, alpha: 0.35 }, { points: column(1), color, width: 1 }, { points: column(2), color, width: 2.5, dots: true });
      metric.lines.push({ points: column(3), color, width: 2.5, dots: true });
    });
    metric.share = state.is_share;
    loss.last = metric.last = horizon(Math.max(1, ...(rows[state.ref] || []).map((r) => r[0])), state.epochs || 1);
    if (state.best) metric.mark = { x: state.best.epoch, y: state.best.value, color: "--wb-orange" };
    loss.draw(); metric.draw();
    const epochs = String((rows[state.ref] || []).length);
    if (panel.root.dataset.epochs !== epochs) { panel.root.dataset.epochs = epochs; twin.update(Number(epochs)); }
    tell(hovered);
  }
  let buttonsFor = "";
  function state() {
    const s = panel.get("state");
    const has = Boolean(s.ref);
    panel.title.textContent = has ? `${s.title}` : "Train a model";
    put(panel.status, has ? h("b", { text: STATUS[s.status] || s.status, class: s.status === "failed" ? "wb-bad" : null }) : "", has ? ` ${s.ref}` : "");
    panel.root.dataset.status = s.status || "empty";
    metricName.textContent = s.metric_name || "score";
    const share = s.total ? s.done / s.total : 0;
    bar.style.width = `${(100 * share).toFixed(1)}%`;
    barBox.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    where.textContent = !has ? "" : [s.total ? `${Math.round(100 * share)} %` : "", s.note || (s.status === "running" && !s.done ? "starting" : ""), s.rate ? `${fmt.count(Math.round(s.rate))} samples/s` : "", s.elapsed !== null ? `${fmt.seconds(s.elapsed)} so far` : "",
      s.left !== null && s.status === "running" ? `${fmt.seconds(s.left)} left` : ""].filter(Boolean).join(" · ");
    const can = panel.isReadonly() ? [] : s.can || [];
    if (buttonsFor !== can.join()) {
      buttonsFor = can.join();
      const names = { pause: "Pause", stop: "Stop", resume: "Resume" };
      put(buttons, ...can.map((name) => action(panel, name, names[name], {}, name === "resume" ? "wb-accent" : "")));
    }
    buttons.hidden = !can.length;
    put(config, ...(s.config?.length ? [h("h3", { text: "settings" }), facts(s.config.filter(([k]) => MAIN.has(k))), details("all settings", facts(s.config.filter(([k]) => !MAIN.has(k))))] : []));
    put(summary, ...(has ? [h("h3", { text: "run" }), h("div", { class: "wb-big", text: s.best ? fmt.score(s.best.value, s.is_share) : "–" }),
      h("p", { class: "wb-small", text: s.best ? `best ${s.metric_name}, at epoch ${s.best.epoch} of ${s.epochs}` : s.status === "created" ? "Starting: the process loads PyTorch." : "no epoch yet" }),
      facts([s.params ? ["parameters", fmt.count(s.params)] : null, ["data", s.data || "–"], s.cpu_seconds ? ["CPU time", `${fmt.seconds(s.cpu_seconds)}`, "of the training process; watts are not guessed"] : null, s.energy_j ? ["energy", `${fmt.sig(s.energy_j)} J`, "all processor packages, whatever else ran on them included"] : null, ["started", s.started || "–"]])] : []));
    if (s.error) summary.append(h("div", { class: "wb-banner", role: "alert" }, h("b", { text: "✕ " }), s.error.message, h("div", { class: "wb-hint", text: s.error.hint || "" })));
    const nextKey = `${s.status}|${panel.isReadonly()}`;
    if (next.dataset.key !== nextKey) {
      next.dataset.key = nextKey;
      put(next, ...(has && !panel.isReadonly() && s.can_study ? [action(panel, "study", "Compress this model", {}, "wb-accent"), h("span", { class: "wb-small", text: "exports it to ONNX and measures that: some seconds" })] : []));
    }
    const listed = JSON.stringify(s.others || []) + (s.shown || []).join();
    if (others.dataset.key !== listed) {
      others.dataset.key = listed;
      put(others, ...((s.others || []).length ? [h("h3", { text: "overlay other runs" }), s.others.map((o) => h("label", { class: "wb-small", style: "display:block" },
        h("input", { type: "checkbox", checked: (s.shown || []).includes(o.ref), onchange: (e) => panel.send("overlay", { ref: o.ref, is_shown: e.target.checked }) }), ` ${o.label}`, panel.get("form")?.families ? h("button", { type: "button", class: "wb-quiet", text: "open", onclick: () => panel.send("open", { ref: o.ref }) }) : ""))] : []));
    }
    panel.body.classList.toggle("wb-nothing", !has);
  }
  const all = once(() => { state(); curves(); });
  panel.on(["state", "curves"], all);
  trainForm(panel, form);
  panel.redraw = curves;
  panel.onkey = (event, typing) => { if (event.key === "Escape" && !typing && (panel.get("state").can || []).includes("stop")) panel.send("stop"); };
}

// The form of the app's tab: data, family, its knobs, Train.
function trainForm(panel, form) {
  const offer = panel.get("form");
  if (!offer || !offer.families) return;
  const values = {};
  const knobs = h("div", { class: "wb-scrolled wb-options" });
  const data = h("select", { "aria-label": "Data", onchange: () => fit() });
  const family = h("select", { "aria-label": "Family", onchange: () => draw() });
  const fillData = () => {
    const chosen = data.value;
    put(data, ...panel.get("form").datasets.map((d) => h("option", { value: d.ref, text: d.label })));
    if (chosen) data.value = chosen;
    fit();
  };
  // Families that cannot learn the chosen data are shown, but not to be chosen.
  function fit() {
    const known = panel.get("form").datasets.find((d) => d.ref === data.value);
    const why = (f) => f.reason || ((known && known.unfit) || {})[f.key];
    const before = family.value;
    put(family, ...offer.families.map((f) => h("option", { value: f.key, text: why(f) ? `${f.key} – ${why(f)}` : f.key, disabled: Boolean(why(f)) })));
    const usable = offer.families.filter((f) => !why(f)).map((f) => f.key);
    family.value = [before, ...offer.preferred, ...usable].find((key) => usable.includes(key)) || offer.families[0].key;
    if (family.value !== before) draw();
  }
  function draw() {
    const chosen = offer.families.find((f) => f.key === family.value);
    for (const key of Object.keys(values)) delete values[key];
    put(knobs, h("p", { class: "wb-note", text: chosen.summary }), ...[...offer.common, ...chosen.knobs].map((knob) => knobField(knob, values)));
  }
  panel.on("form", fillData);
  form.append(field("data", data), field("family", family), knobs, h("div", { class: "wb-row" }, action(panel, "train", "Train", () => ({ data: data.value, family: family.value, options: { ...values } }), "wb-accent")));
}

