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
      // The session is over: the form comes.
      if (answer.status === 401) location.reload();
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
  const rows = keyRows();
  let chosen = chosenRow();
  let afterG = false;
  /** @param {number} step */
  const move = (step) => {
    if (rows.length === 0) return;
    rows[chosen]?.removeAttribute("aria-selected");
    chosen = Math.min(Math.max(chosen + step, 0), rows.length - 1);
    rows[chosen].setAttribute("aria-selected", "true");
    rows[chosen].scrollIntoView({ block: "nearest" });
    const link = rows[chosen].querySelector("a:not(.fold)");
    if (link instanceof HTMLElement) link.focus({ preventScroll: true });
  };
  const nextError = () => {
    const next = rows.findIndex((row, n) => n > chosen && row.hasAttribute("data-error"));
    const below = document.querySelector("a[data-next-error]");
    if (next >= 0) move(next - chosen);
    else if (below instanceof HTMLAnchorElement) below.click();
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const types = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
    if (event.ctrlKey && event.key === "Enter" && target instanceof HTMLTextAreaElement && "submit" in target.dataset) {
      target.form?.requestSubmit();
      return;
    }
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
      case "n": nextError(); break;
      case "[":
      case "]": {
        const fold = rows[chosen]?.querySelector("a.fold");
        if (fold instanceof HTMLAnchorElement) fold.click();
        break;
      }
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
    ["n", "next error"],
    ["[ or ]", "fold or unfold the chosen span"],
    ["g, then f s t m p l v q h", "Flow, Services, Traces, Metrics, Profiles, Logs, Live, SQL, Health"],
    ["Ctrl-Enter", "run the statement"],
    ["↑ ↓ Tab", "choose and take a completion in the editor"],
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

/** What is chosen of a list takes the place of moments that are written; the choice of moments leads to their fields. */
function watchChoices() {
  for (const select of document.querySelectorAll("select[data-instead]")) {
    if (!(select instanceof HTMLSelectElement)) continue;
    const { form } = select;
    const moments = (select.dataset.instead ?? "").split(" ").map((name) => form?.elements.namedItem(name));
    select.addEventListener("change", () => {
      const [first] = moments;
      if (select.selectedOptions[0]?.hasAttribute("data-moments") && first instanceof HTMLElement) {
        first.closest("details")?.setAttribute("open", "");
        first.focus();
        return;
      }
      for (const input of moments) if (input instanceof HTMLInputElement) input.value = "";
      if (form?.matches(".picker")) form.requestSubmit();
    });
  }
}

/**
 * Draws a range on a chart over time: the page of that time comes. On a heatmap what is drawn is a rectangle, of
 * time and of durations, whose scale is logarithmic.
 */
function listenForRanges() {
  for (const svg of document.querySelectorAll("svg[data-from]")) {
    if (!(svg instanceof SVGSVGElement)) continue;
    const { width, height } = svg.viewBox.baseVal;
    const hasDurations = svg.dataset.low !== undefined;
    /** @type {[number, number] | undefined} */
    let start;
    /** @type {SVGRectElement | undefined} */
    let selection;
    /** @param {MouseEvent} event @returns {[number, number]} */
    const place = (event) => {
      const box = svg.getBoundingClientRect();
      /** @param {number} share */
      const inside = (share) => Math.min(Math.max(share, 0), 1);
      return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
    };
    /** What is drawn from the start to here, in shares: left, right, top, bottom. @param {MouseEvent} event */
    const drawn = (event) => {
      const [x, y] = place(event);
      const [fromX, fromY] = start ?? [x, y];
      const [top, bottom] = hasDurations ? [Math.min(fromY, y), Math.max(fromY, y)] : [0, 1];
      return { left: Math.min(fromX, x), right: Math.max(fromX, x), top, bottom };
    };
    svg.addEventListener("pointerdown", (event) => { start = place(event); });
    svg.addEventListener("dragstart", (event) => event.preventDefault());
    svg.addEventListener("pointermove", (event) => {
      const { left, right, top, bottom } = drawn(event);
      if (!start || (!selection && right - left < 0.01)) return;
      if (!selection) {
        selection = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        selection.classList.add("selection");
        svg.append(selection);
        svg.setPointerCapture(event.pointerId);
      }
      const place = { x: left * width, width: (right - left) * width, y: top * height, height: (bottom - top) * height };
      for (const [name, value] of Object.entries(place)) selection.setAttribute(name, String(value));
    });
    svg.addEventListener("pointerup", (event) => {
      if (start && selection) {
        const { left, right, top, bottom } = drawn(event);
        const [first, last] = [BigInt(svg.dataset.from ?? "0"), BigInt(svg.dataset.to ?? "0")];
        /** @param {number} share */
        const at = (share) => String(first + ((last - first) * BigInt(Math.round(share * 1e6))) / 1000000n);
        const address = new URL(location.href);
        for (const name of ["range", "before", "skip", "row"]) address.searchParams.delete(name);
        address.searchParams.set("from", at(left));
        address.searchParams.set("to", at(right));
        if (hasDurations) {
          const [low, high] = [Number(svg.dataset.low), Number(svg.dataset.high)];
          /** @param {number} share */
          const nanos = (share) => `${Math.ceil(low * (high / low) ** (1 - share))}ns`;
          address.searchParams.set("min", nanos(bottom));
          address.searchParams.set("max", nanos(top));
        }
        wait();
        location.href = address.href;
      }
      selection?.remove();
      start = selection = undefined;
    });
  }
}

/** Says that a page is on its way, once that takes a moment, and how to leave it. */
function wait() {
  setTimeout(() => {
    if (document.querySelector(".waiting")) return;
    const box = document.createElement("p");
    box.className = "waiting";
    box.setAttribute("role", "status");
    const stop = document.createElement("button");
    stop.textContent = "Cancel";
    stop.addEventListener("click", () => {
      window.stop();
      box.remove();
    });
    box.append("Waiting for the answer … ", stop);
    document.body.append(box);
  }, 300);
}

/** The rows that the keys go through. */
function keyRows() {
  return [...document.querySelectorAll("tr[data-row]")].filter((row) => row instanceof HTMLElement);
}

/** The place of the row that is chosen; -1 if none is. */
function chosenRow() {
  return keyRows().findIndex((row) => row.getAttribute("aria-selected") === "true");
}

/**
 * Brings an adjustment of this page, such as a span that is folded: it takes the page's place in the history, and
 * what is looked at stays where it is.
 * @param {string} address
 */
function adjust(address) {
  wait();
  sessionStorage.setItem("place", JSON.stringify({ path: location.pathname, top: scrollY, row: chosenRow() }));
  location.replace(address);
}

/** Goes to where the page was before it was adjusted. */
function keepPlace() {
  const kept = sessionStorage.getItem("place");
  sessionStorage.removeItem("place");
  const { path, top, row } = kept ? JSON.parse(kept) : {};
  if (path !== location.pathname) return;
  keyRows()[row]?.setAttribute("aria-selected", "true");
  scrollTo(0, top);
}

/** Links and forms that lead elsewhere. */
function watchWays() {
  document.addEventListener("submit", wait);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    const isPlain = !event.defaultPrevented && event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    // What is downloaded leaves the page as it is, and so does what is only a place on it.
    if (!link || !isPlain || link.hasAttribute("download") || link.getAttribute("href")?.startsWith("#")) return;
    if (link instanceof HTMLAnchorElement && link.hasAttribute("data-replace")) {
      event.preventDefault();
      adjust(link.href);
    } else wait();
  });
  // A page that is gone back to is as it was left.
  window.addEventListener("pageshow", () => document.querySelector(".waiting")?.remove());
}

