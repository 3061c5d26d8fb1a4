// The scatter. What was measured is drawn when it changes; while sliders move, only the hollow point above it is.

const AXES = { size_bytes: ["size (kB, file)", 1e-3, "kB"], stored_bytes: ["size (kB, after zstd)", 1e-3, "kB"], latency_ms: ["latency p50 (ms)", 1, "ms"] };

// `study` says limit(), inside(point), wordsOf(point), choose(recipe) and what to do when the width changes: resized().
function scatter(panel, study) {
  const still = g("g"), moving = g("g", { "pointer-events": "none" });
  const node = g("svg", { role: "group", "aria-label": "Trade-off: score over size", style: "height:360px" }, still, moving);
  let width = 560, drawn = [], place = "";
  const sizes = new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now && now !== width) { width = now; study.resized(); }
  });
  sizes.observe(node);
  panel.cleanup(() => sizes.disconnect());

  function draw(axis, guess) {
    const s = panel.get("state");
    if (!(s.points || []).length) return;
    const f = frameOf(s, axis, guess);
    const now = [s, panel.get("budget"), panel.get("chosen"), axis, width, f.low, f.high, f.max];
    if (now.some((value, i) => value !== drawn[i])) { drawn = now; drawStill(f); }
    put(moving, guess ? hollow(f, guess) : "");
  }
  // Scales and what they are made of. The width is noted when it changes: asking for it here would lay out the page.
  function frameOf(s, axis, guess) {
    const unit = AXES[axis][1], points = s.points, share = s.is_share;
    const baseline = points.find((p) => p.is_baseline) || points[0];
    const ys = points.flatMap((p) => [p.score, baseline.score + p.change[1], baseline.score + p.change[2]]).concat(guess?.shown ? guess.shown.score[0] : []).filter(Number.isFinite).map((y) => (share ? Math.min(1, Math.max(0, y)) : y));
    const [low, high] = heights(ys, share), max = farthest(points.map((p) => p[axis] * unit), guess?.across ? guess.across[0] * unit : 0);
    const height = width < 420 ? 300 : 380;
    const box = { left: 54, right: width - 6, top: 6, bottom: height - 42 };
    const x = scale(0, max, box.left + ROOM, box.right - ROOM), y = scale(low, high, box.bottom - ROOM, box.top + ROOM);
    const clip = (v) => Math.max(box.top, Math.min(box.bottom, v));
    return { s, axis, unit, points, share, baseline, low, high, max, width, height, box, x: (p) => x(p[axis] * unit), at: (value) => x(value), y, clip };
  }
  function drawStill(f) {
    const parts = [...outside(f), ...axes(f), front(f)], chosen = panel.get("chosen");
    for (const p of [...f.points].sort((a, b) => a.is_baseline - b.is_baseline || (a.recipe === chosen) - (b.recipe === chosen))) parts.push(dot(f, p, p.recipe === chosen));
    node.style.height = `${f.height}px`;
    node.setAttribute("viewBox", `0 0 ${f.width} ${f.height}`);
    const focused = node.getRootNode().activeElement?.dataset?.recipe;
    put(still, ...parts);
    if (focused) [...still.querySelectorAll("[data-recipe]")].find((n) => n.dataset.recipe === focused)?.focus();
  }
  // The budget: what lies outside is shaded.
  function outside({ s, axis, unit, baseline, box, y, at, clip }) {
    const limit = study.limit(), parts = [];
    const shade = (left, top, right, bottom) => parts.push(g("rect", { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top), fill: "var(--wb-shade)" }));
    const floor = clip(y(s.higher_is_better ? baseline.score - limit.drop : baseline.score + limit.drop));
    if (Number.isFinite(limit.drop)) {
      if (s.higher_is_better) shade(box.left, floor, box.right, box.bottom); else shade(box.left, box.top, box.right, floor);
      parts.push(g("line", { x1: box.left, x2: box.right, y1: floor, y2: floor, stroke: "var(--wb-grey)", "stroke-dasharray": "2 3" }));
    }
    const most = { size_bytes: limit.bytes, latency_ms: limit.ms }[axis];
    if (Number.isFinite(most)) shade(Math.min(box.right, at(most * unit)), box.top, box.right, box.bottom);
    return parts;
  }
  function axes({ s, axis, share, low, high, max, box, at, y, width, height }) {
    const factor = share ? 100 : 1, marks = ticks(low, high, 6), words = tickText(marks.map((value) => factor * value));
    const rows = marks.flatMap((value) => [g("line", { x1: box.left, x2: box.right, y1: y(value), y2: y(value), stroke: "var(--wb-line)", "stroke-opacity": 0.5 }), g("text", { x: box.left - 6, y: y(value) + 4, "text-anchor": "end", text: words(factor * value) + (share ? " %" : "") })]);
    const columns = ticks(0, max, Math.min(8, width / 60)).map((value) => g("text", { x: at(value), y: box.bottom + 16, "text-anchor": "middle", text: fmt.sig(value) }));
    return [...rows, ...columns, g("text", { x: box.right, y: height - 8, "text-anchor": "end", text: AXES[axis][0] }), g("text", { x: 6, y: height - 8, text: `${s.metric} ${s.higher_is_better ? "↑" : "↓"}` })];
  }
  function front(f) {
    const better = (p) => (f.s.higher_is_better ? p.score : -p.score);
    let best = -Infinity, path = "";
    for (const p of [...f.points].sort((a, b) => a[f.axis] - b[f.axis] || better(b) - better(a))) {
      if (better(p) <= best) continue;
      best = better(p);
      path += path ? `H${f.x(p)}V${f.y(p.score)}` : `M${f.x(p)} ${f.y(p.score)}`;
    }
    return g("path", { d: path, fill: "none", stroke: "var(--wb-blue)", "stroke-width": 1.5 });
  }
  function dot(f, p, isOn) {
    const cx = f.x(p), cy = f.y(p.score), words = study.wordsOf(p), choose = () => study.choose(p.recipe), isIn = study.inside(p);
    const shape = p.is_baseline ? g("path", { d: `M${cx} ${cy - 8}l8 8-8 8-8-8z`, fill: "var(--wb-grey)" }) : g("circle", { cx, cy, r: 5.5, fill: "var(--wb-blue)", "fill-opacity": isIn ? 1 : 0.45 });
    return g("g", { class: "wb-dot", tabindex: "0", role: "button", "aria-pressed": String(isOn), "aria-label": words, "data-recipe": p.recipe, style: "cursor:pointer",
      onclick: choose, onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); choose(); } } },
      g("title", { text: words }), g("line", { x1: cx, x2: cx, y1: f.clip(f.y(f.baseline.score + p.change[1])), y2: f.clip(f.y(f.baseline.score + p.change[2])), stroke: p.is_baseline ? "none" : "var(--wb-blue)", "stroke-opacity": 0.35 }), g("circle", { cx, cy, r: 12, fill: "transparent" }), shape,
      isOn ? g("circle", { cx, cy, r: 10, fill: "none", stroke: "var(--wb-orange)", "stroke-width": 2.5 }) : null);
  }

  // What the sliders say: with its band, or, while nothing is known but the size, as a line.
  function hollow(f, { recipe, said, shown, across, refusal }) {
    if (!across) return "";
    const x = f.at(across[0] * f.unit);
    if (!shown) {
      const isFar = x > f.width * 0.7;
      return [g("text", { x: x + (isFar ? -8 : 8), y: f.box.bottom - 8, "text-anchor": isFar ? "end" : "start", style: "fill:var(--wb-orange);font-weight:600", text: refusal ? "no estimate" : "estimating …" }),
        g("line", { class: "wb-estimate", "data-for": "", x1: x, x2: x, y1: f.box.top, y2: f.box.bottom, stroke: "var(--wb-orange)", "stroke-width": 2, "stroke-dasharray": "5 4" })];
    }
    const [value, low, high] = shown.score.map(f.y);
    const at = { x, left: f.at(across[1] * f.unit), right: f.at(across[2] * f.unit), y: value, top: high, bottom: low, box: f.box };
    const words = said ? [bandWords(said, f.share), caution(said)].filter(Boolean) : ["estimating …"];
    const chosen = panel.get("chosen"), marks = f.points.map((p) => ({ x: f.x(p), y: f.y(p.score), r: p.recipe === chosen ? 12 : p.is_baseline ? 8 : 6.5 }));
    const size = { width: 6.7 * Math.max(...words.map((w) => w.length)), height: 14 * words.length + 2 };
    const found = placeWords({ x, y: f.clip(value) }, size, marks, { ...f.box, left: 2, right: f.width - 2 }, place);
    place = found.key;
    return hollowPoint(at, words, { ...found, ...size }, { "data-for": said ? recipe : "", "data-score": said ? said.score[0] : "", opacity: said ? null : 0.55 });
  }
  return { node, draw };
}

