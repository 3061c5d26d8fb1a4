// Estimates of recipes from the table that the kernel sends once; no DOM. The layout and every
// formula are in workbench/compression/page_table.py, which this must equal.
//
//   const table = open(head, buffer);               // once a message: JSON head, ArrayBuffer or DataView
//   estimate(table, "prune:0.5 + quantize_static")  // or { layer: "half", "*": "prune:0.3,scope=layer" }
//
// estimate returns null where only the kernel can say; else { score, size_bytes, latency_ms, macs } with
// value, low and high each, is_provisional, needs_training and reason.

const WHOLE = 32767, TINY = 1e-30, SAME = 1e-9;

export function open(head, data) {
  const buffer = data.buffer ?? data, start = data.byteOffset ?? 0, arrays = {};
  for (const [name, { type, shape, offset }] of Object.entries(head.arrays)) {
    const count = shape.reduce((a, b) => a * b, 1), kind = type === "i2" ? Int16Array : Float32Array;
    const bytes = buffer.slice(start + offset, start + offset + count * kind.BYTES_PER_ELEMENT);
    arrays[name] = kind === Int16Array ? new Int16Array(bytes) : Float64Array.from(new Float32Array(bytes));
  }
  const table = { ...head, ...arrays, places: arrays.places, treatments: head.treatments, exact: new Map(), axes: new Map(), known: new Set(head.drop.kinds) };
  table.layerOf = new Int16Array(table.lengths.length).fill(-1);
  table.rows.forEach((row, place) => { if (row >= 0) table.layerOf[row] = Math.floor(place / head.treatments.length); });
  head.treatments.forEach((t, index) => {
    table.exact.set(named(table, t.steps), index);
    if (t.axis === undefined || !t.complete) return;
    const key = named(table, t.steps, axisOf(t.steps));
    const axis = table.axes.get(key) ?? table.axes.set(key, { rest: t.rest, steps: [] }).get(key);
    axis.steps.push({ amount: t.amount, index });
    axis.steps.sort((a, b) => a.amount - b.amount);
  });
  table.measuredKinds = new Set(head.measured_kinds);
  return table;
}

export function estimate(table, recipe) {
  const groups = parsed(table, recipe);
  if (!groups) return null;
  const steps = groups.flatMap((g) => g.steps);
  if (steps.some((s) => table.methods[s.kind].trains)) return untrained(table, steps);
  const chosen = treatmentsOf(table, groups);
  if (!chosen) return null;
  const cells = cellsOf(table, chosen);
  if (!cells) return null;
  const isBlind = table.has_unseen && groups.some((g) => g.reachesAll && g.steps.some((s) => table.methods[s.kind].changes));
  return figures(table, chosen, cells, isBlind);
}

// --- recipes ------------------------------------------------------------------------------------------

export function stepsOf(table, part) {
  if (part && !Array.isArray(part) && typeof part === "object") part = part.steps ?? [part];
  if (typeof part === "string") part = ["", "baseline", "none"].includes(part.trim()) ? [] : part.split("+");
  const steps = part.map((item) => (typeof item === "string" ? fromText(table, item.trim()) : filled(table, item)));
  return steps.includes(null) ? null : steps;
}

function fromText(table, text) {
  const [, kind, rest] = /^([A-Za-z_]\w*)\s*(.*)$/.exec(text) ?? [], method = table.methods[kind];
  if (!method) return null;
  const values = {};
  for (const [index, piece] of rest.replace(/^,/, "").split(",").entries()) {
    const text = piece.trim();
    if (!text) continue;
    if (index === 0 && text.startsWith(":")) values[method.fields[0]] = valueOf(text.slice(1));
    else values[text.slice(0, text.indexOf("=")).trim()] = valueOf(text.slice(text.indexOf("=") + 1));
  }
  return filled(table, { kind, ...values });
}

function valueOf(text) {
  const word = text.trim();
  if (word === "true" || word === "false") return word === "true";
  return word !== "" && Number.isFinite(Number(word)) ? Number(word) : word;
}

function filled(table, step) {
  const method = table.methods[step.kind];
  if (!method) return null;
  const { version, ...values } = step;
  return { ...method.defaults, ...values };
}

function named(table, steps, leftOut = -1) {
  return steps.map((step, i) => {
    const values = filled(table, step);
    if (i === leftOut) values.amount = null;
    return JSON.stringify(Object.keys(values).sort().map((k) => [k, values[k]]));
  }).join("+");
}

