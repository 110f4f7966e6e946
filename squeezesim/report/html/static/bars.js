// A bar for each layer that takes time, stacked by cause, level or operand; stages as bands that filter.

const BAR = { height: 300, top: 24, bottom: 24, left: 52, right: 44, least: 5, widestNamed: 16, narrowest: 34, apart: 10 };

function barChart(figure, legends, result, state, pickStage) {
  const of = result.layers;
  const layers = d3.range(of.name.length).filter((layer) => of.cycles[layer] > 0);
  const picked = (name) => figure.querySelector(`input[name^=${name}]:checked`).value;

  const redraw = plot(figure, (box, outer) => {
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

    const least = printing ? 0 : layers.length * BAR.least + BAR.left + BAR.right; // paper does not scroll
    const width = Math.max(outer, least);
    const x = d3.scaleBand(layers, [BAR.left, width - BAR.right]).padding(0.14);
    const named = x.step() >= BAR.widestNamed;
    const longest = named ? d3.max(layers, (layer) => measure(of.short[layer], "11px")) : 0;
    const base = BAR.height - BAR.bottom;
    const height = BAR.height + 0.82 * longest; // names are turned by 55°
    const most = whole ? d3.max(sums) || 1 : 1;
    const y = d3.scaleLinear([0, most], [base, BAR.top + 8]).nice(5);
    const svg = drawing(box, width, height, "");

    bands(svg, x, layers, of.stage, base, pickStage);
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
      .attr("y", BAR.top)
      .attr("height", base - BAR.top);
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
    if (kind === "causes" && whole) utilizationLine(svg, x, layers, of, base, width, height);
    if (named) layerNames(svg, x, layers, of.short, base);
    listed(svg, marks, result, state, { label: `${layers.length} layers by ${unit}`, from: "bars" });
  });
  figure.addEventListener("change", redraw);
  return redraw;
}

function bands(svg, x, layers, stages, base, pickStage) {
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
    .attr("y", 0)
    .attr("height", base)
    .classed("odd", (_, place) => place % 2 === 0);
  group
    .append("text")
    .attr("x", (run) => left(run) + across(run) / 2)
    .attr("y", 16)
    .text((run) => (across(run) > BAR.narrowest ? fit(run.stage, across(run) - BAR.apart, "560 12px") : ""));
  group.append("title").text((run) => `${run.stage}: click to show its layers alone`);
}

/** From MAC layer to MAC layer: the others have no utilization. */
function utilizationLine(svg, x, layers, of, base, width, height) {
  const y = d3.scaleLinear([0, 1], [base, BAR.top + 8]);
  svg
    .append("path")
    .attr("class", "utilization")
    .attr("aria-hidden", true)
    .attr(
      "d",
      d3.line(
        (layer) => x(layer) + x.bandwidth() / 2,
        (layer) => y(of.utilization[layer]),
      )(layers.filter((layer) => of.macs[layer] > 0)),
    );
  svg
    .append("g")
    .attr("class", "axis")
    .attr("transform", `translate(${width - BAR.right},0)`)
    .attr("aria-hidden", true)
    .call(
      d3
        .axisRight(y)
        .ticks(5)
        .tickFormat((value) => `${Math.round(100 * value)} %`),
    );
  svg
    .append("text")
    .attr("class", "unit")
    .attr("x", width - 4)
    .attr("y", height - 6)
    .attr("text-anchor", "end")
    .text("line: utilization");
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
