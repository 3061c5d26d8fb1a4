// Where the things of the scatter stand; no DOM, so that node can test it.

const ROOM = 13; // pixels that a marker with its ring needs on each side

// Ends of the score's axis, in steps, so that the picture does not breathe while a slider moves.
function heights(ys, isShare) {
  const low = Math.min(...ys), high = Math.max(...ys), range = high - low;
  if (!isShare) { const pad = (range || Math.abs(high) || 1) * 0.03; return [low - pad, high + pad]; }
  const step = range > 0.3 ? 0.1 : range > 0.1 ? 0.05 : 0.01, tidy = (value) => Number(value.toFixed(6));
  const bottom = Math.max(0, Math.floor(low / step + 1e-6) * step), top = Math.min(1, Math.ceil(high / step - 1e-6) * step);
  return top > bottom ? [tidy(bottom), tidy(top)] : [tidy(Math.max(0, bottom - step)), tidy(Math.min(1, top + step))];
}
// End of the other axis; a guess beyond what was measured moves it in steps, too.
function farthest(xs, guess) {
  const most = Math.max(...xs);
  return guess > most ? (most * Math.ceil((10 * guess) / most)) / 10 : most;
}
// Where the words of the hollow point stand: at the first place around it that covers no marker and is inside.
// `size` is that of the words, `marks` are { x, y, r }, `before` is the place they had; all in pixels.
function placeWords({ x, y }, size, marks, box, before) {
  const { width, height } = size, away = 14, leftFirst = x > (box.left + box.right) / 2;
  const beside = (dy, toLeft) => ({ key: `${dy}${toLeft ? "<" : ">"}`, left: toLeft ? x - away - width : x + away, top: y - height / 2 + dy });
  const above = (dy) => ({ key: `${dy}|`, left: Math.min(Math.max(x - width / 2, box.left), box.right - width), top: y + dy - height / 2 });
  const places = [0, -16, 16, -32, 32, -48, 48, -64, 64].flatMap((dy) => [beside(dy, leftFirst), beside(dy, !leftFirst)]).concat([above(-away - height), above(away + height)]);
  const covered = (p, m) => Math.hypot(Math.max(p.left - m.x, 0, m.x - p.left - width), Math.max(p.top - m.y, 0, m.y - p.top - height)) < m.r;
  const outside = (p) => Math.max(0, box.left - p.left) + Math.max(0, p.left + width - box.right) + Math.max(0, box.top - p.top) + Math.max(0, p.top + height - box.bottom);
  const cost = (p, i) => 1000 * marks.filter((m) => covered(p, m)).length + 100 * outside(p) + i - (p.key === before ? 3.5 : 0);
  return places.map((p, i) => ({ ...p, cost: cost(p, i) })).reduce((best, p) => (p.cost < best.cost ? p : best));
}