const axisOf = (steps) => steps.findIndex((s) => s.amount !== undefined);

function parsed(table, recipe) {
  const isMap = recipe && typeof recipe === "object" && !Array.isArray(recipe) && !recipe.steps && !recipe.kind;
  if (typeof recipe === "string" && recipe.trim().startsWith("{")) return parsed(table, JSON.parse(recipe));
  if (!isMap) {
    const steps = stepsOf(table, recipe);
    return steps && [{ layers: table.layers, steps, isAll: true, reachesAll: true }];
  }
  const parts = recipe.layers && typeof recipe.layers === "object" ? recipe.layers : recipe, lists = new Map();
  const rest = table.layers.filter((name) => !(name in parts));
  for (const [name, part] of Object.entries(parts)) {
    const steps = stepsOf(table, part), layers = name === "*" ? rest : [name];
    if (!steps || (name !== "*" && !table.layers.includes(name))) return null;
    const key = named(table, steps);
    if (!lists.has(key)) lists.set(key, { layers: [], steps, isAll: false, reachesAll: false });
    lists.get(key).layers.push(...layers);
    if (name === "*") lists.get(key).reachesAll = true;
  }
  for (const group of lists.values()) group.isAll = group.layers.length === table.layers.length;
  return [...lists.values()];
}

function treatmentsOf(table, groups) {
  const chosen = [];
  for (const { layers, steps, isAll } of groups) {
    if (steps.some((s) => s.scope === "global") && !isAll && layers.length > 1) return null;
    for (const name of layers) {
      const layer = table.layers.indexOf(name);
      const own = steps.map((s) => (s.scope === "global" ? localized(table, s, layer, isAll) : s)).filter(Boolean);
      if (own.includes(undefined)) return null;
      if (own.length) chosen.push({ layer, steps: own });
    }
  }
  return chosen;
}

function localized(table, step, layer, isAll) {
  if (!isAll) return { ...step, scope: "layer" };
  const { amount, ...rest } = step;
  const place = table.rankings.findIndex((r) => Object.keys(rest).every((k) => r[k] === rest[k]));
  if (place < 0) return { ...step, scope: "unknown" };
  const A = table.amounts, L = table.layers.length;
  const at = (i) => (i < 0 ? 0 : i >= A.length ? 1 : table.global_shares[(place * A.length + i) * L + layer]);
  const where = (i) => (i < 0 ? 0 : i >= A.length ? 1 : A[i]);
  let above = A.findIndex((a) => a >= amount - SAME);
  if (above < 0) above = A.length;
  const low = where(above - 1), share = (amount - low) / (where(above) - low);
  const found = at(above - 1) + share * (at(above) - at(above - 1));
  return found > 0 ? { ...step, amount: Math.min(found, 1 - 1e-6), scope: "layer" } : null;
}

// --- cells --------------------------------------------------------------------------------------------

function cellsOf(table, chosen) {
  const cells = new Map();
  for (const { layer, steps } of chosen) {
    const parts = partsOf(table, layer, steps);
    if (!parts) return null;
    for (const [row, weight] of parts) cells.set(row, (cells.get(row) ?? 0) + weight);
  }
  return cells;
}

const rowOf = (table, layer, index) => (index === undefined ? -1 : table.rows[layer * table.treatments.length + index]);

function partsOf(table, layer, steps) {
  const own = rowOf(table, layer, table.exact.get(named(table, steps)));
  if (own >= 0) return [[own, 1]];
  const place = axisOf(steps), axis = table.axes.get(named(table, steps, place));
  if (place < 0 || !axis) return null;
  const amount = steps[place].amount, same = axis.steps.find((s) => Math.abs(s.amount - amount) < SAME);
  if (same) return [[rowOf(table, layer, same.index), 1]];
  const last = axis.steps[axis.steps.length - 1];
  if (amount > last.amount) return last.amount >= table.nearly_all ? [[rowOf(table, layer, last.index), 1]] : null;
  const above = axis.steps.find((s) => s.amount > amount), below = axis.steps.filter((s) => s.amount <= amount).pop();
  let low = 0, rest = null;
  if (below) [low, rest] = [below.amount, rowOf(table, layer, below.index)];
  else if (axis.rest.length) {
    rest = rowOf(table, layer, table.exact.get(named(table, axis.rest)));
    if (rest < 0) return null;
  }
  if (above.amount - low > table.close) return null;
  const share = (amount - low) / (above.amount - low), found = [[rowOf(table, layer, above.index), share]];
  return rest === null ? found : [[rest, 1 - share], ...found];
}

