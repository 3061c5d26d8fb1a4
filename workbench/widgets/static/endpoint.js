// An endpoint: try it, see where the time goes, copy a snippet that works from here, stop it.

function baseUrl() {
  const node = document.getElementById("jupyter-config-data");
  try { return new URL(JSON.parse(node.textContent).baseUrl || "/", location.href).href; } catch { return new URL("/", location.href).href; }
}
// Through Jupyter a caller also logs in there: `login` adds its token to the address, as Jupyter wants it.
function snippets(url, files, row, login) {
  const inside = login ? ["?token=$JUPYTER_TOKEN", '?token=" + os.environ["JUPYTER_TOKEN"]', '?token=" + process.env.JUPYTER_TOKEN'] : ["", '"', '"'];
  const body = files ? [`-H 'Content-Type: application/octet-stream' --data-binary @${files.example}`, `data=open('${files.example}', 'rb').read(), headers={**auth, 'Content-Type': 'application/octet-stream'}`, "body: file, headers: { ...auth, 'Content-Type': 'application/octet-stream' }"]
    : [`-H 'Content-Type: application/json' -d '${JSON.stringify({ inputs: [row] })}'`, `data=json.dumps(${JSON.stringify({ inputs: [row] })}).encode(), headers={**auth, 'Content-Type': 'application/json'}`, `body: JSON.stringify(${JSON.stringify({ inputs: [row] })}), headers: { ...auth, 'Content-Type': 'application/json' }`];
  return {
    curl: `curl -s "${url}/predict${inside[0]}" -H "Authorization: Bearer $WORKBENCH_TOKEN" ${body[0]}`,
    Python: `import json, os, urllib.request\nauth = {"Authorization": "Bearer " + os.environ["WORKBENCH_TOKEN"]}\nrequest = urllib.request.Request("${url}/predict${inside[1]}, ${body[1]})\nprint(json.load(urllib.request.urlopen(request)))`,
    JavaScript: `const auth = { Authorization: "Bearer " + process.env.WORKBENCH_TOKEN };\nconst answer = await fetch("${url}/predict${inside[2]}, { method: "POST", ${body[2]} });\nconsole.log(await answer.json());`,
  };
}

