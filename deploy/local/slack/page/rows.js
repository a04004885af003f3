// Rows that follow the server: the same message keeps its element, an edited one is exchanged in place.
// Knows nothing of channels or clicks. The HTML comes from this server, which escaped whatever others wrote.

export function element(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content.firstElementChild;
}

export function make(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat([], { weekday: "short", day: "numeric", month: "short" });

export function localTimes(root) {
  for (const shown of root.querySelectorAll("time[data-ts]")) {
    const at = new Date(Number(shown.dataset.ts) * 1000);
    if (Number.isNaN(at.getTime())) continue;
    const isToday = at.toDateString() === new Date().toDateString();
    shown.textContent = isToday ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`;
    shown.title = full.format(at);
    shown.dateTime = at.toISOString();
  }
}

// What a person opened stays open when the message changes.
function carryOver(before, after) {
  const opened = before.querySelectorAll("details");
  after.querySelectorAll("details").forEach((one, at) => { if (opened[at]) one.open = opened[at].open; });
  for (const text of after.querySelectorAll("pre[data-src]")) {
    const loaded = before.querySelector(`pre[data-src="${CSS.escape(text.dataset.src)}"]`);
    if (loaded) text.replaceWith(loaded);
  }
  if (before.contains(document.activeElement)) {
    const action = document.activeElement.dataset.action;
    (action ? after.querySelector(`[data-action="${CSS.escape(action)}"]`) : after)?.focus();
  }
}

export function follow(box, rows, dress) {
  const wasAtEnd = box.children.length > 0 && box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  let firstFresh = null;
  const held = new Map([...box.children].map((one) => [one.dataset.ts, one]));
  const wanted = new Set(rows.map((row) => row.ts));
  for (const [ts, one] of held) if (!wanted.has(ts)) one.remove();
  rows.forEach((row, at) => {
    let one = held.get(row.ts);
    if (!one || one.source !== row.html) {
      const fresh = element(row.html);
      fresh.source = row.html;
      localTimes(fresh);
      dress?.(fresh);
      if (one) { carryOver(one, fresh); one.replaceWith(fresh); }
      firstFresh ??= fresh;
      one = fresh;
    }
    if (box.children[at] !== one) box.insertBefore(one, box.children[at] ?? null);
  });
  if (wasAtEnd && firstFresh) {
    showFrom(box, firstFresh);
    for (const picture of box.querySelectorAll("img")) picture.addEventListener("load", () => showFrom(box, firstFresh), { once: true });
  }
}

// A box that becomes narrower, as when a thread opens beside it, still shows its end to whoever was there.
export function keepPlace(box) {
  let isAtEnd = true;
  box.addEventListener("scroll", () => { isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60; });
  new ResizeObserver(() => { if (isAtEnd && box.lastElementChild) showFrom(box, box.lastElementChild); }).observe(box);
}

// Follow what is new, but never past its beginning: a long card is read from its top.
function showFrom(box, row) {
  box.scrollTop = Math.min(box.scrollHeight, row.offsetTop - box.offsetTop - 8);
}
