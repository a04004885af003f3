// The page: who you act as, where you are, and what happens there. The server decides what each person may see.

import { composer } from "./composer.js";
import { modals, presses } from "./press.js";
import { element, follow, keepPlace, localTimes, make } from "./rows.js";
import { look } from "./xray.js";

const at = (id) => document.getElementById(id);
const threadBox = at("thread");
const asked = new URLSearchParams(location.hash.slice(1));
const here = {
  user: asked.get("as") || "alice",
  place: asked.get("channel") || "incidents", // "home" is the app's tab
  thread: asked.get("thread") || "",
};
let world = { people: [], channels: [], commands: [], shortcuts: [], names: [] };
let stream = null;

// ---- talking to the server --------------------------------------------------------------------------------------------

async function ask(path, more = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams({ user: here.user, ...more })}`);
  return answer.ok ? answer.json() : null;
}

async function act(what, body) {
  try {
    const answer = await fetch(`/_ctl/${what}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ user: here.user, ...body }),
    });
    const said = await answer.json().catch(() => ({}));
    if (["dispatch_failed", "operation_timeout"].includes(said.outcome)) toast(`The bot did not take that (${said.outcome}). Is it running?`);
    if (answer.ok && said.ok !== false) return true;
    toast(said.error ?? `The local Slack answered ${answer.status}.`);
  } catch {
    toast("The local Slack does not answer. Is it still running?");
  }
  return false;
}

