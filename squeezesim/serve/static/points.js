// The points that were visited, by two of their numbers, with the front of those that no other one beats.

const SCATTER = { height: 340, top: 14, bottom: 42, left: 66, right: 18, around: 0.06, radius: 5 };
const MEASURES = {
  latency_us: { label: "latency, µs", better: -1, write: format.decimal },
  energy: { label: "energy", better: -1, write: format.decimal },
  dram_bytes: { label: "DRAM traffic, bytes", better: -1, write: format.size },
  utilization: { label: "utilization", better: 1, write: format.share },
  pes: { label: "PEs", better: -1, write: format.count },
  params: { label: "params", better: -1, write: format.count },
};

/** Of points with {x, y} those that no other is better than in one and not worse in the other; signs say what is better. */
function frontOf(points, signX, signY) {
  const worse = (one, other) => {
    const [x, y] = [signX * (other.x - one.x), signY * (other.y - one.y)];
    return x >= 0 && y >= 0 && x + y > 0;
  };
  return points.filter((one) => !points.some((other) => worse(one, other)));
}

/** Draw `points`, {numbers, now, pinned, lines}; a click on one calls `pick`. */
function pointsChart(figure, points, [across, up], unit, pick) {
  const label = (name) => (name === "energy" ? `energy, ${unit}` : MEASURES[name].label);
  const key = (kind, text) => node("span", {}, node("i", { class: `key round ${kind}` }), text);
  figure
    .querySelector(".legend")
    .replaceChildren(key("point", "visited"), key("point on-front", "front"), key("point now", "now"), key("point pinned", "pinned"));
  return plot(figure, (box, width) => {
    const dots = points
      .map((point) => ({ point, x: point.numbers[across], y: point.numbers[up] }))
      .filter((dot) => dot.x !== null && dot.y !== null);
    const front = frontOf(dots, MEASURES[across].better, MEASURES[up].better);
    front.sort((one, other) => one.x - other.x || one.y - other.y);
    const scale = (value, from, to) => {
      const [low, high] = d3.extent(dots, value);
      const margin = (high - low) * SCATTER.around || Math.abs(high) * SCATTER.around || 1;
      return d3.scaleLinear([low - margin, high + margin], [from, to]);
    };
    const base = SCATTER.height - SCATTER.bottom;
    const x = scale((dot) => dot.x, SCATTER.left, width - SCATTER.right);
    const y = scale((dot) => dot.y, base, SCATTER.top);
    const svg = drawing(box, width, SCATTER.height, `${dots.length} points by ${label(across)} and ${label(up)}`);
    svg.attr("role", "group");
    const axis = (of, at, turned) =>
      svg.append("g").attr("class", "axis grid").attr("aria-hidden", true).attr("transform", turned).call(at(of));
    const few = Math.max(2, Math.floor(width / 140));
    const ticks = (make, count, size, name) => (of) =>
      make(of).ticks(count).tickSize(size).tickFormat(name === "utilization" ? format.share : format.tick);
    axis(x, ticks(d3.axisBottom, few, SCATTER.top - base, across), `translate(0,${base})`);
    axis(y, ticks(d3.axisLeft, 5, SCATTER.left + SCATTER.right - width, up), `translate(${SCATTER.left},0)`);
    const unitText = (text) => svg.append("text").attr("class", "unit").text(text);
    unitText(label(across)).attr("x", width - SCATTER.right).attr("y", SCATTER.height - 6).attr("text-anchor", "end");
    unitText(label(up)).attr("transform", `translate(12,${SCATTER.top}) rotate(-90)`).attr("text-anchor", "end");
    svg
      .append("path")
      .attr("class", "front")
      .attr(
        "d",
        d3.line(
          (dot) => x(dot.x),
          (dot) => y(dot.y),
        )(front),
      );
    const lines = ({ point }) => [
      ...point.lines,
      ...[across, up].map((name) => `${label(name)}: ${MEASURES[name].write(point.numbers[name])}`),
    ];
    svg
      .append("g")
      .selectAll("circle")
      .data(dots)
      .join("circle")
      .attr("class", (dot) =>
        ["point", front.includes(dot) && "on-front", dot.point.pinned && "pinned", dot.point.now && "now"]
          .filter(Boolean)
          .join(" "),
      )
      .attr("role", "button")
      .attr("tabindex", 0)
      .attr("aria-label", (dot) => lines(dot).join(", "))
      .attr("cx", (dot) => x(dot.x))
      .attr("cy", (dot) => y(dot.y))
      .attr("r", SCATTER.radius)
      .on("pointerenter focus", (event, dot) => tip.show(event.currentTarget, dot.point.name, lines(dot)))
      .on("pointerleave blur", tip.hide)
      .on("click", (_, dot) => pick(dot.point))
      .on("keydown", (event, dot) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        pick(dot.point);
      });
  });
}
