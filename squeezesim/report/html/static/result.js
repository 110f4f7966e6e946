// One result: its charts and its table around one state.

function showResult(root, data, result) {
  const state = resultState(result.layers.name.length);
  const chart = (name) => root.querySelector(`[data-chart=${name}]`);
  const layers = root.querySelector("section[id^=layers]");
  const pick = layerTable(root, result, state);
  const pickStage = (stage) => {
    pick(stage);
    layers.scrollIntoView({ block: "start" });
  };
  detail(root, data.legends, result, state);
  barChart(chart("bars"), data.legends, result, state, pick);
  waterfallChart(chart("waterfall"), result.waterfall);
  rooflineChart(chart("roofline"), result, state);
  const { parts } = result.stages;
  const names = result.stages.names.map((stage) => stage || "network");
  const pickRow = (place) => pickStage(result.stages.names[place]);
  rowChart(chart("levels"), data.legends.levels, {
    names,
    rows: parts.levels,
    write: format.energy(result.absolute),
    pick: pickRow,
  });
  rowChart(chart("operands"), data.legends.operands, {
    names,
    rows: parts.operands,
    write: format.size,
    pick: pickRow,
  });
  if (result.memory) memoryChart(chart("memory"), result, state);
  graphChart(chart("graph"), result, state, pickStage);

  for (const row of root.querySelectorAll("table.stages tbody tr")) {
    row.addEventListener("click", () => pickStage(row.dataset.stage));
  }
  for (const button of root.querySelectorAll(".findings button")) {
    const layer = Number(button.dataset.layer);
    button.addEventListener("click", () => {
      layers.scrollIntoView({ block: "start" });
      if (state.chosen !== layer) state.choose(layer, "findings");
    });
    button.addEventListener("pointerenter", () => state.hover(layer, "findings"));
    button.addEventListener("pointerleave", () => state.hover(null, "findings"));
  }
}

const BESIDE = 22; // pixels beside the card of a layer in the table

/** The chosen layer in full, below the bars. */
function detail(root, legends, result, state) {
  const box = root.querySelector(".detail");
  const of = result.layers;
  const breakdown = (heading, kind, write) => {
    const values = result.parts[kind][state.chosen];
    const sum = d3.sum(values);
    const known = legends[kind].labels
      .map((label, part) => [label, values[part], part])
      .filter(([, value]) => value > 0);
    known.sort((one, other) => other[1] - one[1]);
    const items = known.map(([label, value, part]) =>
      node(
        "li",
        {},
        node("i", { class: `key fill-${legends[kind].colours}-${legends[kind].keys[part]}` }),
        `${label}: ${write(value)}, ${format.share(value / sum)}`,
      ),
    );
    return node("div", {}, node("h4", {}, heading), node("ul", {}, ...items));
  };
  const home = document.createComment("the card stands here where a chart or a sentence asks for it");
  box.before(home);
  const table = root.querySelector("table.layers");
  const row = node("tr", { class: "opened" }, node("td", { colspan: table.tHead.rows[0].cells.length }));
  /** Below its row where the table asks for it: what is clicked stays where it is. */
  const place = (layer, from) => {
    row.remove();
    box.style.width = "";
    if (layer === null || from !== "table") {
      home.after(box);
      return;
    }
    row.cells[0].replaceChildren(box);
    box.style.width = `${table.parentElement.clientWidth - BESIDE}px`;
    table.querySelector(`tr[data-layer="${layer}"]`).after(row);
  };
  state.on("filter.detail", () => {
    if (row.isConnected && !state.shown[state.chosen]) state.choose(state.chosen, "filter");
  });
  state.on("choose.detail", (from) => {
    const layer = state.chosen;
    const asked = from === "table" && layer !== null && table.querySelector(`tr[data-layer="${layer}"]`);
    const before = asked && asked.getBoundingClientRect().top;
    place(layer, from);
    box.hidden = layer === null;
    if (asked) {
      table.parentElement.scrollTop += asked.getBoundingClientRect().top - before;
      scrollBy(0, asked.getBoundingClientRect().top - before);
    }
    if (layer === null) return;
    const close = node("button", { type: "button", class: "plain" }, "Close");
    close.addEventListener("click", () => state.choose(layer, "detail"));
    const facts = [
      ...layerLines(result, layer),
      of.tiling[layer] && `tiling ${of.tiling[layer]}`,
      of.inputs_in?.[layer] && `inputs in ${of.inputs_in[layer]}, outputs in ${of.output_in[layer]}`,
      of.weights_in?.[layer] === "stays" && "weights stay from one inference to the next",
      of.kept_bytes?.[layer] && `the buffer keeps ${format.size(of.kept_bytes[layer])} meanwhile`,
      of.fused[layer] && `fused: ${of.fused[layer]}`,
      of.inputs[layer].length && `reads ${of.inputs[layer].join(", ")}`,
    ].filter(Boolean);
    box.replaceChildren(
      node("div", { class: "head" }, node("h3", {}, node("bdi", {}, of.name[layer])), close),
      node("ul", { class: "facts" }, ...facts.map((fact) => node("li", {}, node("bdi", {}, fact)))),
      node(
        "div",
        { class: "thirds" },
        breakdown("Cycles", "causes", format.count),
        breakdown("Energy", "levels", format.energy(result.absolute)),
        breakdown("DRAM", "operands", format.size),
      ),
    );
  });
}
