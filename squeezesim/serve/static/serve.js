// The page of squeezesim serve: what is asked, what is shown, the baseline, the points that were visited.

const SLOW = 300; // milliseconds after which a question that is not answered yet does not hold back the next one
const NOTICED = 150; // milliseconds after which the page says that it works
const MOST_POINTS = 500;
const TILES = ["latency_us", "utilization", "energy", "dram_bytes", "macs", "params"];
const BETTER = { latency_us: -1, utilization: 1, energy: -1, dram_bytes: -1, macs: 0, params: 0 };

document.documentElement.dataset.scripted = "true"; // shows what needs scripts
const byId = (id) => document.getElementById(id);
const chartOf = (name) => document.querySelector(`[data-chart=${name}]`);

/** The token of the address, kept for this tab alone, and taken out of what the address bar shows. */
function takeToken() {
  const found = /(?:^#|&)token=([\w-]+)/.exec(location.hash);
  if (found) {
    sessionStorage.setItem("token", found[1]);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("token") ?? "";
}

const token = takeToken();
const tab = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("");
const colours = { now: new CSSStyleSheet(), pinned: new CSSStyleSheet() };
document.adoptedStyleSheets = [colours.pinned, colours.now];

let asked = { network: "", options: {}, accelerator: "", changes: {} };
let controls = null;
let options = new Set(); // paths of controls that are of the network
let shown = null; // {asked, answer} of what the page shows
let pinned = null;
let points = [];

/** What the server answers; an Error with `kind` where it does not. */
async function ask(what, about = null) {
  let response;
  try {
    response = await fetch(`/${what}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ tab, asked: about }),
      ...{ cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" },
    });
  } catch {
    throw Object.assign(new Error("the server does not answer"), { kind: "gone" });
  }
  const found = await response.json();
  if (response.ok && !found.kind) return found;
  throw Object.assign(new Error(found.says), { kind: response.status === 403 ? "refused" : found.kind });
}

const copyOf = (one) => JSON.parse(JSON.stringify(one));
const keyOf = (one) => JSON.stringify([one.network, entries(one.options), one.accelerator, entries(one.changes)]);
const entries = (values) => Object.entries(values).sort(([one], [other]) => d3.ascending(one, other));

// --- Following: one question is answered at a time; while it is, only the last one after it waits.

const moves = { count: 0, shown: 0, running: [], waits: false };

function follow() {
  moves.waits = true;
  advance();
}

function advance() {
  if (!moves.waits) return;
  const now = performance.now();
  if (moves.running.length && now - moves.running.at(-1).began < SLOW) {
    setTimeout(advance, SLOW); // or when the answer comes
    return;
  }
  moves.waits = false;
  move({ number: (moves.count += 1), began: now, asked: copyOf(asked) });
}

async function move(one) {
  moves.running.push(one);
  setTimeout(works, NOTICED);
  try {
    const answer = await ask("result", one.asked);
    if (one.number > moves.shown) {
      moves.shown = one.number;
      mistake("");
      show(one.asked, answer);
      document.documentElement.dataset.shown = String(one.number);
    }
  } catch (error) {
    if (!error.kind) throw error;
    if (one.number === moves.count && error.kind !== "superseded") failed(error);
  } finally {
    moves.running = moves.running.filter((other) => other !== one);
    works();
    advance();
  }
}

function failed(error) {
  if (error.kind === "gone" || error.kind === "refused") gone(error);
  else if (error.kind === "cancelled") mistake("cancelled: what is shown is from before");
  else mistake(error.message);
}

/** Say that it works, and for how long. */
function works() {
  const first = moves.running[0];
  const spent = first ? performance.now() - first.began : 0;
  const noticed = spent >= NOTICED * 0.9;
  byId("works").textContent = noticed ? `working, ${(spent / 1000).toFixed(1)} s` : "";
  byId("cancel").hidden = !noticed;
  if (noticed) setTimeout(works, 100);
}

function mistake(text) {
  const box = document.querySelector(".mistake");
  box.textContent = text;
  box.hidden = !text;
  controls?.mark(text);
}

function gone(error) {
  const box = document.querySelector(".gone");
  const again = node("button", { type: "button", class: "plain" }, "Try again");
  again.addEventListener("click", () => {
    box.hidden = true;
    if (controls) follow();
    else begin();
  });
  const says =
    error.kind === "gone"
      ? "The server does not answer. Where it was ended, start squeezesim serve again and open the address that it prints."
      : `${error.message}.`;
  box.replaceChildren(says, " ", again);
  box.hidden = false;
}

// --- Showing.

function show(about, answer) {
  const energy = answer.result.absolute ? "energy_uj" : "energy_mac_equiv";
  answer.numbers.energy = answer.numbers[energy];
  shown = { asked: about, answer };
  colours.now.replaceSync(answer.colours);
  if (!pinned || pinned.asked.network !== about.network) pin(); // another network is no change of this one
  byId("network-name").textContent = answer.network;
  byId("accelerator-name").textContent = about.accelerator;
  byId("is-changed").hidden = !Object.keys(about.changes).length;
  byId("notes").textContent = answer.notes.join(" · ");
  byId("command").textContent = answer.command;
  byId("yaml").textContent = answer.yaml;
  const { result, legends } = answer;
  const state = resultState(result.layers.name.length);
  tip.hide();
  barChart(chartOf("bars"), legends, result, state, () => {});
  rooflineChart(chartOf("roofline"), result, state);
  chartOf("memory").hidden = !result.memory;
  byId("none-stays").hidden = Boolean(result.memory);
  if (result.memory) memoryChart(chartOf("memory"), result, state);
  visit();
  beside();
  scatter();
}

const unitOf = (answer) => (answer.result.absolute ? "µJ" : "MAC-equivalents");

/** What is beside the baseline: the tiles, and the whole network as bars. */
function beside() {
  const [now, before] = [shown.answer, pinned.answer];
  const sameUnit = unitOf(now) === unitOf(before);
  const tiles = now.tiles.map((tile, place) => {
    const name = TILES[place];
    const change = node("span", { class: "change" });
    const value = node("span", { class: "value" }, tile.value, " ", node("small", {}, tile.unit));
    const detail = node("dd", { "data-number": name }, value, change, node("span", { class: "note" }, tile.detail));
    const same = name === "energy" && !sameUnit;
    markChange(detail, change, now.numbers[name], before.numbers[name], { same, better: BETTER[name] });
    const old = `${before.tiles[place].value} ${before.tiles[place].unit}`.trim();
    if (same) change.textContent = "pinned in another unit";
    else if (now.numbers[name] === before.numbers[name]) change.textContent = "as pinned";
    else change.append(` from ${old}`);
    return node("div", {}, node("dt", {}, tile.label), detail);
  });
  document.querySelector(".shown > .tiles").replaceChildren(...tiles);
  byId("pinned").replaceChildren("Pinned: ", node("bdi", {}, before.command));
  const writers = { causes: format.count, levels: format.energy(now.result.absolute), operands: format.size };
  for (const [kind, write] of Object.entries(writers)) {
    const { keys, labels, colours: prefix } = now.legends[kind];
    const old = before.legends[kind];
    const further = old.keys.filter((key) => !keys.includes(key));
    const legend = {
      colours: prefix,
      keys: [...keys, ...further],
      labels: [...labels, ...further.map((key) => old.labels[old.keys.indexOf(key)])],
    };
    const row = ({ result, legends }) =>
      legend.keys.map((key) => result.whole[kind][0][legends[kind].keys.indexOf(key)] ?? 0);
    const both = kind !== "levels" || sameUnit;
    const rows = both ? [row(now), row(before)] : [row(now)];
    rowChart(chartOf(kind), legend, { names: ["now", "pinned"].slice(0, rows.length), rows, write });
  }
}

function pin() {
  pinned = shown;
  colours.pinned.replaceSync(shown.answer.colours);
}

function visit() {
  const key = keyOf(shown.asked);
  const changed = [...entries(shown.asked.options), ...entries(shown.asked.changes)];
  const point = {
    key,
    asked: shown.asked,
    network: shown.answer.network.replace(/@.*/s, ""),
    name: `${shown.answer.network} on ${shown.asked.accelerator}`,
    lines: changed.map(([path, value]) => `${path} = ${value}`),
    numbers: shown.answer.numbers,
    unit: unitOf(shown.answer),
  };
  points = [...points.filter((other) => other.key !== key), point].slice(-MOST_POINTS);
}

function scatter() {
  const last = points.at(-1);
  const axes = [byId("across").value, byId("up").value];
  const alike = points.filter(
    (point) => point.network === last.network && (point.unit === last.unit || !axes.includes("energy")),
  );
  for (const point of alike) {
    point.now = point === last;
    point.pinned = point.key === keyOf(pinned.asked);
  }
  pointsChart(chartOf("points"), alike, axes, last.unit, async (point) => {
    const same = point.asked.network === asked.network && point.asked.accelerator === asked.accelerator;
    asked = copyOf(point.asked);
    if (!same) await describe();
    controls.set({ ...asked.options, ...asked.changes });
    follow();
  });
}

// --- Choosing.

function changed(path, value) {
  const values = options.has(path) ? asked.options : asked.changes;
  if (value === controls.own.get(path)) delete values[path];
  else values[path] = value;
  controls.set({ ...asked.options, ...asked.changes });
  follow();
}

/** Make the controls of the network and the accelerator that are chosen. */
async function describe() {
  byId("network").value = asked.network;
  byId("accelerator").value = asked.accelerator;
  const found = await ask("describe", asked);
  options = new Set(found.controls.filter((one) => one.group === "Network").map((one) => one.path));
  controls = makeControls(byId("controls"), found.controls, changed);
  controls.set({ ...asked.options, ...asked.changes });
}

function choices(select, all) {
  const groups = d3.group(all, (one) => one.group);
  const made = [...groups].map(([label, members]) =>
    node("optgroup", { label }, ...members.map((one) => node("option", { value: one.name }, one.name))),
  );
  select.replaceChildren(...made);
}

/** Begin with another network or accelerator, of which what was changed may not be there. */
async function choose(change) {
  asked = { ...asked, ...change };
  try {
    await describe();
  } catch (error) {
    if (!error.kind) throw error;
    failed(error);
    return;
  }
  follow();
}

async function begin() {
  try {
    const found = await ask("opening");
    choices(byId("network"), found.networks);
    choices(byId("accelerator"), found.accelerators);
    await choose(found.start);
  } catch (error) {
    if (!error.kind) throw error;
    gone(error);
  }
}

theme();
for (const [id, start] of [
  ["across", "latency_us"],
  ["up", "energy"],
]) {
  const made = Object.keys(MEASURES).map((name) => node("option", { value: name }, MEASURES[name].label));
  byId(id).replaceChildren(...made);
  byId(id).value = start;
  byId(id).addEventListener("change", scatter);
}
byId("network").addEventListener("change", (event) => choose({ network: event.target.value, options: {} }));
byId("accelerator").addEventListener("change", (event) => choose({ accelerator: event.target.value, changes: {} }));
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("cancel").addEventListener("click", () => ask("cancel").catch(failed));
byId("back").addEventListener("click", () => choose({ options: {}, changes: {} }));
byId("pin").addEventListener("click", () => {
  pin();
  beside();
  scatter();
});
exports(document.querySelector(".shown"), "squeezesim");
begin();
