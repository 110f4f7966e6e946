// The table of layers: sorted by its headings, filtered and searched by the form above, linked with the charts.

function layerTable(root, result, state) {
  const table = root.querySelector("table.layers");
  const rows = [...table.tBodies[0].rows];
  const of = result.layers;
  const layerOf = (row) => Number(row.dataset.layer);
  const rowOf = new Map(rows.map((row) => [layerOf(row), row]));
  const nameOf = (row) => row.querySelector("button");

  sortable(table, rows, (key, row) => of[key][layerOf(row)]);

  const reveal = (layer) => {
    const row = rowOf.get(layer);
    const box = table.parentElement;
    if (!row || row.hidden) return;
    // Near the top: the lower part of the table may lie below the window.
    const above = row.offsetTop - table.tHead.offsetHeight - box.scrollTop;
    if (above < 0 || above > box.clientHeight / 3) box.scrollTop += above - 2 * row.offsetHeight;
  };
  state.on("hover.table", (from) => {
    for (const row of rows) row.classList.toggle("hovered", layerOf(row) === state.hovered);
    if (from !== "table" && state.hovered !== null) reveal(state.hovered);
  });
  state.on("choose.table", (from) => {
    for (const row of rows) {
      row.classList.toggle("chosen", layerOf(row) === state.chosen);
      nameOf(row).setAttribute("aria-pressed", String(layerOf(row) === state.chosen));
    }
    if (from !== "table" && state.chosen !== null) reveal(state.chosen);
  });
  state.on("filter.table", () => {
    for (const row of rows) row.hidden = !state.shown[layerOf(row)];
    rove();
  });

  // One name is in the order of the Tab key; the arrow keys move from there.
  const seen = () => [...table.tBodies[0].rows].filter((row) => !row.hidden && rowOf.has(layerOf(row)));
  const rove = (row = seen()[0]) => {
    for (const other of rows) nameOf(other).tabIndex = other === row ? 0 : -1;
  };
  rove();
  for (const row of rows) {
    row.addEventListener("pointerenter", () => state.hover(layerOf(row), "table"));
    row.addEventListener("pointerleave", () => state.hover(null, "table"));
    row.addEventListener("click", () => state.choose(layerOf(row), "table"));
    nameOf(row).addEventListener("focus", () => {
      rove(row);
      state.hover(layerOf(row), "table");
    });
  }
  table.tBodies[0].addEventListener("keydown", (event) => {
    const list = seen();
    const place = list.indexOf(event.target.closest("tr"));
    const to = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: list.length - 1 }[event.key];
    if (to === undefined || !list[to]) return;
    event.preventDefault();
    nameOf(list[to]).focus();
    reveal(layerOf(list[to]));
  });
  return filters(root, result, state);
}

/** Numbers go down first, texts up; the third click brings the first order back. What has no value comes last. */
function sortable(table, rows, valueOf) {
  const headings = [...table.tHead.rows[0].cells];
  for (const heading of headings) {
    const key = heading.dataset.key;
    heading.querySelector("button").addEventListener("click", () => {
      const values = new Map(rows.map((row) => [row, valueOf(key, row)]));
      const texts = rows.some((row) => typeof values.get(row) === "string");
      const order = texts ? ["ascending", "descending", "none"] : ["descending", "ascending", "none"];
      const next = order[(order.indexOf(heading.getAttribute("aria-sort")) + 1) % 3];
      for (const other of headings) other.setAttribute("aria-sort", other === heading ? next : "none");
      const sign = next === "ascending" ? 1 : -1;
      const compare = (one, other) => {
        const [a, b] = [values.get(one), values.get(other)];
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (texts ? a.localeCompare(b, "en", { numeric: true }) : a - b);
      };
      const opened = table.querySelector("tr.opened");
      const above = opened?.previousElementSibling;
      table.tBodies[0].append(...(next === "none" ? rows : [...rows].sort(compare)));
      if (opened) above.after(opened);
    });
  }
}

/** Wire the form; returns what picks a stage, and shows all again if it is picked already. */
function filters(root, result, state) {
  const form = root.querySelector("form.filters");
  const of = result.layers;
  const texts = of.name.map((_, layer) =>
    [of.name, of.op, of.stage, of.module, of.fused, of.dataflow, of.bound]
      .map((column) => column[layer])
      .join(" ")
      .toLowerCase(),
  );
  const apply = () => {
    const words = form.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
    const picked = [...form.querySelectorAll("select")].filter((select) => select.value);
    const fits = (layer) =>
      words.every((word) => texts[layer].includes(word)) &&
      picked.every((select) => `=${of[select.dataset.facet][layer]}` === select.value);
    state.show(of.name.map((_, layer) => fits(layer)));
    const timed = d3.range(of.name.length).filter((layer) => of.cycles[layer] > 0);
    const shown = timed.filter((layer) => state.shown[layer]);
    const time = format.share(d3.sum(shown, (layer) => of.share[layer]));
    form.querySelector("output").textContent =
      `${shown.length} of ${timed.length} layers, ${time} of the time`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
  return (stage) => {
    const select = form.querySelector("select[data-facet=stage]");
    if (!select) return;
    select.value = select.value === `=${stage}` ? "" : `=${stage}`;
    apply();
  };
}