function toast(words) {
  at("toast").textContent = words;
  at("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { at("toast").hidden = true; }, 6000);
}

// Many changes at once are one refresh: the next begins when the one before has ended.
function coalesced(refresh) {
  let running = null;
  let isWanted = false;
  return async function again() {
    isWanted = true;
    running ??= (async () => {
      while (isWanted) {
        isWanted = false;
        await refresh().catch(() => {});
      }
      running = null;
    })();
    return running;
  };
}

// ---- what is unread ---------------------------------------------------------------------------------------------------

const readKey = (channel) => `read/${here.user}/${channel}`;
const unread = (channel) => channel.news.filter((ts) => ts > (localStorage.getItem(readKey(channel.id)) ?? "")).length;

function markRead(channel) {
  if (document.hidden || !channel.news.length) return;
  localStorage.setItem(readKey(channel.id), channel.news.at(-1));
}

// ---- drawing ----------------------------------------------------------------------------------------------------------

const refreshSidebar = coalesced(async () => {
  const [seen, known] = await Promise.all([ask("/_page/sidebar"), ask("/_ctl/state")]);
  if (!seen) return;
  world = { ...seen, commands: known?.commands ?? [], shortcuts: known?.shortcuts ?? [] };
  world.names = [{ name: known?.bot.name ?? "conntrack", real_name: "The app" }, ...world.people];
  redraw(at("channels"), world.channels.filter((one) => !one.is_direct).map(place));
  redraw(at("direct"), world.channels.filter((one) => one.is_direct).map(place));
  redraw(at("people"), world.people.map(person));
  at("open-home").setAttribute("aria-current", here.place === "home" ? "page" : "false");
});

// Only what changed: who is about to press something must not have it taken away.
function redraw(list, items) {
  items.forEach((item, number) => {
    const before = list.children[number];
    if (before?.outerHTML === item.outerHTML) return;
    const hadFocus = before?.contains(document.activeElement);
    if (before) before.replaceWith(item);
    else list.append(item);
    if (hadFocus) item.firstElementChild.focus();
  });
  while (list.children.length > items.length) list.lastElementChild.remove();
}

function place(channel) {
  const isHere = here.place === channel.key;
  const sign = channel.is_direct ? "◎" : channel.is_private ? "🔒" : "#";
  const button = make("button", { type: "button", className: "place" },
    make("span", { className: "sign" }, sign), make("span", { className: "name" }, channel.name));
  button.setAttribute("aria-current", isHere ? "page" : "false");
  const news = isHere ? 0 : unread(channel);
  if (channel.is_direct) button.append(make("small", {}, "Messages"));
  if (channel.is_shared) button.append(make("small", {}, "shared"));
  if (news) {
    button.classList.add("unread");
    button.append(make("span", { className: "count", ariaLabel: `${news} unread` }, String(news)));
  }
  button.addEventListener("click", () => go({ place: channel.key, thread: "" }));
  return make("li", {}, button);
}

function person(one) {
  const button = make("button", { type: "button", className: "place person", title: one.real_name },
    element(one.avatar), make("span", { className: "name" }, one.name), make("small", {}, one.title || one.kind));
  button.setAttribute("aria-pressed", one.name === here.user);
  button.addEventListener("click", () => go({ user: one.name, thread: "" }));
  return make("li", {}, button);
}

function dress(message, isInThread = false) {
  const menu = make("div", { className: "hover" });
  const add = (words, label, run) => {
    const button = make("button", { type: "button", title: label, ariaLabel: label }, words);
    button.addEventListener("click", run);
    menu.append(button);
  };
  const ts = message.dataset.ts;
  if (message.classList.contains("whisper")) return;
  if (!isInThread) add("💬", "Reply in thread", () => go({ thread: message.dataset.thread || ts }));
  for (const one of world.shortcuts.filter((each) => each.kind === "message")) {
    add(one.name, one.name, () => act("shortcut", { channel: here.place, ts, callback_id: one.callback_id }));
  }
  message.append(menu);
}

const refreshChannel = coalesced(async () => {
  at("home").hidden = here.place !== "home";
  at("log").hidden = at("composer").hidden = here.place === "home";
  threadBox.hidden = !here.thread || here.place === "home";
  document.body.classList.toggle("with-thread", !threadBox.hidden);
  if (here.place === "home") {
    at("title").textContent = "conntrack";
    at("topic").textContent = `Home tab, as ${here.user} sees it`;
    return;
  }
  if (world.me?.name !== here.user) return; // the sidebar of who one acts as now is on its way
  if (!world.channels.some((one) => one.key === here.place)) { leave(); return; }
  const wanted = `${here.user}/${here.place}/${here.thread}`;
  const seen = await ask("/_page/channel", { channel: here.place, thread: here.thread });
  if (!seen || wanted !== `${here.user}/${here.place}/${here.thread}`) return;
  at("title").textContent = `${seen.channel.is_direct ? "" : "# "}${seen.channel.name}`;
  at("topic").textContent = [seen.channel.topic, `${seen.channel.members} members`].filter(Boolean).join(" · ");
  at("composer").querySelector("textarea").placeholder = `Message ${seen.channel.is_direct ? "" : "#"}${seen.channel.name}, or type / for a command`;
  follow(at("log"), seen.rows, dress);
  if (!seen.rows.length) at("log").replaceChildren(empty(seen.channel));
  if (seen.thread) drawThread(seen);
  markRead(seen.channel);
});

function drawThread(seen) {
  at("thread-of").textContent = `#${seen.channel.name}`;
  follow(threadBox.querySelector("[role=log]"), seen.thread.rows, (message) => dress(message, true));
}

// A person who is not in this channel goes to one where they are.
function leave() {
  const other = world.channels[0];
  if (other) go({ place: other.key, thread: "" });
}

function empty(channel) {
  const command = world.commands[0]?.name ?? "/conntrack";
  const example = make("button", { type: "button", className: "button primary" }, `${command} node-7`);
  example.addEventListener("click", () => write.write(`${command} node-7`));
  const words = channel.has_bot
    ? ["Random timeouts, and every dashboard is green? Ask the bot about a node:"]
    : ["Nothing has been said here. The bot is not in this channel; ask it all the same:"];
  return make("div", { className: "empty" }, make("h2", {}, `This is #${channel.name}`), make("p", {}, ...words), example,
    make("p", {}, make("small", {}, "Then press Enter. On a message, 💬 opens its thread. Act as somebody else at the left; X-ray shows the wire.")));
}

const showModal = modals(act);
const refreshViews = coalesced(async () => {
  const seen = await ask("/_page/views");
  if (!seen) return;
  showModal(seen.modal);
  if (at("home").source === seen.home?.html && seen.home) return;
  at("home").source = seen.home?.html;
  at("home").dataset.view = seen.home?.id ?? "";
  at("home").innerHTML = seen.home?.html ?? "";
  if (!seen.home) at("home").append(make("p", { className: "empty" }, "The app has not published a Home tab yet."));
  localTimes(at("home"));
});

// ---- going somewhere --------------------------------------------------------------------------------------------------

async function go(to) {
  const before = to ? { ...here } : {};
  Object.assign(here, to);
  const known = new URLSearchParams({ as: here.user, channel: here.place, ...(here.thread && { thread: here.thread }) });
  history.replaceState(null, "", `#${known}`);
  document.body.classList.remove("with-menu");
  if (before.user !== here.user) listen();
  if (before.place !== here.place || before.user !== here.user) at("log").replaceChildren();
  if (before.thread !== here.thread) threadBox.querySelector("[role=log]").replaceChildren();
  if (here.place === "home" && (before.place !== "home" || before.user !== here.user)) act("home", {});
  await Promise.all([refreshSidebar(), refreshViews()]);
  await refreshChannel();
  if (before.place !== here.place || before.user !== here.user) at("log").scrollTop = at("log").scrollHeight;
}

async function send(text, thread) {
  const [command, ...rest] = text.split(/\s+/);
  if (world.commands.some((one) => one.name === command) || command === "/invite") {
    if (thread) { toast(`Slack takes no commands in threads. Ask @conntrack ${rest.join(" ")} instead.`); return false; }
    return act("command", { channel: here.place, command, text: rest.join(" ") });
  }
  if (text.startsWith("/")) { toast(`${command} is not a command here. Try ${world.commands[0]?.name ?? "/conntrack"}.`); return false; }
  return act("say", { channel: here.place, text, ...(thread && { thread_ts: thread }) });
}

const known = () => ({ commands: world.commands, people: world.names });
const write = composer(at("composer"), known, (text) => send(text, ""));
composer(threadBox.querySelector("form"), known, (text) => send(text, here.thread));

presses(act, (pressed) => {
  const view = pressed.closest("[data-view]");
  if (view) return { view_id: view.dataset.view };
  return { channel: here.place, ts: pressed.closest(".message")?.dataset.ts };
});

document.addEventListener("click", (event) => {
  const thread = event.target.closest("[data-open-thread]");
  if (thread) go({ thread: thread.dataset.openThread });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && here.thread && !document.querySelector("dialog[open]")) go({ thread: "" });
});
document.addEventListener("visibilitychange", () => refreshChannel());
at("close-thread").addEventListener("click", () => go({ thread: "" }));
at("open-home").addEventListener("click", () => go({ place: "home", thread: "" }));
document.addEventListener("click", (event) => {
  const isMenu = event.target.closest("#menu");
  if (isMenu || !event.target.closest("#sidebar")) document.body.classList.toggle("with-menu", Boolean(isMenu));
});
at("alert").addEventListener("click", () => act("alert", { node: "node-7" }));

// ---- live -------------------------------------------------------------------------------------------------------------

function listen() {
  stream?.close();
  stream = new EventSource(`/_ctl/stream?user=${encodeURIComponent(here.user)}`);
  stream.onopen = () => { at("line").hidden = true; refreshSidebar(); refreshChannel(); refreshViews(); look(); };
  stream.onerror = () => { at("line").hidden = false; };
  stream.onmessage = (event) => {
    const change = JSON.parse(event.data);
    if (change.kind === "message") { refreshChannel(); refreshSidebar(); }
    else if (change.kind === "view") refreshViews();
    else if (change.kind === "channel") refreshSidebar();
    else look();
  };
}

keepPlace(at("log"));
go();
