// The row of tabs.
export default {
  render({ model, el }) {
    const names = { data: "1 Data", train: "2 Train", compress: "3 Compress", models: "4 Models", serve: "5 Serve" };
    const bar = h("div", { class: "wb-tabs", role: "tablist", "aria-label": "Workbench" });
    const opening = h("div", { class: "wb-opening", hidden: true, role: "status", "aria-label": "Opening" }, h("i"), h("i"), h("i"));
    const root = h("div", { class: "wb", "data-panel": "app", "data-lm-suppress-shortcuts": "true" }, bar, opening);
    const open = (key) => { model.set("selected", key); model.save_changes(); };
    for (const key of model.get("state").tabs) bar.append(h("button", { type: "button", role: "tab", id: `wb-tab-${key}`, "data-tab": key, text: names[key] || key, onclick: () => open(key) }));
    bar.addEventListener("keydown", (event) => {
      event.stopPropagation();
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const all = [...bar.children];
      const next = all[(all.findIndex((b) => b.dataset.tab === model.get("selected")) + step + all.length) % all.length];
      open(next.dataset.tab);
      next.focus();
    });
    const show = () => { for (const b of bar.children) { const on = b.dataset.tab === model.get("selected"); b.setAttribute("aria-selected", String(on)); b.tabIndex = on ? 0 : -1; } opening.hidden = model.get("opened") === model.get("selected"); root.dataset.opened = model.get("opened"); };
    model.on("change:selected change:opened", show);
    show();
    el.append(root);
    const stop = watchTheme(root, () => {});
    return () => { stop(); model.off("change:selected change:opened", show); };
  },
};
