// Everything that goes between Slack and the bot, as the server recorded it. Knows nothing of messages.

import { make } from "./rows.js";

const panel = document.getElementById("xray");
const list = panel.querySelector("ol");
const filter = panel.querySelector("input");
const toggle = document.getElementById("xray-toggle");
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
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
    after = answer.last;
    [...answer.calls, ...answer.envelopes].sort((a, b) => a.number - b.number).forEach(show);
  } while (again);
  isAsking = false;
}

// An entry that is known already has only changed: an acknowledgement came, or an answer.
function show(call) {
  const held = list.querySelector(`[data-number="${call.number}"]`);
  const shown = row(call);
  shown.dataset.number = call.number;
  if (held) {
    shown.querySelector("details").open = held.querySelector("details").open;
    held.replaceWith(shown);
  } else list.prepend(shown);
  while (list.children.length > ROWS_AT_MOST) list.lastElementChild.remove();
  sift(shown);
}

function row(entry) {
  const says = entry.kind === "call" ? call(entry) : envelope(entry);
  const took = entry.kind === "call" ? entry.seconds : entry.ack_seconds;
  const summary = make("summary", {},
    make("span", { className: "when" }, clock.format(new Date(entry.at * 1000))),
    make("span", { className: `way ${entry.kind}` }, says.way), make("span", { className: "name" }, says.name),
    make("span", { className: `took ${says.isBad ? "failed" : ""}` }, says.outcome),
    make("span", { className: "took" }, took == null ? "…" : `${Math.round(took * 1000)} ms`));
  const details = make("details", {}, summary);
  details.addEventListener("toggle", () => {
    details.querySelector("pre")?.remove();
    if (details.open) details.append(make("pre", { tabIndex: 0 }, JSON.stringify(says.wire, null, 2)));
  });
  return make("li", {}, details);
}

function call(entry) {
  const error = entry.response?.error;
  const about = entry.arguments.text ?? entry.arguments.channel ?? "";
  return {
    way: "bot → Slack", name: `${entry.method}  ${String(about).slice(0, 120)}`, isBad: Boolean(error) || entry.status >= 400,
    outcome: error ?? (entry.status == null ? "waiting" : entry.status === 200 ? "ok" : String(entry.status)),
    wire: { arguments: entry.arguments, status: entry.status, response: entry.response, injected_fault: entry.injected },
  };
}

function envelope(entry) {
  const payload = entry.payload ?? {};
  const what = payload.command ? `${payload.command} ${payload.text}`
    : payload.actions ? payload.actions.map((one) => one.action_id).join(" ") : payload.event?.type ?? payload.type ?? "";
  return {
    way: "Slack → bot", name: `${entry.type}  ${what}${entry.attempt ? ` (attempt ${entry.attempt + 1})` : ""}`,
    isBad: !["acked", "waiting"].includes(entry.outcome), outcome: entry.outcome,
    wire: { envelope_id: entry.envelope_id, payload: entry.payload, ack: entry.ack, reason: entry.reason },
  };
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
