"use strict";
// Fills the page from the API every two seconds. Whatever a device sent goes in as text, never as
// markup.

const EVERY_MS = 2000;
const SAMPLES = 60;
const SEVERITIES = ["critical", "warning", "info", null];

const byId = (id) => document.getElementById(id);
const number = (value) => (value ?? 0).toLocaleString("en");
const path = (...parts) => parts.map(encodeURIComponent).join("/");
const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

async function ask(question) {
  const response = await fetch("/api/v1/" + question, { signal: AbortSignal.timeout(8000) });
  if (!response.ok) throw new Error((await response.json()).detail);
  return response.json();
}

// An element with a class, a tooltip and children; a text stays a text.
function make(tag, { kind, title } = {}, ...children) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (title) element.title = title;
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

function link(text, href, title) {
  const anchor = make("a", { title }, text);
  anchor.href = href;
  return anchor;
}

function shape(name, attributes, ...children) {
  const element = document.createElementNS(byId("bar").namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const cell = (kind, ...children) => make("td", { kind }, ...children);
const count = (value) => cell("number", number(value));

function fill(id, rows, empty) {
  const lines = rows.map((cells) => make("tr", {}, ...cells));
  if (lines.length === 0) {
    const only = cell("", empty);
    only.colSpan = 9;
    lines.push(make("tr", {}, only));
  }
  byId(id).replaceChildren(...lines);
}

// Time of the service when it was asked last: the browser's clock may be another.
let now = Date.now();

function age(time) {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  const [value, unit] = seconds < 100 ? [seconds, "s"]
    : seconds < 6000 ? [seconds / 60, "min"]
    : seconds < 180000 ? [seconds / 3600, "h"] : [seconds / 86400, "d"];
  return `${Math.floor(value)} ${unit}`;
}

const ago = (time, kind) => make("span", { kind, title: time }, age(time) + " ago");

let previous = null;
const rates = [];

// Records a second since the last look.
function rate(status) {
  const { read } = status.records;
  const before = previous ?? { at: now, read };
  if (now - before.at < 500) {
    previous = before;
    return rates.at(-1) ?? null;
  }
  previous = { at: now, read };
  rates.push(Math.max(0, read - before.read) / ((now - before.at) / 1000));
  if (rates.length > SAMPLES) rates.shift();
  return rates.at(-1);
}

function curve() {
  const top = Math.max(1, ...rates);
  const left = SAMPLES - rates.length;
  const points = rates.map((rate, index) => `${left + index},${20 - 18 * rate / top}`).join(" ");
  const frame = { viewBox: `0 0 ${SAMPLES - 1} 20`, preserveAspectRatio: "none" };
  return shape("svg", frame, shape("polyline", { points }));
}

function showFigures(status) {
  const perSecond = rate(status);
  const lags = status.partitions.map((partition) => partition.lag);
  const isKnown = lags.some((lag) => lag !== null);
  const critical = status.alerts.filter((alert) => alert.severity === "critical");
  const fresh = status.freshness_seconds;
  const figures = [
    ["records a second", perSecond === null ? "–" : number(Math.round(perSecond)), "taken in by the ledger"],
    ["behind Kafka", isKnown ? number(sum(lags)) : "–", "records that wait"],
    ["from event to state", fresh === null ? "–" : fresh.toFixed(1) + " s", "age of the newest event"],
    ["blocks", number(status.height), status.block_time ? "newest " + age(status.block_time) + " ago" : "none yet"],
    ["entries", number(status.tree_size), "each one provable"],
    ["assets with alerts", number(status.assets_with_alerts), number(sum(critical.map((alert) => alert.assets))) + " critical"],
  ];
  byId("figures").replaceChildren(...figures.map(([name, value, more]) => make("div", {},
    make("dt", {}, name), make("dd", {}, value, make("small", {}, more)))));
  byId("figures").firstChild.append(curve());
}

function showEnds(records) {
  const ends = [
    ["valid", records.valid, "valid transactions"],
    ["invalid", records.invalid, "invalid by contract"],
    ["filtered", records.filtered, "filtered: no mapping asks for them"],
    ["dead", records.dead_lettered, "dead letters: not usable, kept for repair"],
  ];
  let at = 0;
  const whole = Math.max(1, sum(ends.map(([, value]) => value)));
  const parts = ends.map(([kind, value]) => {
    const part = shape("rect", { class: kind, x: at, y: 0, width: value, height: 1 });
    at += value;
    return part;
  });
  byId("bar").setAttribute("viewBox", `0 0 ${whole} 1`);
  byId("bar").replaceChildren(...parts);
  byId("ends").replaceChildren(
    make("li", {}, number(records.read) + " records read:"),
    ...ends.map(([kind, value, text]) => make("li", { kind }, number(value) + " " + text)));
  const causes = Object.entries(records.dead_letters).sort(([, a], [, b]) => b - a);
  byId("causes").replaceChildren(...causes.map(([cause, value]) =>
    make("li", {}, make("span", { kind: "badge dead" }, cause), number(value))));
}

function showStatus(status) {
  if (status.block_time) {
    now = Date.parse(status.block_time) + status.block_age_seconds * 1000;
  }
  byId("ledger").textContent = status.ledger;
  const ready = byId("ready");
  ready.textContent = status.ready ? "● healthy, taking in records"
    : "▲ not ready: " + status.obstacles.join("; ");
  ready.className = status.ready ? "good" : "bad";
  showFigures(status);
  showEnds(status.records);
  const order = (alert) => SEVERITIES.indexOf(alert.severity);
  const kinds = status.alerts.filter((alert) => alert.assets > 0).sort((a, b) => order(a) - order(b) || b.assets - a.assets);
  byId("kinds").replaceChildren(...kinds.map((alert) => make("li", {},
    make("span", { kind: "badge " + alert.severity, title: alert.contract }, alert.alert),
    number(alert.assets))));
  const assigned = status.partitions.filter((partition) => partition.assigned).length;
  const topics = new Set(status.partitions.map((p) => p.partition.replace(/\/\d+$/, "")));
  byId("source").textContent =
    `${assigned} of ${status.partitions.length} partitions read here, topics ${[...topics].join(", ")}`;
  fill("partitions", status.partitions.map((p) => [
    cell("", p.partition), count(p.durable), cell("number", p.end === null ? "–" : number(p.end)),
    cell("number", p.lag === null ? "–" : number(p.lag)),
  ]), "no partition yet");
}

const asset = (contract, key) => cell("asset",
  link(key, "/api/v1/state/" + path(contract, key)), make("small", {}, contract));

function showAlerts(page) {
  const alerts = page.items.flatMap((item) => item.active_alerts.map((alert) => ({ ...alert, item })));
  const order = (alert) => SEVERITIES.indexOf(alert.severity);
  alerts.sort((a, b) => order(a) - order(b) || b.since.localeCompare(a.since));
  fill("alerts", alerts.slice(0, 10).map((alert) => [
    asset(alert.item.contract, alert.item.key),
    cell("", make("span", { kind: "badge " + alert.severity }, alert.alert), alert.severity ?? "",
      make("small", {}, alert.description)),
    cell("short", ago(alert.since)),
  ]), "none");
}

// Some plain members of a state, such as `temperature 4.3`; numbers first, they change.
function members(state, key) {
  const plain = Object.entries(state ?? {}).filter(([name, value]) =>
    value !== key && typeof value !== "object" && !/(At|time)$/i.test(name));
  const isText = ([, value]) => (typeof value === "number" ? 0 : 1);
  plain.sort((a, b) => isText(a) - isText(b));
  return plain.slice(0, 5).map(([name, value]) => `${name} ${value}`).join(" · ");
}

function showRecent(page) {
  fill("recent", page.items.map((change) => {
    const transaction = "/api/v1/transactions/" + path(...change.id.split("/"));
    const written = change.write.asset;
    const state = written === null ? "deleted" : members(written.state, change.write.key);
    return [
      asset(change.contract, change.write.key),
      cell("", state, make("small", {}, "from record ", link(change.id, transaction), ", ", ago(change.time))),
      cell("short", link("proof", transaction + "/proof", "inclusion proof with the signed checkpoint")),
    ];
  }), "none yet");
}

function showBlocks(page) {
  fill("blocks", page.items.map((block) => [
    cell("", link(number(block.number), "/api/v1/blocks/" + block.number)),
    cell("short", ago(block.time)), count(block.valid), count(block.invalid), count(block.filtered),
    count(block.dead_letters), cell("wide", make("code", { title: block.hash }, block.hash.slice(0, 16) + "…")),
  ]), "none yet");
}

function showLetters(page) {
  fill("letters", page.items.map((letter) => [
    cell("asset", link(letter.id, "/api/v1/deadletters/" + path(...letter.id.split("/"))),
      make("small", {}, ago(letter.time))),
    cell("short", make("span", { kind: "badge dead" }, letter.cause)),
    cell("wide", letter.message, make("small", {}, letter.place)),
  ]), "none");
}

async function refresh() {
  const parts = [
    ["status", showStatus], ["alerts?limit=100", showAlerts], ["recent?limit=8", showRecent],
    ["blocks?limit=8", showBlocks], ["deadletters?limit=6", showLetters],
  ];
  for (const [question, show] of parts) {
    try {
      show(await ask(question));
    } catch (error) {
      byId("ready").textContent = "▲ no answer: " + error.message;
      byId("ready").className = "bad";
    }
  }
  setTimeout(refresh, EVERY_MS);
}

refresh();
