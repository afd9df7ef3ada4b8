"use strict";
// Keeps a page that changes with the ledger up to date: whenever the stream tells of something new, the
// page is asked for again and the parts that say so are replaced. Where the reader's focus, pointer or an
// open detail is, nothing moves.

const stream = new EventSource(new URL("api/v1/stream?events=status", document.currentScript.src));
const HAND_RESTS_MS = 3000;
const SILENCE_MS = 8000;
let heard = performance.now();
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
  if (asking || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (next !== null && !isInUse(part) && !next.isEqualNode(part)) {
        part.replaceChildren(...document.adoptNode(next).childNodes);
        part.className = next.className;
      }
    }
  } catch {
    // The stream says when there is no connection.
  } finally {
    asking = false;
  }
}

function connected(isConnected) {
  const mark = document.getElementById("live");
  if (mark !== null) mark.hidden = isConnected;
}

stream.addEventListener("status", () => { heard = performance.now(); renew(); });
// The stream also ends when its time is over, and comes back by itself; only a longer silence is told.
setInterval(() => connected(performance.now() - heard < SILENCE_MS), 1000);
document.addEventListener("visibilitychange", renew);
