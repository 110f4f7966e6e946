// Executed MACs a second over MACs a byte, below the ceilings of the array and of a memory.

const ROOF = { height: 430, top: 16, bottom: 40, left: 58, right: 14, area: 2600, least: 3, told: [0.02, 0.1, 0.3] };

function rooflineChart(figure, result, state) {
  const { layers, speed, roofs } = result.roofline;
  const flows = [...new Set(layers.map((layer) => result.layers.dataflow[layer]))];
  figure
    .querySelector(".legend")
    .replaceChildren(
      ...flows.map((flow) => node("span", {}, node("i", { class: `key round fill-flow-${flow}` }), flow)),
      ...sizes(d3.max(layers, (layer) => result.layers.share[layer])),
    );
  const chosen = memoryChoice(figure, roofs);

  return plot(figure, (box, width) => {
    const roof = roofs[chosen()];
    const ridge = roof.array / roof.bandwidth;
    const high = ROOF.height - ROOF.bottom;
    const dots = layers
      .map((layer, place) => ({ layer, x: roof.intensity[place], y: speed[place] }))
      .filter((dot) => dot.x > 0 && dot.y > 0);
    const across = d3.extent([...dots.map((dot) => dot.x), ridge]);
    const x = d3.scaleLog([across[0] / 2, across[1] * 2.5], [ROOF.left, width - ROOF.right]);
    const y = d3.scaleLog(
      [d3.min([...dots.map((dot) => dot.y), roof.array / 10]) / 2, roof.array * 2.2],
      [high, ROOF.top],
    );
    const svg = drawing(box, width, ROOF.height, "");
    const few = (scale, count) => {
      const powers = scale
        .ticks()
        .filter((value) => Number.isInteger(Math.round(1e6 * Math.log10(value)) / 1e6));
      return powers.length >= 2 ? powers : scale.ticks(count);
    };
    const axes = svg.append("g").attr("aria-hidden", true);
    axes
      .append("g")
      .attr("class", "axis grid")
      .attr("transform", `translate(0,${high})`)
      .call(
        d3
          .axisBottom(x)
          .tickValues(few(x, 4))
          .tickFormat(format.tick)
          .tickSize(-(high - ROOF.top)),
      );
    axes
      .append("g")
      .attr("class", "axis grid")
      .attr("transform", `translate(${ROOF.left},0)`)
      .call(
        d3
          .axisLeft(y)
          .tickValues(few(y, 4))
          .tickFormat(format.tick)
          .tickSize(-(width - ROOF.left - ROOF.right)),
      );
    axes
      .append("text")
      .attr("class", "unit")
      .attr("x", width - ROOF.right)
      .attr("y", ROOF.height - 6)
      .attr("text-anchor", "end")
      .text(`executed MACs per byte of ${roof.memory}`);
    axes
      .append("text")
      .attr("class", "unit")
      .attr("transform", `translate(12,${ROOF.top}) rotate(-90)`)
      .attr("text-anchor", "end")
      .text("executed MACs per second");
    ceiling(axes, x, y, roof, ridge);

    dots.sort((one, other) => result.layers.cycles[other.layer] - result.layers.cycles[one.layer]);
    const marks = svg
      .append("g")
      .attr("role", "none")
      .selectAll("circle")
      .data(dots)
      .join("circle")
      .attr("class", (dot) => `mark dot fill-flow-${result.layers.dataflow[dot.layer]}`)
      .attr("cx", (dot) => x(dot.x))
      .attr("cy", (dot) => y(dot.y))
      .attr("r", (dot) => radius(result.layers.share[dot.layer]));
    listed(svg, marks, result, state, {
      label: `Roofline of ${dots.length} layers, longest first`,
      from: "roofline",
    });
  });
}

const areaOf = (share) => Math.sqrt((ROOF.area * share) / Math.PI);
const radius = (share) => Math.max(areaOf(share), ROOF.least);

