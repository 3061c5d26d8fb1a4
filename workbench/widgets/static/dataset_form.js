// The form of the data tab: a source, its options, an upload in pieces with a bar.

const PIECE = 512 * 1024;

// Sends files in pieces; the next piece leaves when the kernel has written the last.
function uploader(panel, onfound) {
  const bar = h("i"), words = h("div", { class: "wb-small" });
  const going = h("div", { hidden: true }, h("div", { class: "wb-bar", role: "progressbar", "aria-label": "Upload", "aria-valuemin": "0", "aria-valuemax": "100" }, bar),
    h("div", { class: "wb-row", style: "margin-top:2px" }, words, h("button", { type: "button", class: "wb-button", text: "Stop", onclick: () => { work = null; panel.send("upload_stop"); } })));
  const done = h("div", { class: "wb-small wb-good", role: "status" });
  let work = null;
  const pick = (text, props) => {
    const input = h("input", { type: "file", class: "wb-unseen", "aria-label": text, ...props, onchange: () => { start([...input.files].map((file) => [file.webkitRelativePath || file.name, file])); input.value = ""; } });
    return h("label", { class: "wb-drop wb-drop-small" }, input, text);
  };
  const box = h("div", { class: "wb-field" }, h("span", { class: "wb-label", text: "or upload" }), h("div", { class: "wb-pair", style: "gap:8px" }, pick("A table", { accept: ".csv,.tsv,.txt,.parquet,.pq" }), pick(`A folder of ${panel.get("form").files}`, { webkitdirectory: true })), going, done);
  box.addEventListener("dragover", (event) => event.preventDefault());
  box.addEventListener("drop", async (event) => { event.preventDefault(); start(await dropped(event.dataTransfer)); });
  function start(all) {
    const files = all.filter(([path]) => !/(^|\/)(\.|Thumbs\.db)/.test(path));
    if (!files.length) return;
    const id = [...crypto.getRandomValues(new Uint8Array(8))].map((b) => b.toString(16).padStart(2, "0")).join("");
    work = { id, files, index: 0, at: 0 };
    panel.send("upload_begin", { id, files: files.map(([path, file]) => [path, file.size]) });
  }
  async function next() {
    const mine = work, parts = [], buffers = [];
    let room = PIECE;
    while (mine.index < mine.files.length && room > 0 && parts.length < 500) {
      const [path, file] = mine.files[mine.index];
      const end = Math.min(file.size, mine.at + room);
      parts.push({ path, at: mine.at });
      buffers.push(await file.slice(mine.at, end).arrayBuffer());
      room -= end - mine.at;
      mine.at = end;
      if (end === file.size) { mine.index += 1; mine.at = 0; }
    }
    if (work === mine) panel.model.send({ do: "upload", args: { id: mine.id, parts } }, undefined, buffers);
  }
  panel.on("uploading", () => {
    const u = panel.get("uploading") || {};
    going.hidden = !u.id || Boolean(u.found);
    if (u.id && u.total) { bar.style.width = `${(100 * u.received) / u.total}%`; words.textContent = `${fmt.kb(u.received)} of ${fmt.kb(u.total)}`; }
    const left = u.skipped || [];
    if (work && u.id === work.id && left.length && !work.index) work.files = work.files.filter(([path]) => !left.includes(path));
    done.textContent = u.found ? `✓ uploaded ${u.found.path.split(/[\\/]/).pop()}${left.length ? `, without ${left.length} file${left.length === 1 ? "" : "s"} that ${left.length === 1 ? "is" : "are"} not read (${left[0].split("/").pop()}${left.length > 1 ? ", …" : ""})` : ""}; press Load` : "";
    if (u.found) { work = null; onfound(u.found); } else if (work && u.id === work.id) next();
    else if (work && !u.id && work.index) work = null;
  });
  return box;
}
// Files of a drop, folders walked.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  const list = (reader) => new Promise((done, fail) => reader.readEntries(done, fail));
  async function walk(entry, path) {
    if (entry.isFile) found.push([path, await new Promise((done, fail) => entry.file(done, fail))]);
    else for (let reader = entry.createReader(), some = await list(reader); some.length; some = await list(reader)) for (const kid of some) await walk(kid, `${path}/${kid.name}`);
  }
  for (const entry of entries) await walk(entry, entry.name);
  return found;
}

// train / val / test by one slider: what is not train is halved.
function splitField(values) {
  const out = h("output", { class: "wb-value" });
  const say = (train) => { const rest = (100 - train) / 2; out.textContent = ` ${train}/${rest}/${rest}`; };
  const input = h("input", { type: "range", min: 40, max: 90, step: 2, value: 70, "aria-label": "split: per cent for training", "data-split": "", oninput: () => { const train = Number(input.value), rest = (100 - train) / 200; values.split = `${train / 100},${rest},${rest}`; say(train); } });
  say(70);
  return h("label", { class: "wb-field" }, h("span", { class: "wb-label" }, "split: train/val/test", out), input, h("span", { class: "wb-note", text: "A split that the data bring along is kept unless this is moved." }));
}

function loadForm(panel, left) {
  const offer = panel.get("form");
  if (!offer || !offer.sources) return;
  const box = h("div", { class: "wb-scrolled wb-options" }), values = {};
  const loaded = h("select", { "aria-label": "Loaded before", onchange: (e) => e.target.value && panel.send("open", { ref: e.target.value }) });
  const source = h("select", { "aria-label": "Source", onchange: () => draw({}) }, offer.sources.map((s) => h("option", { value: s.key, text: s.key, disabled: Boolean(s.reason) })));
  const main = ["path", "target", "split", "augment", "seed"];
  function control(knob, found) {
    if (knob.name === "split") return splitField(values);
    if (knob.name === "target" && found.columns?.length) {
      values.target = found.columns.at(-1);
      return field("target", h("select", { "aria-label": "target", onchange: (e) => { values.target = e.target.value; } }, found.columns.map((c) => h("option", { value: c, text: c, selected: c === values.target }))), knob.description);
    }
    const made = knobField(knob, values);
    if (knob.name === "path" && found.path) { values.path = found.path; made.querySelector("input").value = found.path; }
    return made;
  }
  function draw(found) {
    for (const k of Object.keys(values)) delete values[k];
    const one = offer.sources.find((s) => s.key === source.value);
    put(box, h("p", { class: "wb-note", text: one.summary }), ...main.flatMap((name) => one.knobs.filter((k) => k.name === name)).map((k) => control(k, found)), details("more", ...one.knobs.filter((k) => !main.includes(k.name)).map((k) => knobField(k, values))));
  }
  source.value = offer.sources.some((s) => s.key === "digits") ? "digits" : offer.sources[0].key;
  draw({});
  panel.on("form", () => put(loaded, h("option", { value: "", text: "loaded before …" }), ...(panel.get("form").loaded || []).map((d) => h("option", { value: d.ref, text: d.label }))));
  const upload = uploader(panel, (found) => { source.value = found.source; draw(found); panel.say(`uploaded: ${found.path}. Press Load.`); });
  left.append(field("open", loaded), upload, field("source", source), box, h("div", { class: "wb-row" }, action(panel, "load", "Load", () => ({ source: source.value, values: { ...values } }), "wb-accent")));
}
