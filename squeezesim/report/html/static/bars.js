// A bar for each layer that takes time, stacked by cause, level or operand; stages as bands that filter.

const BAR = {
  ...{ height: 300, bottom: 24, left: 52, right: 8, strip: 62, top: 24 },
  ...{ least: 4, narrow: 700, widestNamed: 16, narrowest: 34, apart: 10 },
};

function barChart(figure, legends, result, state, pickStage) {
  const of = result.layers;
  const layers = d3.range(of.name.length).filter((layer) => of.cycles[layer] > 0);
  const picked = (name) => figure.querySelector(`input[name^=${name}]:checked`).value;

  return plot(figure, (box, outer) => {
    const kind = picked("kind");
    const whole = picked("scale") === "absolute";
    const rows = layers.map((layer) => result.parts[kind][layer]);
    const sums = rows.map((row) => d3.sum(row));
    const heights = rows.map((row, place) =>
      whole || !sums[place] ? row : row.map((value) => value / sums[place]),
    );
    const write = { causes: format.tick, levels: format.tick, operands: format.size }[kind];
    const unit = { causes: "cycles", levels: result.absolute ? "µJ" : "MACs", operands: "bytes" }[kind];
    legend(figure, legends[kind], rows);

    // A wide window shows all layers, however many; only a narrow one scrolls, and paper never does.
    const scrolls = !printing && outer < BAR.narrow;
    const least = scrolls ? layers.length * BAR.least + BAR.left + BAR.right : 0;
    const dotted = kind === "causes" && whole;
    const top = dotted ? BAR.strip + BAR.top : BAR.top;
    const width = Math.max(outer, least);
    const x = d3.scaleBand(layers, [BAR.left, width - BAR.right]).padding(0.14);
    const named = x.step() >= BAR.widestNamed;
    const longest = named ? d3.max(layers, (layer) => measure(of.short[layer], "11px")) : 0;
    const base = BAR.height - BAR.bottom + top - BAR.top;
    const height = base + BAR.bottom + 0.82 * longest; // names are turned by 55°
    const most = whole ? d3.max(sums) || 1 : 1;
    const y = d3.scaleLinear([0, most], [base, top + 8]).nice(5);
    const svg = drawing(box, width, height, "");

    bands(svg, x, layers, of.stage, [top - BAR.top, base], pickStage);
    const ticks = whole ? write : (value) => `${Math.round(100 * value)} %`;
    svg
      .append("g")
      .attr("class", "axis grid")
      .attr("transform", `translate(${BAR.left},0)`)
      .attr("aria-hidden", true)
      .call(
        d3
          .axisLeft(y)
          .ticks(5)
          .tickFormat(ticks)
          .tickSize(-(width - BAR.left - BAR.right)),
      );
    svg
      .append("text")
      .attr("class", "unit")
      .attr("x", 4)
      .attr("y", height - 6)
      .text(whole ? unit : "share");

    const marks = svg
      .append("g")
      .attr("role", "none")
      .selectAll("g")
      .data(layers.map((layer, place) => ({ layer, place })))
      .join("g")
      .attr("class", "mark bar");
    marks
      .append("rect")
      .attr("class", "reach")
      .attr("x", (d) => x(d.layer) - (x.step() - x.bandwidth()) / 2)
      .attr("width", x.step())
      .attr("y", top)
      .attr("height", base - top);
    marks.each(function (d) {
      let above = base;
      heights[d.place].forEach((value, part) => {
        if (!(value > 0)) return;
        const top = above - (base - y(value));
        d3.select(this)
          .append("rect")
          .attr("class", `fill-${legends[kind].colours}-${legends[kind].keys[part]}`)
          .attr("x", x(d.layer))
          .attr("width", x.bandwidth())
          .attr("y", top)
          .attr("height", above - top);
        above = top;
      });
    });
    if (dotted) {
      utilizationDots(svg, x, layers, of, width);
      const key = node("i", { class: "key round utilization" });
      figure.querySelector(".legend").append(node("span", {}, key, "utilization of the PEs"));
    }
    if (named) layerNames(svg, x, layers, of.short, base);
    listed(svg, marks, result, state, { label: `${layers.length} layers by ${unit}`, from: "bars" });
  });
}

function bands(svg, x, layers, stages, [top, base], pickStage) {
  const runs = [];
  for (const layer of layers) {
    const last = runs.at(-1);
    if (last && last.stage === stages[layer]) last.end = layer;
    else runs.push({ stage: stages[layer], start: layer, end: layer });
  }
  if (runs.length === 1) return;
  const group = svg
    .append("g")
    .attr("aria-hidden", true)
    .selectAll("g")
    .data(runs)
    .join("g")
    .attr("class", "band")
    .on("click", (_, run) => pickStage(run.stage));
  const left = (run) => x(run.start) - (x.step() - x.bandwidth()) / 2;
  const across = (run) => x(run.end) - x(run.start) + x.step();
  group
    .append("rect")
    .attr("x", left)
    .attr("width", across)
    .attr("y", top)
    .attr("height", base - top)
    .classed("odd", (_, place) => place % 2 === 0);
  group
    .append("text")
    .attr("x", (run) => left(run) + across(run) / 2)
    .attr("y", top + 16)
    .text((run) => (across(run) > BAR.narrowest ? fit(run.stage, across(run) - BAR.apart, "560 12px") : ""));
  group.append("title").text((run) => `${run.stage}: click to show its layers alone`);
}

/** Utilization in a strip of its own above the bars: a dot for each layer that has MACs. */
function utilizationDots(svg, x, layers, of, width) {
  const y = d3.scaleLinear([0, 1], [BAR.strip, 5]);
  const group = svg.append("g").attr("aria-hidden", true);
  group
    .append("g")
    .attr("class", "axis grid")
    .attr("transform", `translate(${BAR.left},0)`)
    .call(
      d3
        .axisLeft(y)
        .tickValues([0, 0.5, 1])
        .tickFormat((value) => `${100 * value} %`)
        .tickSize(-(width - BAR.left - BAR.right)),
    );
  group
    .selectAll("circle")
    .data(layers.filter((layer) => of.macs[layer] > 0))
    .join("circle")
    .attr("class", "utilization")
    .attr("cx", (layer) => x(layer) + x.bandwidth() / 2)
    .attr("cy", (layer) => y(of.utilization[layer]))
    .attr("r", Math.min(2.6, Math.max(1.3, x.bandwidth() / 2)));
}

function layerNames(svg, x, layers, names, base) {
  svg
    .append("g")
    .attr("class", "names")
    .attr("aria-hidden", true)
    .selectAll("text")
    .data(layers)
    .join("text")
    .attr("transform", (layer) => `translate(${x(layer) + x.bandwidth() / 2 + 3},${base + 8}) rotate(-55)`)
    .attr("text-anchor", "end")
    .text((layer) => names[layer]);
}
