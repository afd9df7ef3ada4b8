"use strict";
// Fills the page from the API every two seconds. Whatever a device sent goes in as text, never as
// markup.

const byId = (id) => document.getElementById(id);
const number = (value) => (value ?? 0).toLocaleString("en");

async function ask(path) {
  const response = await fetch("/api/v1/" + path, { signal: AbortSignal.timeout(8000) });
  if (!response.ok) throw new Error((await response.json()).detail);
  return response.json();
}

function link(text, href) {
  const anchor = document.createElement("a");
  anchor.href = href;
  anchor.textContent = text;
  return anchor;
}

function fill(id, rows) {
  const lines = rows.map((cells) => {
    const line = document.createElement("tr");
    for (const cell of cells) line.insertCell().append(cell instanceof Node ? cell : String(cell ?? "–"));
    return line;
  });
  if (lines.length === 0) {
    const cell = document.createElement("tr").insertCell();
    cell.colSpan = 9;
    cell.textContent = "none";
    lines.push(cell.parentNode);
  }
  byId(id).replaceChildren(...lines);
}

let previous = null;

// Records a second since the last look.
function rate(status) {
  const now = { at: performance.now(), read: status.records.read };
  const rate = previous && (now.read - previous.read) / ((now.at - previous.at) / 1000);
  previous = now;
  return rate === null ? "–" : number(Math.round(rate));
}

function showStatus(status) {
  byId("ledger").textContent = status.ledger;
  const ready = byId("ready");
  ready.textContent = status.ready ? "taking in records" : "not ready: " + status.obstacles.join("; ");
  ready.className = status.ready ? "good" : "bad";
  const age = status.freshness_seconds;
  const items = {
    "records read": number(status.records.read),
    "records a second": rate(status),
    "valid transactions": number(status.records.valid),
    "invalid transactions": number(status.records.invalid),
    "filtered records": number(status.records.filtered),
    "dead letters": number(status.records.dead_lettered),
    "blocks": number(status.height),
    "entries in the tree": number(status.tree_size),
    "freshness": age === null ? "–" : age.toFixed(1) + " s",
    "newest block": status.block_time ?? "–",
  };
  byId("status").replaceChildren(...Object.entries(items).map(([name, value]) => {
    const item = document.createElement("div");
    item.append(document.createElement("dt"), document.createElement("dd"));
    item.firstChild.textContent = name;
    item.lastChild.textContent = value;
    return item;
  }));
  fill("partitions", status.partitions.map((p) => [p.partition, p.durable, p.end, p.lag]));
}

const path = (...parts) => parts.map(encodeURIComponent).join("/");
const asset = (contract, key) => link(key, "/api/v1/state/" + path(contract, key));

function showRecent(change) {
  const transaction = "/api/v1/transactions/" + path(...change.id.split("/"));
  return [
    change.contract, asset(change.contract, change.write.key), change.function, change.time,
    link(change.id, transaction), link("proof", transaction + "/proof"),
  ];
}

async function refresh() {
  const parts = [
    ["status", showStatus],
    ["alerts?limit=20", (page) => fill("alerts",
      page.items.map((a) => [a.contract, asset(a.contract, a.key), a.alerts.active.join(", ")]))],
    ["recent?limit=12", (page) => fill("recent", page.items.map(showRecent))],
    ["blocks?limit=8", (page) => fill("blocks", page.items.map((b) => [
      link(b.number, "/api/v1/blocks/" + b.number), b.time, b.valid, b.invalid, b.filtered,
      b.dead_letters, b.hash.slice(0, 16)]))],
    ["deadletters?limit=8", (page) => fill("letters", page.items.map((l) => [
      link(l.id, "/api/v1/deadletters/" + path(...l.id.split("/"))), l.cause, l.place, l.message]))],
  ];
  for (const [question, show] of parts) {
    try {
      show(await ask(question));
    } catch (error) {
      byId("ready").textContent = "no answer: " + error.message;
      byId("ready").className = "bad";
    }
  }
  setTimeout(refresh, 2000);
}

refresh();
