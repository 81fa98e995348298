// @ts-check
// What must move: times in the browser's zone, pages that bring themselves up to date, keys.
// Everything works without it.
"use strict";

/**
 * Shows each time in the browser's zone, unless UTC was chosen.
 * @param {ParentNode} root
 */
function showTimes(root) {
  if (document.body.dataset.zone === "utc") return;
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    /** @param {number} number @param {number} [digits] */
    const pad = (number, digits = 2) => String(number).padStart(digits, "0");
    const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
    const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
    const text = `${day} ${clock}.${pad(at.getMilliseconds(), 3)}`;
    if (time.textContent !== text) time.textContent = text;
  }
}

/**
 * Makes `old` what `fresh` is and touches nothing that stays: what is open stays open, what has the focus keeps it.
 * @param {Element} old
 * @param {Element} fresh
 */
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  for (let n = 0; n < Math.max(before.length, after.length); n++) {
    const [from, to] = [before[n], after[n]];
    if (!to) from.remove();
    else if (!from) old.append(document.importNode(to, true));
    else if (from instanceof Element && to instanceof Element && from.tagName === to.tagName) morph(from, to);
    else if (from.nodeType === Node.TEXT_NODE && to.nodeType === Node.TEXT_NODE) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    } else from.replaceWith(document.importNode(to, true));
  }
}

/** Brings a live page up to date, every few seconds while somebody looks at it. */
function keepLive() {
  const main = document.querySelector("main[data-live]");
  if (!(main instanceof HTMLElement)) return;
  const seconds = Number(main.dataset.live);
  let asking = false;
  setInterval(async () => {
    const form = main.querySelector("form:focus-within");
    if (asking || document.hidden || form) return;
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      if (answer.ok && fresh) {
        showTimes(fresh);
        morph(main, fresh);
      }
      main.classList.remove("stale");
    } catch {
      // The program may be starting again.
      main.classList.add("stale");
    } finally {
      asking = false;
    }
  }, seconds * 1000);
}

/** The keys, as people know them from others. */
function listenForKeys() {
  /** @type {HTMLElement[]} */
  const rows = [...document.querySelectorAll("tr[data-row]")].filter((row) => row instanceof HTMLElement);
  let chosen = -1;
  let afterG = false;
  /** @param {number} step */
  const move = (step) => {
    if (rows.length === 0) return;
    rows[chosen]?.removeAttribute("aria-selected");
    chosen = Math.min(Math.max(chosen + step, 0), rows.length - 1);
    rows[chosen].setAttribute("aria-selected", "true");
    rows[chosen].scrollIntoView({ block: "nearest" });
    const link = rows[chosen].querySelector("a");
    if (link instanceof HTMLElement) link.focus({ preventScroll: true });
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const types = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (types) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (afterG) {
      afterG = false;
      const view = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (view instanceof HTMLAnchorElement) view.click();
      return;
    }
    switch (event.key) {
      case "j": move(1); break;
      case "k": move(-1); break;
      case "g": afterG = true; break;
      case "?": showKeys(); break;
      case "/": {
        const search = document.querySelector("[data-search]");
        if (search instanceof HTMLElement) {
          search.focus();
          event.preventDefault();
        }
      }
    }
  });
}

/** The list of keys. */
function showKeys() {
  const dialog = document.createElement("dialog");
  const keys = [
    ["/", "search"],
    ["j, k", "next and last row"],
    ["g, then f s t l q h", "Flow, Services, Traces, Logs, SQL, Health, as far as they are there"],
    ["?", "this list"],
    ["Esc", "close it, leave a field"],
  ];
  const title = document.createElement("h2");
  title.textContent = "Keys";
  const list = document.createElement("dl");
  for (const [key, what] of keys) {
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    const name = document.createElement("kbd");
    name.textContent = key;
    term.append(name);
    text.textContent = what;
    list.append(term, text);
  }
  const form = document.createElement("form");
  form.method = "dialog";
  const button = document.createElement("button");
  button.textContent = "Close";
  form.append(button);
  dialog.append(title, list, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** The choice of a range takes the place of an absolute one. */
function watchPicker() {
  const picker = document.querySelector("form.picker");
  const select = picker?.querySelector("select[name=range]");
  select?.addEventListener("change", () => {
    for (const input of picker?.querySelectorAll("input[name=from], input[name=to]") ?? []) {
      if (input instanceof HTMLInputElement) input.value = "";
    }
    if (picker instanceof HTMLFormElement) picker.requestSubmit();
  });
}

showTimes(document);
keepLive();
listenForKeys();
watchPicker();
