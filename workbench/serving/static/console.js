// The console: asks /predict what a model takes, builds a form for it, shows the answer.
// Every address is relative, so that it works behind a proxy's prefix; the token stays in memory.

const find = (id) => document.getElementById(id);
const here = new URL(".", document.baseURI);
const MOST = 10;
const state = { token: "", about: null, waits: [], seen: "" };

function make(tag, values = {}, ...children) {
  const node = Object.assign(document.createElement(tag), values);
  node.append(...children);
  return node;
}

class Refusal extends Error {
  constructor(body, status) {
    super(body.message || `The endpoint answered with status ${status}.`);
    this.problems = body.problems || [];
    this.hint = body.hint || "";
  }
}

async function call(path, options = {}) {
  const headers = { Accept: "application/json", Authorization: `Bearer ${state.token}`, ...options.headers };
  const answer = await fetch(new URL(path, here), { ...options, headers });
  const text = await answer.text();
  let body = {};
  try { body = JSON.parse(text); } catch { body = { message: answer.ok ? "The answer is not JSON." : text.slice(0, 300) }; if (answer.ok) throw new Refusal(body, answer.status); }
  if (!answer.ok) throw new Refusal(body, answer.status);
  return body;
}

async function guarded(button, work) {
  find("trouble").hidden = true;
  button.disabled = true;
  try { await work(); } catch (error) { show(error); } finally { button.disabled = false; }
}

function show(error) {
  const box = find("trouble");
  const problems = (error.problems || []).map((problem) => make("li", { textContent: problem }));
  const words = error instanceof TypeError ? "The endpoint does not answer. Is it still running?" : error.message;
  box.replaceChildren(make("strong", { textContent: words }));
  if (problems.length) box.append(make("ul", {}, ...problems));
  if (error.hint) box.append(make("div", { className: "soft", textContent: error.hint }));
  box.hidden = false;
}

async function connect() {
  state.token = find("token").value.trim();
  const { models } = await call(".");
  if (!models) throw new Refusal({ message: "The endpoint does not know this token.", hint: "It is in the endpoint's record: wb.endpoints()[0].token." });
  find("model").replaceChildren(...models.map((name) => make("option", { value: name, textContent: name })));
  find("token").value = "";
  find("token").placeholder = "connected";
  find("token").required = false;
  find("where").hidden = true;
  find("work").hidden = false;
  await choose();
}

const address = () => `predict/${encodeURIComponent(find("model").value)}`;

async function choose() {
  const about = state.about = await call(address());
  state.waits = [];
  const words = [`version ${about.version}`, about.task, `takes ${about.takes}`].filter(Boolean);
  find("about").textContent = words.join(" · ");
  find("answers").replaceChildren(make("p", { className: "soft", textContent: "Nothing was asked yet." }));
  find("inputs").replaceChildren(...form(about));
  shell(about.files ? null : JSON.stringify({ inputs: about.example ?? [] }));
}

function form(about) {
  if (about.files) return [upload(about.files), make("details", {}, make("summary", { textContent: "JSON instead" }), ...json(about))];
  const example = about.example;
  if (example && !Array.isArray(example) && Object.values(example).every((value) => !Array.isArray(value))) {
    return [...row(example), make("details", {}, make("summary", { textContent: "JSON instead" }), ...json(about))];
  }
  return json(about);
}

// What a page shows of a file by its media type, until the next one is chosen.
const SHOWN = { image: "img", audio: "audio", video: "video" };
function preview(chosen) {
  URL.revokeObjectURL(state.seen);
  const tag = SHOWN[chosen.type.split("/")[0]];
  state.seen = tag ? URL.createObjectURL(chosen) : "";
  if (!tag) return make("span", { textContent: chosen.name });
  return make(tag, { src: state.seen, ...(tag === "img" ? { alt: chosen.name } : { controls: true, ariaLabel: chosen.name }) });
}

function upload(files) {
  const file = make("input", { type: "file", accept: files.accept });
  const words = make("span", { textContent: `Drop a ${files.noun} here, or choose one` });
  const shown = make("div", { className: "shown" });
  const drop = make("label", { className: "drop" }, file, words);
  const send = (chosen) => {
    if (!chosen) return;
    shown.replaceChildren(preview(chosen));
    shell(null, chosen.name);
    guarded(file, () => ask(chosen, SHOWN[chosen.type.split("/")[0]] ? chosen.type : "application/octet-stream"));
  };
  file.onchange = () => { send(file.files[0]); file.value = ""; };
  drop.ondragover = (event) => event.preventDefault();
  drop.ondrop = (event) => { event.preventDefault(); send(event.dataTransfer.files[0]); };
  return make("div", {}, shown, drop);
}