function buildEndpoint(panel) {
  const left = h("div", { class: "wb-controls" }), middle = h("div", { class: "wb-first" }), right = h("div");
  panel.body.append(left, middle, right);
  const tryBox = h("div"), answerBox = h("div", { class: "wb-answer", style: "min-height:180px" }), liveBox = h("div"), recentBox = h("div", { style: "margin-top:16px" }), limitBox = h("div"), traffic = trafficOf(panel), tokens = tokensOf(panel);
  middle.append(tryBox, answerBox, h("h3", { text: "traffic, last half minute" }), liveBox, traffic.seen);
  let lang = "curl", seen = "", heard = null;

  function whole() {
    const s = panel.get("state"), e = s.selected;
    panel.title.textContent = e ? `Endpoint ${e.models.join(", ")}` : "Serve a model";
    put(panel.status, e ? h("b", { text: "● running" }) : s.asked ? h("b", { text: "■ stopped" }) : "", e ? ` ${e.ref}` : "");
    panel.root.dataset.status = e ? "running" : "stopped";
    const key = JSON.stringify([e, s.servable, s.rows, s.asked]);
    if (key === seen) return;
    seen = key;
    const model = h("select", { "aria-label": "Model" }, (s.servable || []).map((m) => h("option", { value: m.ref, text: m.label })));
    put(left, ...(e ? [h("h3", { text: "endpoint" }), facts([["serves", e.refs.join(", ")], ["version", e.about.version ?? "–"], ["task", e.about.task || "–"], ["takes", e.about.modality || "tensors"], ["since", e.started], ["process", String(e.pid)]]), h("h3", { text: "limits" }), limitBox, traffic.box, tokens,
      h("div", { class: "wb-row" }, panel.isReadonly() ? "" : confirmed(panel, "stop", "Stop", "Stop this endpoint?", {}))] : []),
      ...(panel.isReadonly() ? [] : [h("h3", { text: e ? "another" : "start one" }), (s.servable || []).length ? field("model", model) : h("p", { class: "wb-small", text: "Register a version first." }), h("div", { class: "wb-row" }, (s.servable || []).length ? action(panel, "serve", "Serve", () => ({ ref: model.value }), e ? "" : "wb-accent") : "")]),
      ...((s.rows || []).length > (e ? 1 : 0) ? [h("h3", { text: "running" }), ...s.rows.filter((r) => r.ref !== e?.ref).map((r) => h("div", {}, h("button", { type: "button", class: "wb-quiet", text: `${r.models.join(", ")} · ${r.ref.slice(9)}`, onclick: () => panel.send("select", { ref: r.ref }) })))] : []));
    middle.hidden = right.hidden = !e;
    panel.body.classList.toggle("wb-one", !e);
    if (!e) return;
    form(e);
    code(e, s);
    live();
  }
  function form(e) {
    const files = e.about.files;
    const file = h("input", { type: "file", accept: files?.accept ?? null, class: "wb-unseen", "aria-label": "File to send", onchange: () => file.files[0] && sendFile(file.files[0]) });
    const drop = h("label", { class: "wb-drop", ondragover: (ev) => ev.preventDefault(), ondrop: (ev) => { ev.preventDefault(); if (ev.dataTransfer.files[0]) sendFile(ev.dataTransfer.files[0]); } }, file, `Drop a ${files?.noun} here, or click to choose one`);
    const row = panel.get("row") || {};
    const values = { ...row };
    const inputs = Object.entries(row).map(([name, value]) => field(name, h("input", { type: typeof value === "number" ? "number" : "text", step: "any", value: value ?? "", oninput: (ev) => { values[name] = typeof value === "number" ? (ev.target.value === "" ? null : Number(ev.target.value)) : ev.target.value; } })));
    put(tryBox, h("h3", { text: "try it" }), files ? drop : inputs.length ? h("div", { class: "wb-grid" }, inputs) : "", h("div", { class: "wb-row" }, action(panel, "try_sample", "A sample of the validation data", {}, "wb-accent"), inputs.length ? action(panel, "try_row", "Send this row", () => ({ row: values })) : ""));
  }
  function sendFile(file) {
    hear({ type: file.type, media: URL.createObjectURL(file), name: file.name });
    const reader = new FileReader();
    reader.onload = () => panel.send("try_file", { name: file.name, data: String(reader.result).split(",")[1] || "" });
    reader.readAsDataURL(file);
  }
  function hear(one) {
    if (heard?.media?.startsWith("blob:")) URL.revokeObjectURL(heard.media);
    heard = one;
    answer();
  }
  panel.cleanup(() => heard && URL.revokeObjectURL(heard.media));
  function answer() {
    const a = panel.get("answer") || {};
    if (a.total_ms === undefined) return put(answerBox, h("p", { class: "wb-small", text: "No request from here yet." }));
    const top = a.scores.length ? a.scores[0][1] : 1;
    const right_ = a.truth === undefined ? null : a.truth === (a.label ?? fmt.sig(a.value, 4));
    return put(answerBox, h("div", { class: "wb-row" }, a.png ? h("div", { class: "wb-tile", role: "img", "aria-label": "what was sent", style: `width:64px;height:64px;background-image:url(${a.png});background-size:100% 100%;cursor:default` }) : "", h("div", {}, h("div", { class: "wb-big", "data-answer": a.label ?? String(a.value), text: a.label ?? fmt.sig(a.value, 4) }), h("div", { class: "wb-small", text: a.file || "" }), a.truth !== undefined ? h("div", { class: right_ ? "wb-good" : "wb-small", text: a.label !== null ? (right_ ? `✓ it is ${a.truth}` : `✕ it is ${a.truth}`) : `it is ${a.truth}` }) : "")), playerOf(heard),
      a.scores.length ? h("div", { class: "wb-bars", style: "margin-top:8px" }, a.scores.map(([name, score]) => [h("span", { text: name }), h("span", {}, h("i", { style: `width:${(100 * score) / (top || 1)}%` })), h("b", { text: `${(100 * score).toFixed(1)} %` })])) : "",
      h("div", { class: "wb-row", style: "justify-content:space-between" }, h("h3", { style: "margin:0", text: `${fmt.ms(a.total_ms)} for this request` }), panel.isReadonly() ? "" : action(panel, "again", "Send again", {})), splitBar(a.split), splitWords(a.split));
  }
  function live() {
    const l = panel.get("live") || {};
    if (l.requests === undefined) return put(liveBox);
    const rates = l.rates || [], most = l.limits || {};
    put(limitBox, facts([most.body_bytes ? ["a request", fmt.kb(most.body_bytes)] : null, most.queue ? ["waiting", `${fmt.count(most.queue)} requests, ${fmt.seconds(most.wait_seconds)}`] : null, most.batch_rows ? ["together", `${fmt.count(most.batch_rows)} rows`] : null, most.connections ? ["connections", fmt.count(most.connections)] : null]));
    put(liveBox, h("div", { class: "wb-figures" }, figure("a second, now", fmt.sig(rates.at(-1) ?? 0)), figure("p50", l.p50_ms === null ? "–" : `≤ ${fmt.ms(l.p50_ms)}`), figure("p99", l.p99_ms === null ? "–" : `≤ ${fmt.ms(l.p99_ms)}`), figure("errors", fmt.count(l.errors), l.errors ? "wb-bad" : ""), figure("answered in all", fmt.count(l.requests))), histogramOf(rates), h("div", { style: "height:8px" }),
      l.split.length ? [splitBar(l.split), splitWords(l.split.map(([name, value]) => [name, value]))] : h("p", { class: "wb-small", text: "No request in the last half minute." }));
  }
  const figure = (name, value, kind = "") => h("div", {}, h("b", { class: kind, text: value }), h("span", { class: "wb-small", text: name }));
  const splitBar = (split) => h("div", { class: "wb-split", role: "img", "aria-label": split.map(([n, v]) => `${n} ${fmt.ms(v)}`).join(", ") }, split.map(([, value], i) => h("i", { class: `wb-part${i}`, style: `flex:${Math.max(0.001, value)} 0 2px` })));
  const splitWords = (split) => h("div", { class: "wb-legend" }, split.map(([name, value], i) => h("span", {}, h("i", { class: `wb-part${i}`, style: "border:0;height:8px;width:8px" }), `${name} ${fmt.ms(value)}`)));
  function recent() {
    const rows = panel.get("recent") || [], again = panel.get("replayed") || {}, canReplay = !panel.isReadonly() && rows.some((r) => r.kept);
    const cells = (r) => [r.time, h("span", { style: "white-space:nowrap", text: `${r.what}${r.caller ? ` · ${r.caller}` : ""}` }), h("span", { class: r.status < 400 ? "" : "wb-bad", title: r.error, text: r.status < 400 ? String(r.status) : `✕ ${r.status}` }),
      h("span", { title: [r.rows ? `${r.rows} row${r.rows > 1 ? "s" : ""}` : "", ...r.split.map(([n, v]) => `${n} ${fmt.ms(v)}`)].filter(Boolean).join(", "), text: fmt.sig(r.ms) }), ...(canReplay ? [r.kept ? replay(r.kept) : ""] : [])];
    const replay = (id) => {
      const said = again.id === id ? (again.is_same ? ["✓", "the same here"] : ["✕", "another answer here"]) : ["↻", "Replay"];
      return h("button", { type: "button", class: "wb-quiet", text: said[0], "aria-label": said[1], title: `${said[1]}: answer it once more, in this kernel`, onclick: () => panel.send("replay", { id }) });
    };
    put(recentBox, h("h3", { text: "recent requests" }), rows.length ? table([{ name: "UTC" }, { name: "by", left: true }, { name: "status" }, { name: "ms" }, ...(canReplay ? [{ name: "" }] : [])], rows.map((r) => ({ cells: cells(r) })), "Recent requests") : h("p", { class: "wb-small", text: "None yet, or the request log is switched off." }));
  }
  const histogramOf = (rates) => { const top = Math.max(1, ...rates); return h("div", { class: "wb-hist", role: "img", "aria-label": "requests a second, last minute" }, Array.from({ length: 60 }, (_, i) => rates[rates.length - 60 + i] ?? 0).map((r) => h("i", { style: `height:${(100 * r) / top}%` }))); };
  function code(e, s) {
    const box = h("pre", { tabindex: "0", "aria-label": "Snippet" });
    const langs = h("div", { class: "wb-row", role: "radiogroup", "aria-label": "Language", style: "margin:0 0 8px" });
    const proxied = `${baseUrl()}proxy/${new URL(e.url).port}`;
    const remote = !/^(localhost|127\.)/.test(location.hostname) && s.has_proxy;
    const made = snippets(remote ? proxied : e.url, e.about.files, panel.get("row") || {}, remote);
    if (e.grpc_snippet && !remote) made.gRPC = e.grpc_snippet;
    const show = () => { box.textContent = made[lang] ?? made[lang = "curl"]; for (const b of langs.children) b.setAttribute("aria-checked", String(b.textContent === lang)); };
    for (const name of Object.keys(made)) langs.append(h("button", { type: "button", class: "wb-quiet", role: "radio", text: name, onclick: () => { lang = name; show(); } }));
    const copyButton = h("button", { type: "button", class: "wb-button", text: "Copy", onclick: () => copy(box.textContent, copyButton) });
    tokenButton = h("button", { type: "button", class: "wb-button", text: "Copy token", onclick: () => panel.send("token") });
    show();
    put(right, h("h3", { text: "call it" }), langs, box, h("div", { class: "wb-row" }, copyButton, panel.isReadonly() ? "" : tokenButton),
      h("p", { class: "wb-small", style: "margin-top:8px", text: remote ? "Through Jupyter, from anywhere: the endpoint's token goes into $WORKBENCH_TOKEN, your Jupyter token into $JUPYTER_TOKEN." : "From this machine, as in a terminal of JupyterLab. The token goes into $WORKBENCH_TOKEN." }), s.has_proxy && !remote ? h("p", { class: "wb-small", style: "overflow-wrap:anywhere" }, "Through Jupyter: ", h("code", { text: proxied })) : "", recentBox);
  }
  let tokenButton = null;
  panel.model.on("msg:custom", (message) => { if (message && message.token && tokenButton) copy(message.token, tokenButton); if (message?.sample) hear(message.sample); });
  panel.on("state", whole);
  panel.on("row", () => { seen = ""; whole(); });
  panel.on("answer", answer);
  panel.on("live", live);
  panel.on("recent", recent);
  panel.on("replayed", recent);
}
export default { render: ({ model, el }) => frame(model, el, "endpoint", "Endpoint", buildEndpoint) };
