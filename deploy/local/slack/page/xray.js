// Everything that goes between Slack and the bot, as the server recorded it. Knows nothing of messages.

import { make } from "./rows.js";

const panel = document.getElementById("xray");
const list = panel.querySelector("ol");
const filter = panel.querySelector("input");
const toggle = document.getElementById("xray-toggle");
const ROWS_AT_MOST = 500; // arbitrary: the newest ones; a browser stays quick with these

let after = 0;
let isAsking = false;
let again = false;

export async function look() {
  if (panel.hidden) return;
  if (isAsking) { again = true; return; }
  isAsking = true;
  do {
    again = false;
    const answer = await (await fetch(`/_ctl/calls?after=${after}`)).json();
    const calls = answer.calls ?? answer;
    for (const call of calls) show(call);
    if (!calls.length) break;
  } while (again);
  isAsking = false;
}

function show(call) {
  after = Math.max(after, call.number ?? call.n ?? after + 1);
  const shown = row(call);
  const known = list.querySelector(`[data-number="${shown.dataset.number}"]`);
  if (known) known.replaceWith(shown);
  else list.prepend(shown);
  while (list.children.length > ROWS_AT_MOST) list.lastElementChild.remove();
  sift(shown);
}

export function row(call) {
  return make("li", {}, JSON.stringify(call));
}

function sift(one) {
  one.hidden = !one.textContent.toLowerCase().includes(filter.value.toLowerCase());
}

function open(isOpen) {
  panel.hidden = !isOpen;
  toggle.setAttribute("aria-pressed", isOpen);
  look();
}

toggle.addEventListener("click", () => open(panel.hidden));
panel.querySelector("[data-close]").addEventListener("click", () => open(false));
filter.addEventListener("input", () => [...list.children].forEach(sift));
