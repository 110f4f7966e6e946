// The network as cards, one or several for each stage: rows of layers, coloured by cost, with the edges beside them.

const CARD = { row: 22, top: 14, lane: 13, left: 12, widestLanes: 0.4, number: 48 };

function graphChart(figure, result, state, pickStage) {
  const of = result.layers;
  const lost = of.name.map((_, layer) => d3.sum(result.parts.causes[layer].slice(1)));
  const costs = {
    cycles: of.cycles,
    energy: result.absolute ? of.energy_uj : of.energy_mac_equiv,
    dram_bytes: of.dram_bytes,
    lost,
  };
  const colour = () => {
    const values = costs[figure.querySelector("input:checked").value];
    const most = d3.max(values) || 1;
    const sum = d3.sum(values) || 1;
    d3.select(figure)
      .selectAll("g.layer")
      .each(function (d) {
        // The root shows differences among the many small layers too.
        this.style.setProperty("--heat", `${(100 * Math.sqrt(values[d.layer] / most)).toFixed(1)}%`);
        d3.select(this)
          .select(".number")
          .text(values[d.layer] ? format.share(values[d.layer] / sum) : "");
      });
    const scale = figure.querySelector(".scale");
    scale.replaceChildren("0", node("i", { class: "gradient" }), `${format.share(most / sum)}, root scale`);
  };
  return plot(figure, (box) => {
    result.cards.forEach((card, place) => {
      const again = place > 0 && result.cards[place - 1].stage === card.stage;
      const heading = node(
        "button",
        { type: "button", class: "link" },
        node("bdi", {}, card.stage || "network"),
      );
      heading.addEventListener("click", () => pickStage(card.stage));
      const slot = node("div", {});
      const shared = node("span", { class: "aside" });
      const title = node("p", {}, heading, again ? " (continued) " : " ", shared);
      box.append(node("div", { class: "card" }, title, slot));
      if (drawCard(slot, card, place, result, state)) shared.append(node("bdi", {}, `${card.prefix}…`));
    });
    colour();
  });
}

/** Names that fit the width: in full, without what all of them begin with, or shorter and shorter. */
function namesOf(card, all, width) {
  const full = d3.range(card.rows).map((row) => all[card.first + row]);
  const attempts = [full, full.map((name) => name.slice(card.prefix.length)), ...card.short];
  const fits = (names) => names.every((name) => measure(name) <= width);
  const found = attempts.findIndex(fits);
  const names = attempts.at(found);
  return { names: found < 0 ? names.map((name) => fit(name, width)) : names, whole: found === 0 };
}

/** Draw the layers of a card; returns whether their names are without what all of them begin with. */
function drawCard(slot, card, place, result, state) {
  const width = printing ? PAPER.card : Math.floor(slot.clientWidth);
  const height = CARD.top + (card.rows + 0.4) * CARD.row;
  const lane = card.lanes > 1 ? Math.min(CARD.lane, (CARD.widestLanes * width) / (card.lanes - 1)) : CARD.lane;
  const x = (number) => CARD.left + number * lane;
  const y = (row) => (row < 0 ? 0 : row >= card.rows ? height : CARD.top + (row + 0.3) * CARD.row);
  const svg = drawing(slot, width, height, "");
  svg
    .append("g")
    .attr("aria-hidden", true)
    .selectAll("path")
    .data(card.edges)
    .join("path")
    .attr("class", "edge")
    .attr("d", ([row, from, toRow, to]) => {
      const bend = Math.max(y(toRow) - CARD.row, y(row));
      const half = (bend + y(toRow)) / 2;
      return `M${x(from)},${y(row)}V${bend}C${x(from)},${half} ${x(to)},${half} ${x(to)},${y(toRow)}`;
    });
  const start = x(card.lanes - 1) + 14;
  const { names, whole } = namesOf(card, result.layers.name, width - start - CARD.number);
  const marks = svg
    .append("g")
    .attr("role", "none")
    .selectAll("g")
    .data(d3.range(card.rows).map((row) => ({ layer: card.first + row, row })))
    .join("g")
    .attr("class", "mark layer")
    .attr("transform", (d) => `translate(0,${y(d.row)})`);
  marks
    .append("rect")
    .attr("class", "reach")
    .attr("width", width)
    .attr("y", -CARD.row / 2)
    .attr("height", CARD.row);
  marks
    .append("circle")
    .attr("class", "heat")
    .attr("cx", (d) => x(result.lanes[d.layer]))
    .attr("r", 6);
  marks
    .append("text")
    .attr("class", "name")
    .attr("aria-hidden", true)
    .attr("x", start)
    .attr("dominant-baseline", "central")
    .text((d) => names[d.row]);
  marks
    .append("text")
    .attr("class", "number")
    .attr("aria-hidden", true)
    .attr("x", width - 2)
    .attr("text-anchor", "end")
    .attr("dominant-baseline", "central");
  listed(svg, marks, result, state, {
    label: `Layers of ${card.stage || "the network"}`,
    from: `card-${place}`,
  });
  return !whole && card.prefix !== "" && card.prefix !== `${card.stage}.`;
}
