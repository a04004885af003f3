// What a person presses and fills in: buttons with their confirm dialogs, selects, modals, pictures.
// Knows which element stands for which action; what was done goes to the control interface through `act`.

import { localTimes } from "./rows.js";

const modal = document.getElementById("modal");
const confirmBox = document.getElementById("confirm");
const zoom = document.getElementById("zoom");

export function presses(act, where) {
  document.addEventListener("click", async (event) => {
    const at = event.target.closest("[data-action], [data-zoom], [data-close]");
    if (!at) return;
    if (at.dataset.zoom !== undefined) enlarge(at);
    else if (at.dataset.close !== undefined) at.closest("dialog")?.close();
    else if (at.tagName === "BUTTON" && at.dataset.input === undefined) await press(at, at.closest(".overflow") ? at.dataset.value : undefined, act, where);
  });
  document.addEventListener("change", async (event) => {
    const at = event.target.closest("[data-action]");
    if (at && at.tagName !== "BUTTON" && at.dataset.input === undefined) await press(at, valueOf(at), act, where);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.dataset?.zoom !== undefined) enlarge(event.target);
  });
  // A text file is fetched when somebody opens it, once.
  document.addEventListener("toggle", async (event) => {
    const text = event.target.open ? event.target.querySelector?.("pre[data-src]:empty") : null;
    if (text) text.textContent = await (await fetch(text.dataset.src)).text();
  }, true);
  zoom.addEventListener("click", () => zoom.close());
}

async function press(at, value, act, where) {
  if (at.dataset.confirm && !(await confirmed(JSON.parse(at.dataset.confirm)))) {
    if (at.tagName === "SELECT") at.value = "";
    return;
  }
  if (at.dataset.url) window.open(at.dataset.url, "_blank", "noopener,noreferrer");
  at.closest(".overflow")?.removeAttribute("open");
  at.setAttribute("aria-busy", "true");
  await act("click", { ...where(at), block_id: at.dataset.block, action_id: at.dataset.action, value });
  at.removeAttribute("aria-busy");
}

function confirmed(words) {
  const [deny, yes] = confirmBox.querySelectorAll("button");
  confirmBox.querySelector("h2").textContent = words.title || "Are you sure?";
  confirmBox.querySelector("p").textContent = words.text;
  deny.textContent = words.deny || "Cancel";
  yes.textContent = words.confirm || "Yes";
  yes.className = `button ${words.style === "danger" ? "danger" : "primary"}`;
  confirmBox.returnValue = "";
  confirmBox.showModal();
  deny.focus();
  return new Promise((say) => confirmBox.addEventListener("close", () => say(confirmBox.returnValue === "yes"), { once: true }));
}

function enlarge(picture) {
  Object.assign(zoom.querySelector("img"), { src: picture.src, alt: picture.alt });
  zoom.showModal();
}

function valueOf(at) {
  if (at.multiple) return [...at.selectedOptions].map((one) => one.value);
  if (at.type === "checkbox") {
    return [...document.getElementsByName(at.name)].filter((one) => one.checked).map((one) => one.value);
  }
  return at.value || null;
}

// ---- modals -----------------------------------------------------------------------------------------------------------

function filledIn() {
  const values = {};
  for (const at of modal.querySelectorAll("[data-input]")) {
    if (at.type === "radio" && !at.checked) continue;
    (values[at.dataset.block] ??= {})[at.dataset.action] = valueOf(at);
  }
  return values;
}

export function modals(act) {
  let shown = null;
  let isOurs = false;
  const blocks = modal.querySelector(".blocks");
  const [close, submit] = modal.querySelectorAll("footer button");

  modal.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.setAttribute("aria-busy", "true");
    await act("submit", { view_id: shown.id, values: filledIn() });
    submit.removeAttribute("aria-busy");
  });
  modal.addEventListener("close", () => {
    if (!isOurs && shown) act("close_view", { view_id: shown.id });
    isOurs = false;
    shown = null;
  });

  function problems(errors) {
    for (const at of modal.querySelectorAll("[data-error-for]")) at.textContent = errors[at.dataset.errorFor] ?? "";
    blocks.querySelector(".problem:not(:empty)")?.parentElement.querySelector("[data-input]")?.focus();
  }

  // The server's word on which modal is open; what was typed stays unless the view itself changed.
  return function show(view) {
    if (!view) {
      if (modal.open) { isOurs = true; modal.close(); }
      return;
    }
    if (shown?.id !== view.id || shown.hash !== view.hash) {
      modal.querySelector("h2").textContent = view.title;
      blocks.innerHTML = view.html;
      localTimes(blocks);
      close.textContent = view.close || "Cancel";
      submit.textContent = view.submit || "Submit";
      submit.hidden = !view.submit;
    }
    shown = view;
    modal.dataset.view = view.id;
    if (!modal.open) modal.showModal();
    problems(view.errors);
  };
}