function row(example) {
  const values = { ...example };
  const fields = Object.entries(example).map(([name, value]) => {
    const isNumber = typeof value === "number";
    const input = make("input", { type: isNumber ? "number" : "text", step: "any", value: value ?? "" });
    input.oninput = () => { values[name] = input.value === "" ? null : isNumber ? Number(input.value) : input.value; shell(JSON.stringify({ inputs: values })); };
    return make("label", {}, name, input);
  });
  return [make("div", { className: "fields" }, ...fields), sender("Predict", () => JSON.stringify({ inputs: values }))];
}

function json(about) {
  const area = make("textarea", { id: "json", spellcheck: false, value: JSON.stringify(about.example ?? []) });
  area.oninput = () => shell(`{"inputs":${area.value}}`);
  return [make("label", { htmlFor: "json", textContent: "A sample, or a list of them, as JSON" }), area, sender("Predict", () => { JSON.parse(area.value); return `{"inputs":${area.value}}`; })];
}

function sender(words, body) {
  const button = make("button", { type: "button", className: "main", textContent: words });
  button.onclick = () => guarded(button, async () => {
    let text;
    try { text = body(); } catch (error) { throw new Refusal({ message: `This is not JSON: ${error.message}`, hint: "JSON has double quotes, no comments and no comma at the end." }); }
    await ask(text, "application/json");
  });
  return make("div", { className: "row" }, button);
}

async function ask(body, type) {
  const began = performance.now();
  const answer = await call(address(), { method: "POST", body, headers: { "Content-Type": type } });
  state.waits.push(performance.now() - began);
  const shown = answer.predictions.slice(0, MOST).flatMap(prediction);
  if (answer.predictions.length > MOST) shown.push(make("p", { className: "soft", textContent: `and ${answer.predictions.length - MOST} more` }));
  find("answers").replaceChildren(...shown, latency(answer.version));
}

function prediction(found) {
  const head = found.label ?? (found.value === undefined ? null : String(found.value));
  const parts = head === null ? [] : [make("div", { className: "big", textContent: head })];
  if (found.scores) parts.push(bars(found.scores, found.label !== undefined));
  return parts;
}

function bars(scores, areShares) {
  const all = Object.entries(scores);
  if (areShares) all.sort((one, other) => other[1] - one[1]);
  const most = Math.max(...all.map(([, value]) => Math.abs(value)), 1e-12);
  const body = make("tbody");
  for (const [name, value] of all.slice(0, MOST)) {
    const bar = make("i");
    bar.style.width = `${(100 * Math.abs(value)) / (areShares ? 1 : most)}%`;
    const text = areShares ? `${(100 * value).toFixed(1)} %` : String(Number(value.toPrecision(4)));
    const head = make("th", { scope: "row", textContent: name });
    body.append(make("tr", {}, head, make("td", {}, make("div", { className: "bar" }, bar)), make("td", { textContent: text })));
  }
  const table = make("table", { className: "bars", ariaLabel: areShares ? "Scores" : "Values" }, body);
  if (all.length > MOST) table.append(make("caption", { className: "soft", textContent: `${MOST} of ${all.length} are shown` }));
  return table;
}

function latency(version) {
  const waits = [...state.waits].sort((one, other) => one - other);
  const median = waits[Math.floor(waits.length / 2)];
  const last = state.waits.at(-1).toFixed(1);
  const more = waits.length > 1 ? `, median of ${waits.length}: ${median.toFixed(1)} ms` : "";
  return make("p", { className: "soft", textContent: `version ${version} · ${last} ms from here and back${more}` });
}

function shell(text, name = state.about.files?.example) {
  const url = new URL(address(), here).href;
  const quoted = (value) => `'${value.replaceAll("'", "'\\''")}'`;
  const data = text === null ? `-H 'Content-Type: application/octet-stream' --data-binary ${quoted(`@${name}`)}` : `-H 'Content-Type: application/json' -d ${quoted(text)}`;
  find("shell").textContent = `curl ${quoted(url)} -H "Authorization: Bearer $WORKBENCH_TOKEN" ${data}`;
}

find("gate").onsubmit = (event) => { event.preventDefault(); if (find("token").value.trim()) guarded(event.submitter, connect); };
find("model").onchange = () => guarded(find("model"), choose);
