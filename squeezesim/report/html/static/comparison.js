// Several results: changes from a baseline, time by stage, two of them layer by layer.

const LARGE = 0.05; // a change from which on it is marked

function showComparison(data, open) {
  const { names, metrics, networks, comparable } = data.comparison;
  const results = data.results;
  const chart = (name) => document.querySelector(`#totals [data-chart=${name}]`);
  const rows = (kind) => results.map((result) => result.whole[kind][0]);
  rowChart(chart("causes"), data.legends.causes, { names, rows: rows("causes"), write: format.count });
  rowChart(chart("levels"), data.legends.levels, {
    names,
    rows: rows("levels"),
    write: format.energy(results[0].absolute),
    together: comparable,
  });

  const baseline = document.getElementById("baseline");
  const update = () => {
    const base = Number(baseline.value);
    for (const cell of document.querySelectorAll("table.totals td")) {
      const { values, units, better } = metrics[cell.dataset.metric];
      const place = Number(cell.parentElement.dataset.result);
      const same = place === base || new Set(units).size > 1;
      markChange(cell, cell.querySelector(".change"), values[place], values[base], { same, better });
    }
    for (const row of document.querySelectorAll("table.totals tbody tr")) {
      row.classList.toggle("baseline", Number(row.dataset.result) === base);
    }
    stageMatrix(document.querySelector("table.matrix"), names, results, base);
  };
  baseline.addEventListener("change", update);
  update();
  for (const button of document.querySelectorAll("table.totals button")) {
    button.addEventListener("click", () => open(Number(button.closest("tr").dataset.result)));
  }
  pairs(names, networks, results);
}

/** Write a change into a cell and colour it where it is large: better, worse, or only different; `same`: no change. */
function markChange(cell, slot, value, base, { same, better }) {
  const text = same ? "" : format.change(value, base);
  slot.textContent = text;
  const ratio = value === null || !base ? 0 : value / base - 1;
  const large = !same && Math.abs(ratio) >= LARGE;
  cell.classList.toggle("good", large && ratio * better > 0);
  cell.classList.toggle("bad", large && ratio * better < 0);
}

function stageMatrix(table, names, results, base) {
  const known = [];
  for (const result of results) {
    let place = 0;
    for (const stage of result.stages.names) {
      if (!known.includes(stage)) known.splice(place, 0, stage);
      place = known.indexOf(stage) + 1;
    }
  }
  const times = results.map((result) => {
    const sums = d3.rollup(
      d3.range(result.layers.name.length),
      (some) => d3.sum(some, (layer) => result.layers.latency_us[layer]),
      (layer) => result.layers.stage[layer],
    );
    return known.map((stage) => sums.get(stage) ?? null);
  });
  const head = node(
    "tr",
    {},
    node("th", { scope: "col", class: "left" }, "stage, µs"),
    ...names.map((name) => node("th", { scope: "col" }, node("bdi", {}, name))),
  );
  const body = known.map((stage, row) => {
    const cells = times.map((column, place) => {
      const change = node("span", { class: "change" });
      const cell = node("td", {}, format.decimal(column[row]), change);
      markChange(cell, change, column[row], times[base][row], { same: place === base, better: -1 });
      return cell;
    });
    return node("tr", {}, node("th", { scope: "row" }, node("bdi", {}, stage || "–")), ...cells);
  });
  table.replaceChildren(node("thead", {}, head), node("tbody", {}, ...body));
}

function pairs(names, networks, results) {
  const selects = [document.getElementById("first"), document.getElementById("second")];
  const table = document.querySelector("table.pairs");
  const output = document.querySelector("#differences output");
  const update = () => {
    const [one, other] = selects.map((select) => results[Number(select.value)]);
    const places = new Map(other.layers.name.map((name, layer) => [name, layer]));
    const both = d3
      .range(one.layers.name.length)
      .filter((layer) => places.has(one.layers.name[layer]))
      .map((layer) => ({ a: layer, b: places.get(one.layers.name[layer]) }))
      .filter(({ a, b }) => one.layers.cycles[a] || other.layers.cycles[b]);
    const gap = ({ a, b }) => one.layers.latency_us[a] - other.layers.latency_us[b];
    both.sort((x, y) => Math.abs(gap(y)) - Math.abs(gap(x)));
    const rows = both.map(({ a, b }) => {
      const change = node("td", {});
      markChange(change, change, one.layers.latency_us[a], other.layers.latency_us[b], {
        same: false,
        better: -1,
      });
      if (!other.layers.cycles[b]) change.append("no time there");
      const two = (column) => [one.layers[column][a], other.layers[column][b]].map((value) => value || "–");
      const words = ["dataflow", "bound"].flatMap((column) => {
        const values = two(column);
        return values.map((value) =>
          node("td", { class: values[0] === values[1] ? "left" : "left differs" }, value),
        );
      });
      return node(
        "tr",
        {},
        node("th", { scope: "row" }, node("bdi", {}, one.layers.name[a])),
        node("td", {}, format.decimal(one.layers.latency_us[a])),
        node("td", {}, format.decimal(other.layers.latency_us[b])),
        change,
        ...words,
      );
    });
    const heading = (text, left = false) =>
      node("th", left ? { scope: "col", class: "left" } : { scope: "col" }, text);
    const head = ["layer", "this µs", "against µs", "change", "dataflow", "against", "bound", "against"];
    table.replaceChildren(
      node(
        "thead",
        {},
        node("tr", {}, ...head.map((text, place) => heading(text, place === 0 || place > 3))),
      ),
      node("tbody", {}, ...rows),
    );
    output.textContent = both.length
      ? `${both.length} layers are in both, largest differences in time first`
      : `${networks[Number(selects[0].value)]} and ${networks[Number(selects[1].value)]} have no layer of the same name`;
  };
  for (const select of selects) select.addEventListener("change", update);
  update();
}
