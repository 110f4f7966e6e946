// The page: its data, the tabs of several results.

document.documentElement.dataset.scripted = "true"; // shows what needs scripts
addEventListener("beforeprint", () => onPaper(true));
addEventListener("afterprint", () => onPaper(false));

const data = JSON.parse(document.getElementById("data").textContent);
const roots = [...document.querySelectorAll(".result")];
const drawn = new Set();

function open(number) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, place) => {
    tab.setAttribute("aria-selected", String(place === number));
    tab.tabIndex = place === number ? 0 : -1;
    roots[place].hidden = place !== number;
  });
  if (!drawn.has(number)) {
    drawn.add(number);
    const result = data.results[number];
    showResult(roots[number], data, result);
    exports(roots[number], `${result.network}__${result.accelerator}`, (table) => exact(table, result));
  }
}

function tabs() {
  const list = document.querySelector("[role=tablist]");
  if (!list) return;
  const all = [...list.children];
  all.forEach((tab, place) => tab.addEventListener("click", () => open(place)));
  list.addEventListener("keydown", (event) => {
    const place = all.indexOf(document.activeElement);
    const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = (to + all.length) % all.length;
    open(next);
    all[next].focus();
  });
}

for (const result of data.results) {
  result.lanes = result.cards.flatMap((card) => card.places);
}
/** The cells of a table: of that of layers the numbers themselves, of those that are shown. */
function exact(table, result) {
  if (!table.classList.contains("layers")) return cells(table);
  const keys = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.key);
  const shown = [...table.tBodies[0].rows].filter((row) => !row.hidden && row.dataset.layer !== undefined);
  const value = (key, row) => result.layers[key][Number(row.dataset.layer)] ?? "";
  return [keys, ...shown.map((row) => keys.map((key) => value(key, row)))];
}

theme();
tabs();
if (data.comparison) {
  showComparison(data, (number) => {
    open(number);
    document.getElementById("single").scrollIntoView({ block: "start" });
  });
}
open(0);
for (const part of document.querySelectorAll("#totals, #stages, #differences, #hardware, #reproduce")) {
  exports(part, document.title.replace(/ – squeezesim$/, ""));
}
document.documentElement.dataset.ready = "true";