// --- figures ------------------------------------------------------------------------------------------

function figures(table, chosen, cells, isBlind) {
  const kinds = new Set(), shared = new Set(), shares = new Float64Array(table.order.length), int8 = new Set(), others = new Set();
  let changes = false;
  for (const { layer, steps } of chosen) {
    kinds.add(steps.map((s) => s.kind).join(" + "));
    shared.add(graphSteps(table, steps));
    for (const { kind } of steps) {
      shares[table.order.indexOf(kind)] += table.layer_shares[layer];
      changes ||= table.methods[kind].changes;
      if (table.methods[kind].other) others.add(kind);
    }
    if (table.methods[steps[steps.length - 1].kind].int8) int8.add(layer);
  }
  let bytes = table.size_bytes, macs = table.macs;
  for (const [row, weight] of cells) {
    bytes += weight * table.cell_bytes[row];
    macs += weight * table.cell_macs[row];
  }
  for (const key of shared) bytes += table.shared_bytes[key] ?? 0;
  if (changes && table.common >= 0) cells.set(table.common, 1);
  const isMixed = chosen.some(({ steps }) => steps.filter((s) => table.methods[s.kind].is_graph).length > 1);
  const margin = !chosen.length ? 0 : isMixed ? table.mixed_size_margin : table.size_margin, unseen = [...kinds].filter((k) => !table.measuredKinds.has(k)).sort();
  const why = [];
  if (isBlind) why.push("some of its layers cannot be looked into before it is measured");
  if (table.measured < table.enough) why.push(`provisional: ${table.measured} of ${table.enough} measurements`);
  else if (unseen.length) why.push(`provisional: ${unseen.join(", ")} was never measured here`);
  const reason = why.join("; ");
  return {
    score: blinded(table, cells.size ? scored(table, sensitivity(table, cells), placed(table, cells, shares), kinds) : band(table.score, table.score, table.score), isBlind),
    size_bytes: band(bytes, bytes * (1 - margin), bytes * (1 + margin)),
    latency_ms: latency(table, int8, others),
    macs: band(Math.round(macs), Math.round(macs), Math.round(macs)),
    is_provisional: reason !== "", needs_training: false, reason,
  };
}

const band = (value, low, high) => ({ value, low, high });

function graphSteps(table, steps) {
  const all = steps.filter((s) => table.methods[s.kind].is_graph), once = all.filter((s) => !table.methods[s.kind].is_local);
  return (once.length ? once : all).map((s) => text(table, s)).join(" + ");
}

function text(table, step) {
  const { fields, defaults } = table.methods[step.kind], show = (v) => String(v);
  const more = fields.slice(1).filter((f) => step[f] !== defaults[f]).map((f) => `,${f}=${show(step[f])}`);
  return step.kind + (fields.length ? `:${show(step[fields[0]])}` : "") + more.join("");
}

function sensitivity(table, cells) {
  const rows = [...cells.keys()].sort((a, b) => a - b), count = table.lengths.length;
  const sizes = rows.map((r) => cells.get(r) * table.lengths[r]);
  let total = 0;
  for (let i = 0; i < rows.length; i++) {
    const start = rows[i] * count - (rows[i] * (rows[i] - 1)) / 2 - rows[i];
    let sum = (sizes[i] * table.cosines[start + rows[i]]) / 2;
    for (let j = i + 1; j < rows.length; j++) sum += sizes[j] * table.cosines[start + rows[j]];
    total += sizes[i] * sum;
  }
  return Math.max(total / WHOLE, TINY);
}

function blinded(table, score, isBlind) {
  if (!isBlind) return score;
  const worst = table.score + table.point * table.drop.most * table.drop.below_chance;
  return table.point < 0 ? { ...score, low: Math.min(score.low, worst) } : { ...score, high: Math.max(score.high, worst) };
}

function placed(table, cells, shares) {
  const last = Math.max(table.layers.length - 1, 1);
  let moved = 0, deep = 0;
  for (const [row, weight] of cells) {
    const layer = table.layerOf[row], size = layer < 0 ? 0 : weight * table.lengths[row];
    moved += size;
    deep += (size * layer) / last;
  }
  const place = Array.from(shares, (share) => share / table.drop.length_share);
  return [...place, (moved > 0 ? deep / moved : 0) / table.drop.length_depth];
}