// The hollow point with its band. `at` holds the places: x, y, the band's ends, the plot's box; `place` that of the words.
function hollowPoint({ x, y, top, bottom, left, right, box }, words, place, data) {
  const line = (props) => g("line", { stroke: "var(--wb-orange)", "stroke-width": 2, ...props });
  const clip = (v) => Math.max(box.top, Math.min(box.bottom, v));
  const [t, b] = [clip(top), clip(bottom)];
  const isLeft = place.left + place.width < x;
  const text = { x: isLeft ? place.left + place.width : place.left, "text-anchor": isLeft ? "end" : "start", style: "fill:var(--wb-orange);font-weight:600;paint-order:stroke;stroke:var(--wb-bg);stroke-width:3px" };
  return g("g", { class: "wb-estimate", ...data },
    g("rect", { x: x - 6, width: 12, y: t, height: Math.max(0, b - t), fill: "var(--wb-orange)", "fill-opacity": 0.16 }),
    line({ x1: x, x2: x, y1: t, y2: b, "stroke-dasharray": "5 4" }),
    top >= box.top ? line({ x1: x - 6, x2: x + 6, y1: t, y2: t }) : null, bottom <= box.bottom ? line({ x1: x - 6, x2: x + 6, y1: b, y2: b }) : null,
    right - left > 8 ? line({ x1: Math.max(box.left, left), x2: Math.min(box.right, right), y1: clip(y), y2: clip(y), "stroke-width": 1.5, "stroke-dasharray": "2 3" }) : null,
    g("circle", { cx: x, cy: clip(y), r: 6.5, fill: "var(--wb-bg)", "fill-opacity": 0.6, stroke: "var(--wb-orange)", "stroke-width": 2.5 }),
    words.map((part, i) => g("text", { ...text, y: place.top + 12 + 14 * i, text: part })));
}
