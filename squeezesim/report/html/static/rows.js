// Bars that lie: a row for each stage or result, stacked by cause, level or operand, its sum at the end.
// Rows that are not of one unit, `together` false, are each as long as the widest.

function rowChart(figure, kind, { names, rows, write, pick = null, together = true }) {
  legend(figure, kind, rows);
  return plot(figure, (box, width) => {
    const sums = rows.map((row) => d3.sum(row));
    const longest = d3.max(names, (name) => measure(name)) + 12;
    const above = longest > 0.36 * width;
    const left = above ? 0 : longest;
    const right = d3.max(sums, (sum) => measure(write(sum))) + 10;
    const step = above ? 40 : 28;
    const most = d3.max(sums) || 1;
    const scale = (end) => d3.scaleLinear([0, end || 1], [left, width - right]);
    const scales = sums.map((sum) => scale(together ? most : sum));
    const label = names.map((name, place) => `${name} ${write(sums[place])}`).join(", ");
    const svg = drawing(box, width, rows.length * step + 4, label);
    const group = svg
      .selectAll("g")
      .data(rows)
      .join("g")
      .attr("class", pick ? "row pick" : "row")
      .attr("transform", (_, place) => `translate(0,${place * step})`);
    if (pick) group.on("click", (event) => pick(group.nodes().indexOf(event.currentTarget)));
    const middle = above ? 28 : step / 2;
    group
      .append("text")
      .attr("class", "name")
      .attr("x", above ? 0 : left - 8)
      .attr("y", above ? 13 : middle)
      .attr("text-anchor", above ? "start" : "end")
      .attr("dominant-baseline", above ? null : "central")
      .text((_, place) => fit(names[place] || "–", above ? width : left - 8));
    group.each(function (row, place) {
      const x = scales[place];
      let start = 0;
      row.forEach((value, part) => {
        if (!(value > 0)) return;
        const piece = d3
          .select(this)
          .append("rect")
          .attr("class", `fill-${kind.colours}-${kind.keys[part]}`)
          .attr("x", x(start))
          .attr("width", x(start + value) - x(start))
          .attr("y", middle - 8)
          .attr("height", 16);
        const share = format.share(value / sums[place]);
        piece
          .on("pointerenter", (event) =>
            tip.show(event.currentTarget, names[place] || "–", [
              kind.labels[part],
              `${write(value)}, ${share}`,
            ]),
          )
          .on("pointerleave", tip.hide);
        start += value;
      });
    });
    group
      .append("text")
      .attr("class", "number")
      .attr("x", (_, place) => scales[place](sums[place]) + 6)
      .attr("y", middle)
      .attr("dominant-baseline", "central")
      .text((_, place) => write(sums[place]));
  });
}