/**
 * A short text of an item's field.
 * @param {unknown} value
 */
function shortText(value) {
  // A number in a few digits: 156.635 for 156.63488732799948.
  const short = typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
  const text = typeof short === "string" ? short : JSON.stringify(short);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/**
 * A length of time given in nanoseconds.
 * @param {number} nanos
 */
function durationText(nanos) {
  for (const [unit, name] of /** @type {[number, string][]} */ ([[1e9, "s"], [1e6, "ms"], [1e3, "µs"]])) {
    if (nanos >= unit) return `${Number((nanos / unit).toPrecision(3))} ${name}`;
  }
  return `${nanos} ns`;
}

/**
 * The row of an item. Its text is foreign: it becomes text, in elements of our own.
 * @param {Record<string, any>} item
 */
function tailRow(item) {
  const row = document.createElement("tr");
  /** @param {Node | string} content @param {string} [kind] */
  const cell = (content, kind) => {
    const added = row.insertCell();
    if (kind) added.className = kind;
    added.append(content);
    return added;
  };
  /** @param {unknown} value */
  const foreign = (value) => {
    const text = document.createElement("bdi");
    text.textContent = shortText(value);
    return text;
  };
  const time = document.createElement("time");
  time.dateTime = item.time ?? "";
  time.textContent = (item.time ?? "").slice(0, 23).replace("T", " ");
  cell(time);
  cell(item.signal);
  cell(foreign(item.service ?? ""));
  const what = cell("");
  const level = item.severity ?? (item.status === "error" ? "ERROR" : undefined);
  if (level) {
    const mark = document.createElement("span");
    mark.className = level === "ERROR" || level === "FATAL" ? "level bad" : level === "WARN" ? "level warn" : "level idle";
    mark.textContent = level.toLowerCase();
    what.append(mark, " ");
  }
  if (item.name) {
    let name = foreign(item.name);
    if (item.signal === "traces" && item.trace_id) {
      const link = document.createElement("a");
      link.href = `/trace/${encodeURIComponent(item.trace_id)}`;
      link.append(name);
      what.append(link, " ");
    } else {
      const strong = document.createElement("strong");
      strong.append(name);
      what.append(strong, " ");
    }
  }
  if (item.body !== undefined) what.append(foreign(item.body));
  const value = item.duration_ns !== undefined ? durationText(Number(item.duration_ns)) : item.value !== undefined ? `${shortText(item.value)} ${shortText(item.unit ?? "")}` : "";
  cell(value, "n");
  const attributes = Object.entries({ ...item.resource, ...item.attributes });
  const last = cell("");
  if (attributes.length > 0) {
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    const own = Object.entries(item.attributes ?? {}).slice(0, 3);
    summary.append(foreign(own.map(([name, of]) => `${name}=${shortText(of)}`).join(" ") || `${attributes.length} of the resource`));
    const list = document.createElement("dl");
    list.className = "fields";
    for (const [name, of] of attributes) {
      const [line, term, text] = ["div", "dt", "dd"].map((kind) => document.createElement(kind));
      term.append(foreign(name));
      text.append(foreign(of));
      line.append(term, text);
      list.append(line);
    }
    details.append(summary, list);
    last.append(details);
  }
  return row;
}

/** Shows what comes in, the newest first. */
function followTail() {
  const box = document.querySelector("[data-tail]");
  const body = box?.querySelector("tbody");
  const [state, lost, pause, clear] = ["[data-state]", "[data-lost]", "[data-pause]", "[data-clear]"].map((of) => box?.querySelector(of));
  if (!(box instanceof HTMLElement) || !body || !(state instanceof HTMLElement) || !(lost instanceof HTMLElement)) return;
  if (!(pause instanceof HTMLButtonElement) || !(clear instanceof HTMLButtonElement)) return;
  const MOST = 500;
  let [paused, shown, lostLines, notExamined] = [false, 0, 0, 0];
  /** @type {Record<string, any>[]} */
  let waiting = [];
  /** @type {EventSource | undefined} */
  let source;
  const say = () => {
    const number = shown.toLocaleString("en").replaceAll(",", "\u202f");
    if (paused) state.textContent = `Paused; ${waiting.length === MOST ? "more than " : ""}${waiting.length} waiting`;
    else if (source?.readyState === EventSource.OPEN) state.textContent = shown > 0 ? `Watching; ${number} so far` : "Watching; nothing like that came in yet";
    else state.textContent = "Waiting for the collector; it may be starting, or have as many tails open as it takes";
  };
  // Rows are added a few times a second, not one by one: a busy stream must not keep the browser busy.
  const show = () => {
    if (!paused && waiting.length > 0) {
      const rows = document.createDocumentFragment();
      for (const item of waiting.reverse()) rows.append(tailRow(item));
      shown += waiting.length;
      waiting = [];
      showTimes(rows);
      body.prepend(rows);
      while (body.rows.length > MOST) body.deleteRow(-1);
    }
    say();
  };
  const open = () => {
    source = new EventSource(box.dataset.tail ?? "");
    source.addEventListener("message", (event) => {
      waiting.push(JSON.parse(event.data));
      if (waiting.length > MOST) waiting.shift();
    });
    source.addEventListener("error", () => {
      // It tries again by itself, unless the answer was no stream.
      if (source?.readyState === EventSource.CLOSED && !document.hidden) setTimeout(open, 3000);
    });
    source.addEventListener("lost", (event) => {
      const more = JSON.parse(event.data);
      lostLines += more.lines;
      notExamined += more.not_examined;
      const said = [];
      if (lostLines > 0) said.push(`${lostLines} items are not shown: more came in than fits here`);
      if (notExamined > 0) said.push(`${notExamined} items were not looked at: more came in than a tail may cost`);
      lost.textContent = `${said.join("; ")}. A filter helps.`;
      lost.hidden = false;
    });
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    show();
  });
  clear.addEventListener("click", () => {
    body.replaceChildren();
    waiting = [];
    say();
  });
  // A page that nobody sees watches nothing: browsers have few connections to give.
  document.addEventListener("visibilitychange", () => {
    source?.close();
    if (!document.hidden) open();
  });
  pause.disabled = clear.disabled = false;
  open();
  setInterval(show, 250);
}