function scored(table, sensitivity, place, kinds) {
  const d = table.drop, x = Math.log(sensitivity), P = table.logs.length, M = place.length;
  const inner = Math.exp(Math.min(Math.max(d.power * (x - d.log_start), -50), 50));
  let middle = Math.asinh((d.most * -Math.expm1(-inner)) / d.unit), explained = 0;
  const k = new Float64Array(P);
  for (let p = 0; p < P; p++) {
    let far = ((x - table.logs[p]) / d.length_log) ** 2;
    for (let m = 0; m < M; m++) far += (place[m] - table.places[p * M + m]) ** 2;
    k[p] = d.amplitude ** 2 * Math.exp(-0.5 * far);
    middle += k[p] * table.alpha[p];
  }
  for (let p = 0; p < P; p++) {
    let sum = 0;
    for (let q = 0; q < P; q++) sum += table.inverse[p * P + q] * k[q];
    explained += k[p] * sum;
  }
  const spread = Math.sqrt(Math.max(d.amplitude ** 2 - explained, 0) + d.noise ** 2);
  const half = d.width * spread * ([...kinds].some((kind) => !table.known.has(kind)) ? d.strange : 1);
  const most = d.most * d.below_chance, back = (value) => d.unit * Math.sinh(value);
  const [least, top] = table.bounds;
  const kept = (drop) => Math.min(Math.max(table.score + table.point * drop, least ?? -Infinity), top ?? Infinity);
  const ends = [back(middle - half), Math.min(back(middle + half), most)].map(kept).sort((a, b) => a - b);
  return band(kept(Math.min(back(middle), most)), ends[0], ends[1]);
}

function latency(table, int8, others) {
  const { float_ms, int8_ms, price_ms, factors, is_split, margins } = table.latency;
  let value = float_ms, margin = int8.size ? margins.unknown : margins.known;
  if (int8.size && int8_ms !== null) {
    value = int8_ms;
    margin = int8.size === is_split ? margins.known : margins.mixed;
    if (int8.size !== is_split) {
      for (let l = 0; l < table.layers.length; l++) {
        if (!int8.has(l)) value += table.float_ms[l] - table.int8_ms[l] + price_ms * table.crossing[l];
      }
    }
  }
  for (const method of others) {
    if (method in factors) value *= factors[method];
    else margin = Math.max(margin, margins.unknown);
  }
  return band(value, value * (1 - margin), value * (1 + margin));
}

function untrained(table, steps) {
  const amount = amountOf(steps), near = neighbours(table, steps, amount), kept = 1 - amount;
  const scaled = (before) => band(before * kept ** 1.5, before * Math.max(kept ** 2 * 0.7, 0.02), before);
  const known = (figure, before) => {
    if (!near.length) return scaled(before);
    const middle = mean(near.map((n) => n[figure]));
    return band(middle, 0.7 * middle, Math.min(1.4 * middle, before));
  };
  return {
    score: trainedScore(table, near.map((n) => n.score)), size_bytes: known("size_bytes", table.baseline_bytes),
    latency_ms: known("latency_ms", table.latency.float_ms), macs: scaled(table.macs), is_provisional: true, needs_training: true,
    reason: near.length ? `needs training; the estimate is that of ${near.length} measured neighbours`
      : "needs training: the score lies between chance and the baseline",
  };
}

const amountOf = (steps) => Math.max(0, ...steps.map((s) => s.amount ?? 0));
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

function neighbours(table, steps, amount) {
  const once = new Map(steps.map((s) => [named(table, [s]), s.kind]));
  const kinds = [...once.values()].sort((a, b) => table.methods[a].turn - table.methods[b].turn);
  return table.trained.filter((t) => t.methods.join() === kinds.join() && Math.abs(t.amount - amount) <= table.near);
}

function trainedScore(table, scores) {
  if (!scores.length) {
    const ends = [table.chance, table.score].sort((a, b) => a - b);
    return band((ends[0] + ends[1]) / 2, ends[0], ends[1]);
  }
  const middle = mean(scores), reach = Math.max(table.least_reach, 2 * (Math.max(...scores) - Math.min(...scores)));
  if (table.chance > table.score) return band(middle, middle - reach, Math.min(table.chance, middle + reach));
  return band(middle, Math.max(table.chance, middle - reach), middle + reach);
}
