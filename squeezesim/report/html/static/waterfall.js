// From the cycles that the MACs alone would take to those that the network takes, cause by cause.

function waterfallChart(figure, steps) {
  const total = steps.at(-1).to;
  const most = d3.max(steps, (step) => Math.max(step.from, step.to));
  const change = (step) => step.to - step.from;
  const text = (step) => `${change(step) < 0 ? "−" : ""}${format.count(Math.abs(change(step)))}`;
  const number = (step) => `${text(step)} · ${format.share(Math.abs(change(step)) / total)}`;
  return plot(figure, (box, width) => {
    const above = width < 480;
    const left = above ? 0 : d3.max(steps, (step) => measure(step.label)) + 12;
    const row = above ? 40 : 30;
    const x = d3.scaleLinear([0, most], [left, width - d3.max(steps, (step) => measure(number(step))) - 10]);
    const label = steps.map((step) => `${step.label} ${text(step)} cycles`).join(", ");
    const svg = drawing(box, width, steps.length * row + 4, label);
    const middle = (place) => place * row + (above ? 28 : row / 2);
    if (!above)
      steps.slice(0, -1).forEach((step, place) => {
        svg
          .append("line")
          .attr("class", "link")
          .attr("x1", x(step.to))
          .attr("x2", x(step.to))
          .attr("y1", middle(place))
          .attr("y2", middle(place + 1));
      });
    const group = svg.selectAll("g").data(steps).join("g").attr("class", "row");
    group
      .append("rect")
      .attr("class", (step) => (step.cause ? `fill-cause-${step.cause}` : "fill-total"))
      .attr("x", (step) => x(Math.min(step.from, step.to)))
      .attr("y", (_, place) => middle(place) - 9)
      .attr("width", (step) => Math.max(Math.abs(x(step.to) - x(step.from)), 1))
      .attr("height", 18);
    group
      .append("text")
      .attr("class", "name")
      .attr("x", above ? 0 : left - 8)
      .attr("y", (_, place) => (above ? place * row + 13 : middle(place)))
      .attr("text-anchor", above ? "start" : "end")
      .attr("dominant-baseline", above ? null : "central")
      .text((step) => step.label);
    group
      .append("text")
      .attr("class", "number")
      .attr("x", (step) => x(Math.max(step.from, step.to)) + 6)
      .attr("y", (_, place) => middle(place))
      .attr("dominant-baseline", "central")
      .text(number);
  });
}
