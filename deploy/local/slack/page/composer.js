// Where a person writes: commands and names are suggested, Enter sends, the arrow up brings the last line back.
// Knows nothing of channels; what is sent goes to `send`, what can be suggested comes from `known`.

import { make } from "./rows.js";

export function composer(form, known, send) {
  const field = form.querySelector("textarea");
  const list = form.querySelector(".suggestions");
  let chosen = 0;
  let last = "";

  const options = () => [...list.children];

  function matches() {
    const before = field.value.slice(0, field.selectionStart);
    const command = /^\/\S*$/.exec(before);
    const name = /(?:^|\s)@([\w.-]*)$/.exec(before);
    if (command) {
      return known().commands.filter((one) => one.name.startsWith(command[0]))
        .map((one) => ({ put: `${one.name} `, from: 0, says: one.name, more: `${one.usage_hint} · ${one.description}` }));
    }
    if (!name) return [];
    return known().people.filter((one) => one.name.startsWith(name[1].toLowerCase()))
      .map((one) => ({ put: `@${one.name} `, from: before.length - name[1].length - 1, says: `@${one.name}`, more: one.real_name }));
  }

  function choose(at) {
    chosen = at;
    options().forEach((one, number) => one.setAttribute("aria-selected", number === at));
    const one = options()[at];
    if (one) field.setAttribute("aria-activedescendant", one.id);
    else field.removeAttribute("aria-activedescendant");
  }

  function suggest() {
    list.replaceChildren(...matches().map((one, at) => {
      const item = make("li", { id: `${list.id}-${at}`, role: "option" }, make("strong", {}, one.says), make("small", {}, one.more));
      item.addEventListener("mousedown", (event) => { event.preventDefault(); put(one); });
      item.put = one;
      return item;
    }));
    list.hidden = !list.children.length;
    choose(0);
  }

  function put(one) {
    const after = field.value.slice(field.selectionStart);
    field.setRangeText(one.put, one.from, field.value.length - after.length, "end");
    list.hidden = true;
    grow();
    field.focus();
  }

  function grow() {
    field.rows = Math.min(10, field.value.split("\n").length);
  }

  async function submit() {
    const text = field.value.trim();
    if (!text) return;
    last = text;
    field.value = "";
    list.hidden = true;
    grow();
    if (!(await send(text)) && !field.value) field.value = text;
  }

  field.addEventListener("input", () => { grow(); suggest(); });
  field.addEventListener("blur", () => { list.hidden = true; });
  field.addEventListener("keydown", (event) => {
    const isOpen = !list.hidden;
    if (isOpen && event.key === "ArrowDown") choose((chosen + 1) % list.children.length);
    else if (isOpen && event.key === "ArrowUp") choose((chosen + list.children.length - 1) % list.children.length);
    else if (isOpen && (event.key === "Tab" || event.key === "Enter")) put(options()[chosen].put);
    else if (isOpen && event.key === "Escape") list.hidden = true;
    else if (event.key === "ArrowUp" && !field.value && last) { field.value = last; grow(); }
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit();
    else return;
    event.preventDefault();
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  return { write(text) { field.value = text; grow(); field.focus(); } };
}