/** Circles of some parts of the time, up to the largest there is, and what the smallest circle stands for. */
function sizes(largest) {
  const smallest = (Math.PI * ROOF.least ** 2) / ROOF.area;
  const told = ROOF.told.filter((share, place) => place === 0 || share <= largest);
  const circle = (share, text) => {
    const r = radius(share);
    const side = 2 * r + 2;
    const key = node("span", { class: "size" });
    d3.select(key)
      .append("svg")
      .attr("width", side)
      .attr("height", side)
      .attr("aria-hidden", true)
      .append("circle")
      .attr("cx", r + 1)
      .attr("cy", r + 1)
      .attr("r", r);
    key.append(text);
    return key;
  };
  return [
    circle(0, `up to ${format.share(smallest)} of the time`),
    ...told.map((share) => circle(share, `${Math.round(100 * share)} %`)),
  ];
}

/** The diagonal and the flat ceiling; what the array allows goes on as a dotted line, as do those of other widths. */
function ceiling(axes, x, y, roof, ridge) {
  const [low, far] = x.domain();
  const start = Math.max(low, y.domain()[0] / roof.bandwidth);
  const line = (points) =>
    d3.line(
      (point) => x(point[0]),
      (point) => y(point[1]),
    )(points);
  axes
    .append("path")
    .attr("class", "ceiling")
    .attr(
      "d",
      line([
        [start, start * roof.bandwidth],
        [ridge, roof.array],
        [far, roof.array],
      ]),
    );
  axes
    .append("path")
    .attr("class", "ceiling dotted")
    .attr(
      "d",
      line([
        [low, roof.array],
        [ridge, roof.array],
      ]),
    );
  axes
    .append("text")
    .attr("class", "ceiling")
    .attr("x", x(far) - 4)
    .attr("y", y(roof.array) - 6)
    .attr("text-anchor", "end")
    .text(`array${roof.widths ? ` with ${roof.widths}` : ""} ${format.count(roof.array)}MAC/s`);
  for (const [widths, speed] of roof.others ?? []) {
    axes
      .append("path")
      .attr("class", "ceiling dotted")
      .attr(
        "d",
        line([
          [Math.max(low, speed / roof.bandwidth), speed],
          [far, speed],
        ]),
      );
    axes
      .append("text")
      .attr("class", "ceiling")
      .attr("x", x(far) - 4)
      .attr("y", y(speed) - 6)
      .attr("text-anchor", "end")
      .text(`array with ${widths} ${format.count(speed)}MAC/s`);
  }
  const middle = Math.sqrt(start * ridge);
  const angle =
    (Math.atan2(y(ridge * roof.bandwidth) - y(start * roof.bandwidth), x(ridge) - x(start)) * 180) / Math.PI;
  axes
    .append("text")
    .attr("class", "ceiling")
    .attr("text-anchor", "middle")
    .attr(
      "transform",
      `translate(${x(middle)},${y(middle * roof.bandwidth)}) rotate(${angle}) translate(0,-6)`,
    )
    .text(`${roof.memory} ${format.count(roof.bandwidth)}B/s`);
}

/** Where the buffer's bandwidth is limited too, the reader chooses the memory; one that was chosen before stays so. */
function memoryChoice(figure, roofs) {
  const box = figure.querySelector(".controls");
  const before = Number(box.querySelector(":checked")?.value ?? 0);
  box.replaceChildren();
  if (roofs.length === 1) return () => 0;
  const name = `memory-${figure.id}`;
  const choices = roofs.map((roof, place) => {
    const input = node("input", { type: "radio", name, value: place });
    input.checked = place === Math.min(before, roofs.length - 1);
    return node("label", {}, input, node("span", {}, roof.memory));
  });
  box.append(node("fieldset", { class: "switch" }, node("legend", {}, "Memory"), ...choices));
  return () => Number(box.querySelector(":checked").value);
}
