"use strict";
// Keeps a page true. The stream of status events says how service and fleet are; with each event the
// parts of the page that change with the ledger are fetched again and replaced, except where the
// reader's focus, pointer or an open detail is. When the service no longer answers, the page says
// since when, and takes back what it said of the service's health.

const HERE = document.currentScript.src;
const STREAM = new URL("api/v1/stream?events=status", HERE);
const STATUS = new URL("api/v1/status", HERE);
const HAND_RESTS_MS = 3000;
const LOOK_MS = 1000;
// A status comes at least every five seconds. Without one, the service is asked directly: a proxy may
// hold events back, or all places for streams may be taken.
const QUIET_MS = 6500;
const ANSWER_MS = 5000;
// A service that is busy may refuse an answer, but not for this long.
const BUSY = 503;
const BUSY_MS = 15000;
let stream = null;
let heard = performance.now();
let heardAt = new Date();
let isAway = false;
let polling = false;
let asking = false;
let moved = -HAND_RESTS_MS;

// What is about to be clicked must not be replaced under the hand.
for (const name of ["pointermove", "pointerdown", "wheel"]) {
  document.addEventListener(name, (event) => { moved = event.timeStamp; }, { passive: true });
}

function isInUse(part) {
  if (part.matches(":hover") && performance.now() - moved < HAND_RESTS_MS) return true;
  const selection = document.getSelection();
  return part.contains(document.activeElement) || part.querySelector("details[open]") !== null ||
    (selection !== null && !selection.isCollapsed && part.contains(selection.anchorNode));
}

async function renew() {
  const parts = document.querySelectorAll("[data-live]");
  if (asking || document.hidden || parts.length === 0) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const next = fresh.getElementById(part.id);
      if (next !== null && !isAway && !isInUse(part) && !next.isEqualNode(part)) {
        part.replaceChildren(...document.adoptNode(next).childNodes);
        part.className = next.className;
      }
    }
  } catch {
    // The stream, or else the status, shows whether the service is there.
  } finally {
    asking = false;
  }
}

function fleetHealth(fleet) {
  const counts = ["critical", "warning", "info", "unknown"].filter((name) => fleet[name] > 0);
  const grouped = (name) => fleet[name].toLocaleString("en-US");
  const said = counts.map((name, at) => {
    const assets = at > 0 ? "" : fleet[name] === 1 ? " asset" : " assets";
    return `${grouped(name)}${assets} ${name}`;
  });
  return said.length > 0 ? said.join(", ") : "No active alerts";
}

function say(id, text, kind) {
  const line = document.getElementById(id);
  if (line === null) return;
  const place = line.querySelector("a, bdi") ?? line;
  if (place.textContent !== text) place.textContent = text;
  line.className = kind;
}

// Shows whether the claims of the page about the present still hold.
function hold(isKnown) {
  isAway = !isKnown;
  document.documentElement.classList.toggle("away", isAway);
  document.getElementById("fleet").hidden = isAway;
  for (const claim of document.querySelectorAll("[data-claim]")) claim.hidden = isAway;
}

function hear(status) {
  heard = performance.now();
  heardAt = new Date();
  const health = status.ready ? "Service healthy" : `Service not ready: ${status.obstacles.join("; ")}`;
  const fleet = status.fleet;
  say("service", health, status.ready ? "good" : "bad");
  say("fleet", fleetHealth(fleet), fleet.critical > 0 ? "critical" : fleet.warning > 0 ? "warning" : "");
  hold(true);
  renew();
}

function lose(reason) {
  const since = heardAt.toLocaleTimeString("en-GB");
  say("service", `${reason} since ${since}`, "unknown");
  hold(false);
}

async function poll() {
  if (polling) return;
  polling = true;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(STATUS, { cache: "no-store", signal });
    if (answer.ok) hear(await answer.json());
    else if (answer.status === 401 || answer.status === 403) lose("Not logged in");
    else if (answer.status !== BUSY || performance.now() - heard > BUSY_MS) lose("No connection");
  } catch {
    lose("No connection");
  } finally {
    polling = false;
  }
}

function follow() {
  stream?.close();
  stream = new EventSource(STREAM);
  stream.addEventListener("status", (event) => hear(JSON.parse(event.data)));
  // The stream also ends when its time is over, and comes back by itself.
  stream.addEventListener("error", poll);
}

// A browser gives up a stream that is refused, such as by a proxy while the service restarts.
setInterval(() => {
  if (document.hidden) return;
  if (stream.readyState === EventSource.CLOSED) follow();
  if (performance.now() - heard > QUIET_MS) poll();
}, LOOK_MS);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return stream?.close();
  follow();
  poll();
});

if (!document.hidden) follow();
