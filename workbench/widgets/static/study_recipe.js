// Recipes as the explorer writes them, and what a file would weigh: both are known without the kernel.

const joined = (steps) => (steps.length ? steps.join(" + ") : "baseline");
const OWN = "@layers"; // where the knobs keep what single layers do differently

function stepText(method, set) {
  return method.knobs.reduce((text, knob, i) => {
    const value = set[knob.name] ?? knob.default;
    if (i === 0) return `${method.key}:${value}`;
    return value === knob.default || value === null || value === "" ? text : `${text},${knob.name}=${value}`;
  }, method.key);
}
const active = (offer, set) => (offer.methods || []).filter((m) => set[m.key]?.on && !m.reason);
const stepsOf = (offer, set) => active(offer, set).map((m) => stepText(m, set[m.key]));

// The text of the recipe, as the kernel writes it too: with a part for each layer that has its own knob.
function recipeText(offer, set) {
  const all = joined(stepsOf(offer, set));
  const own = Object.entries(set[OWN] || {});
  if (!own.length || all === "baseline") return all;
  const part = (values) => (values.off ? "baseline" : joined(active(offer, set).map((m) => stepText(m, { ...set[m.key], ...(values[m.key] || {}) }))));
  return `{${[...own.map(([name, values]) => [name, part(values)]), ["*", all]].map(([name, text]) => `${JSON.stringify(name)}: ${JSON.stringify(text)}`).join(", ")}}`;
}

// A recipe by layer for eyes: what all share in one line, then the layers that are treated otherwise.
function inWords(recipe) {
  if (!recipe.startsWith("{")) return { line: recipe, layers: [] };
  const parts = Object.entries(JSON.parse(recipe)).map(([name, text]) => [name, text === "baseline" ? [] : text.split(" + ")]);
  const shared = parts[0][1].findIndex((step, i) => parts.some(([, steps]) => steps[i] !== step));
  const common = parts[0][1].slice(0, shared < 0 ? undefined : shared);
  const words = (steps) => steps.join(" + ") || "left as it is";
  const own = parts.filter(([name]) => name !== "*").sort();
  const rest = parts.find(([name]) => name === "*");
  return { line: `${words(rest ? rest[1] : common)}${own.length ? `; ${own.length} layer${own.length === 1 ? "" : "s"} otherwise` : ""}`, layers: own.map(([name, steps]) => [name, words(steps.slice(common.length))]) };
}

// What the file would weigh. Exact where a measured variant has the same size by construction, else by parts.
const KEEPS_SIZE = new Set(["clip", "prune"]);
function sizeOf(steps, state, offer) {
  const relevant = (list) => joined(list.filter((s) => !KEEPS_SIZE.has(s.split(/[:,]/)[0])));
  const same = (text) => state.points.find((p) => relevant(p.recipe === "baseline" ? [] : p.recipe.split(" + ")) === text);
  const known = same(relevant(steps));
  if (known) return { bytes: known.size_bytes, stored: null, exact: true };
  const base = state.points.find((p) => p.is_baseline);
  if (!base) return null;
  let weights = offer.weight_bytes ?? base.size_bytes * 0.9;
  let rest = base.size_bytes - weights;
  for (const step of steps) {
    const [name, value] = step.split(/[:,]/);
    if (name === "prune_structured") {
      const before = same(step);
      if (before) { weights = Math.max(0, before.size_bytes - rest); continue; }
      weights *= (1 - Number(value)) ** 1.6;
    } else if (name === "half") weights /= 2;
    else if (name === "quantize_weights") weights /= 32 / Number(value);
    else if (name.startsWith("quantize")) { weights /= 4; rest *= 1.15; }
    else if (!KEEPS_SIZE.has(name)) return null; // a method whose size is not known beforehand
  }
  return { bytes: weights + rest, exact: false };
}