/** Completes what is written in the editor: words of the page's list that begin with it, or have it in them. */
function complete() {
  const editor = document.querySelector("textarea[data-words]");
  if (!(editor instanceof HTMLTextAreaElement)) return;
  const known = document.getElementById(editor.dataset.words ?? "");
  const words = [...(known?.querySelectorAll("option") ?? [])].map((option) => option.value);
  const list = document.createElement("ul");
  list.className = "completions";
  list.id = "completions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Completions");
  list.hidden = true;
  editor.after(list);
  editor.setAttribute("aria-controls", list.id);
  editor.setAttribute("aria-autocomplete", "list");
  let chosen = 0;
  // Enter begins a line, unless somebody has gone into the list.
  let isInList = false;
  /** @type {string[]} */
  let found = [];
  const start = () => {
    const before = editor.value.slice(0, editor.selectionStart);
    return /[\w.":]*$/.exec(before)?.[0] ?? "";
  };
  const close = () => {
    list.hidden = true;
    editor.removeAttribute("aria-activedescendant");
  };
  const show = () => {
    list.replaceChildren(...found.map((word, n) => {
      const item = document.createElement("li");
      item.id = `completion-${n}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(n === chosen));
      item.textContent = word;
      item.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        take(word);
      });
      return item;
    }));
    list.hidden = found.length === 0;
    if (list.hidden) editor.removeAttribute("aria-activedescendant");
    else editor.setAttribute("aria-activedescendant", `completion-${chosen}`);
  };
  /** @param {string} word */
  const take = (word) => {
    const at = editor.selectionStart;
    editor.setRangeText(word, at - start().length, at, "end");
    close();
  };
  editor.addEventListener("input", () => {
    // Quotes need not be written, nor the beginning of a key: attributes.rout finds attributes."http.route".
    const bare = (/** @type {string} */ word) => word.toLowerCase().replaceAll('"', "");
    const text = bare(start());
    const [place, key] = text.includes(".") ? [text.slice(0, text.indexOf(".") + 1), text.slice(text.indexOf(".") + 1)] : ["", text];
    const fits = (/** @type {string} */ word) => word.includes(text) || (place !== "" && key !== "" && word.startsWith(place) && word.slice(place.length).includes(key));
    chosen = 0;
    isInList = false;
    const has = words.filter((word) => fits(bare(word)));
    const isWhole = has.some((word) => word.toLowerCase() === start().toLowerCase());
    // Those that begin with it come first, and of these the shortest.
    const rank = (/** @type {string} */ word) => word.length + (bare(word).startsWith(text) ? 0 : 1000);
    found = text.length < 2 || isWhole ? [] : has.sort((a, b) => rank(a) - rank(b)).slice(0, 8);
    show();
  });
  editor.addEventListener("blur", close);
  editor.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown") chosen = (chosen + 1) % found.length;
    else if (event.key === "ArrowUp") chosen = (chosen + found.length - 1) % found.length;
    else if (event.key === "Tab" || (event.key === "Enter" && isInList && !event.ctrlKey)) take(found[chosen]);
    else if (event.key === "Escape") close();
    else return;
    isInList ||= event.key.startsWith("Arrow");
    event.preventDefault();
    event.stopPropagation();
    if (!list.hidden) show();
  });
}

complete();
showTimes(document);
listenForRanges();
watchWays();
keepLive();
keepPlace();
listenForKeys();
watchChoices();
followTail();
