// Tensors as rectangles over layers and addresses: in the buffer with the tiles of each layer, below in a memory.

const HELD = { high: 210, top: 12, between: 34, bottom: 26, left: 62, right: 10, least: 4, line: 15 };

function memoryChart(figure, result, state) {
  const { size, addresses, memory, inside, outside, tiles, short } = result.memory;
  const labels = {
    buffer: "in the buffer",
    both: `in the buffer and in ${memory}`,
    weights: "weights that stay",
    memory: `in ${memory} alone`,
  };
  const used = Object.keys(labels).filter((home) => [...inside, ...outside].some((each) => each[1] === home));
  figure
    .querySelector(".legend")
    .replaceChildren(
      ...used.map((home) => node("span", {}, node("i", { class: `key fill-held-${home}` }), labels[home])),
      node("span", {}, node("i", { class: "key held-tiles" }), "tiles of the layer"),
    );
  const count = result.layers.name.length;

  return plot(figure, (box, outer) => {
    const least = printing ? 0 : count * HELD.least + HELD.left + HELD.right;
    const width = Math.max(outer, least);
    const height = 2 * HELD.high + HELD.between + HELD.bottom + HELD.top;
    const x = d3.scaleLinear([-0.5, count - 0.5], [HELD.left, width - HELD.right]);
    const svg = drawing(box, width, height, "");
    const panel = (tensors, most, top, text) => {
      const y = d3.scaleLinear([0, most || 1], [top + HELD.high, top]);
      const axes = svg.append("g").attr("aria-hidden", true);
      axes
        .append("g")
        .attr("class", "axis grid")
        .attr("transform", `translate(${HELD.left},0)`)
        .call(
          d3
            .axisLeft(y)
            .tickValues(d3.range(5).map((part) => ((most || 1) * part) / 4))
            .tickFormat(format.size)
            .tickSize(-(width - HELD.left - HELD.right)),
        );
      axes
        .append("text")
        .attr("class", "unit")
        .attr("x", HELD.left)
        .attr("y", top + HELD.high + 16)
        .text(text);
      return tensors.map(([layer, home, begin, end, from, to]) => ({
        ...{ layer, home, begin, end, size: to - from },
        ...{ x: x(begin), width: x(end) - x(begin), y: y(to), height: y(from) - y(to) },
      }));
    };
    const top = d3.max([size, ...inside.map((each) => each[5])]);
    const below = HELD.top + HELD.high + HELD.between;
    const where = addresses ? "by address" : "stacked, since no addresses were found";
    const drawn = [
      ...panel(inside, top, HELD.top, `in the buffer, ${where}; of ${format.size(size)}`),
      ...panel(outside, d3.max(outside, (each) => each[5]), below, `in ${memory}`),
    ];
    const scale = d3.scaleLinear([0, top], [HELD.top + HELD.high, HELD.top]);
    svg
      .append("g")
      .attr("aria-hidden", true)
      .selectAll("rect")
      .data(tiles)
      .join("rect")
      .attr("class", "held-tiles")
      .attr("x", ([layer]) => x(layer - 0.5))
      .attr("width", x(1) - x(0))
      .attr("y", (each) => scale(each[2]))
      .attr("height", (each) => scale(each[1]) - scale(each[2]));
    svg
      .append("line")
      .attr("class", "limit")
      .attr("x1", HELD.left)
      .attr("x2", width - HELD.right)
      .attr("y1", scale(size))
      .attr("y2", scale(size));
    const known = drawn.filter((each) => each.layer >= 0);
    const box_of = (group) =>
      group
        .attr("x", (each) => each.x)
        .attr("width", (each) => Math.max(each.width, 0.5))
        .attr("y", (each) => each.y)
        .attr("height", (each) => Math.max(each.height, 0.5));
    box_of(
      svg
        .append("g")
        .attr("aria-hidden", true)
        .selectAll("rect")
        .data(drawn.filter((each) => each.layer < 0))
        .join("rect")
        .attr("class", (each) => `held fill-held-${each.home}`),
    );
    const list = svg.append("g").attr("role", "none");
    const marks = list
      .selectAll("rect")
      .data(known)
      .join("rect")
      .attr("class", (each) => `mark held fill-held-${each.home}`);
    box_of(marks);
    const name = (layer) => result.layers.name[Math.min(Math.max(layer, 0), count - 1)];
    listed(svg, marks, result, state, {
      label: `${known.length} tensors in the buffer and in ${memory}`,
      from: "memory",
      lines: (each) => [
        `${format.size(each.size)} ${labels[each.home]}`,
        `from ${name(Math.floor(each.begin + 0.5))} to ${name(Math.ceil(each.end - 0.5))}`,
      ],
    });
    svg
      .append("g")
      .attr("aria-hidden", true)
      .selectAll("text")
      .data(known.filter((each) => each.height > HELD.line && measure(short[each.layer], "11px") + 6 < each.width))
      .join("text")
      .attr("class", "held-name")
      .attr("x", (each) => each.x + each.width / 2)
      .attr("y", (each) => each.y + each.height / 2)
      .text((each) => short[each.layer]);
  });
}
