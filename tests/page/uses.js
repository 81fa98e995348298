// @ts-check
// What people do with the views, by mouse and by keyboard, with the demo's data.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { ask, audit, base, check, newPage, openWith, shots } = require("./browser");

/** @typedef {import("playwright-core").Page} Page */

/** Spans that are shown of a trace. @param {Page} page */
const rows = (page) => page.locator("table.waterfall tbody tr").count();

/** The place of the row that is chosen. @param {Page} page */
const chosen = (page) => page.evaluate("[...document.querySelectorAll('tr[data-row]')].findIndex((row) => row.getAttribute('aria-selected') === 'true')");

/** Presses a key until this holds, so many times at most. @param {Page} page @param {string} key @param {() => Promise<boolean>} holds */
async function pressUntil(page, key, holds) {
  for (let n = 0; n < 200 && !(await holds()); n++) await page.keyboard.press(key);
  return holds();
}

/** Each key of the list does what the list says. @param {Page} page */
async function keys(page) {
  for (const [key, title] of [["f", "Flow"], ["s", "Services"], ["t", "Traces"], ["m", "Metrics"], ["p", "Profiles"], ["l", "Logs"], ["v", "Live tail"], ["q", "SQL"], ["h", "Health"]]) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await page.waitForFunction((/** @type {string} */ of) => document.title.startsWith(of), title);
    // The frame of a page comes before the rest, and the keys with the rest.
    await page.waitForLoadState("load");
    check(`g ${key} leads to ${title} with the range`, page.url().includes("range=1h"), page.url());
  }
}

/** Folding, next error, search and filters of a trace. @param {Page} page */
async function trace(page) {
  await openWith(page, `${base}/traces?range=1h&status=error&order=slowest`, "tr[data-row] a[href^='/trace/']");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/trace/**");
  const all = await rows(page);
  const length = await page.evaluate("history.length");
  const isAtFold = async () => (await page.locator("tr[aria-selected=true] a.fold").count()) > 0;
  check("a row that can be folded is reached by j", await pressUntil(page, "j", isAtFold));
  const place = await chosen(page);
  await page.keyboard.press("[");
  await page.waitForURL(/fold=/);
  await page.locator("h1").waitFor();
  check("[ folds what is below a span", (await rows(page)) < all, [await rows(page), all]);
  check("the chosen row stays chosen", (await chosen(page)) === place, [await chosen(page), place]);
  await page.keyboard.press("]");
  await page.waitForURL((address) => !address.search.includes("fold="));
  check("] unfolds it", (await rows(page)) === all, [await rows(page), all]);
  check("what is adjusted makes no history", (await page.evaluate("history.length")) === length);
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  check("k goes back", (await chosen(page)) === place);
  await page.reload();
  await page.keyboard.press("n");
  const isError = await page.locator("tr[aria-selected=true]").evaluate((row) => row.hasAttribute("data-error"));
  check("n is the next error", isError);
  await page.keyboard.press("Enter");
  await page.locator("section.opened").waitFor();
  check("Enter opens the span, with why it failed", (await page.locator("section.opened .problem").count()) === 1);
  const below = await page.locator("tr#opened + tr section.opened").boundingBox();
  check("what it has is below its row, in the window", below !== null && below.y > 0 && below.y < 600, below);
  await audit(page, "a trace with a span that is open");
  await page.screenshot({ path: path.join(shots, "span-light.png") });

  await page.getByRole("link", { name: "errors", exact: true }).click();
  await page.waitForURL(/only=errors/);
  check("errors alone are a filter", (await rows(page)) < all && (await page.locator("tr[data-error]").count()) > 0, await rows(page));
  await page.getByRole("link", { name: "all spans" }).click();
  await page.waitForURL((address) => !address.search.includes("only="));
  await page.keyboard.press("/");
  await page.keyboard.type("post");
  await page.keyboard.press("Enter");
  await page.waitForURL(/find=post/);
  check("a search inside the trace marks what it finds", (await page.locator("tr.found").count()) > 0);
  check("and leaves the others out", (await rows(page)) < all, [await rows(page), all]);
  for (const [name, shows] of [["flame graph", "svg.flame a"], ["log records", "table.records tbody tr"], ["statistics", "main table tbody tr"], ["compare", "a[href*='with=']"]]) {
    await page.getByRole("link", { name, exact: true }).click();
    await page.locator(shows).first().waitFor();
    check(`the ${name} of a trace shows something`, true);
    await audit(page, `the ${name} of a trace`);
    await page.screenshot({ path: path.join(shots, `trace-${name.replace(" ", "-")}.png`) });
  }
  await page.locator("a[href*='with=']").first().click();
  await page.locator("[aria-label='Both traces by service and name'] tr[data-row]").first().waitFor();
  check("two traces are compared", true);
  await audit(page, "two traces");
  await page.screenshot({ path: path.join(shots, "trace-two.png") });
}

/** A trace taken away as a file is the same trace when it comes back. @param {Page} page */
async function file(page) {
  await openWith(page, `${base}/traces?range=1h&order=slowest`, "tr[data-row] a[href^='/trace/']");
  await page.locator("tr[data-row] a[href^='/trace/']").first().click();
  await page.locator("table.waterfall tbody tr").first().waitFor();
  const all = await rows(page);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "OTLP JSON" }).click()]);
  const target = path.join(shots, "trace.json");
  await download.saveAs(target);
  await page.goto(`${base}/traces?range=5m`);
  await page.setInputFiles("input[type=file]", target);
  await page.locator("form:has(input[type=file]) button").click();
  await page.locator("table.waterfall tbody tr").first().waitFor();
  check("an uploaded trace has the spans of the trace", (await rows(page)) === all, [await rows(page), all]);
  fs.unlinkSync(target);
}

/** From metrics to a trace and back, and from a span to its profile. @param {Page} page */
async function betweenSignals(page) {
  const metric = await ask("SELECT metric FROM exemplars JOIN (SELECT series_id, metric FROM series) USING (series_id) WHERE trace_id IN (SELECT trace_id FROM spans WHERE start_time > now() - INTERVAL 30 MINUTE) LIMIT 1");
  await openWith(page, `${base}/explore?range=1h&metric=${encodeURIComponent(metric)}`, "figure a[href^='/trace/']");
  const link = await page.locator("figure a[href^='/trace/']").last().getAttribute("href");
  await openWith(page, base + link, "table.waterfall tbody tr");
  check("an exemplar leads to the span in its trace", (await page.locator("section.opened").count()) === 1, link);
  await page.getByRole("link", { name: "exemplars", exact: true }).click();
  await page.locator("[aria-label='Exemplars that point at this trace'] a[href^='/explore']").first().waitFor();
  await audit(page, "the exemplars of a trace");
  await page.screenshot({ path: path.join(shots, "trace-exemplars.png") });
  await page.locator("[aria-label='Exemplars that point at this trace'] a[href^='/explore']").first().click();
  await page.locator("figure svg[data-from]").first().waitFor();
  check("and the trace leads back to the metric", page.url().includes("metric="), page.url());

  const span = String(await ask("SELECT trace_id || '?span=' || span_id FROM spans WHERE span_id IN (SELECT span_id FROM profile_samples WHERE span_id IS NOT NULL) LIMIT 1"));
  await openWith(page, `${base}/trace/${span}`, "section.opened");
  await page.getByRole("link", { name: "its samples" }).click();
  await page.locator("svg.flame a").first().waitFor();
  check("a span leads to its samples", (await page.locator("main").innerText()).includes("Samples of the span"), page.url());
}

/** Two times of a profile, each chosen freely. @param {Page} page */
async function profiles(page) {
  await openWith(page, `${base}/profiles?range=15m`, "svg.flame a");
  await page.selectOption("select[name=base]", "between");
  check("the choice of moments leads to them", (await page.evaluate("document.activeElement.name")) === "base_from");
  await page.keyboard.type("now-55m");
  await page.fill("input[name=base_to]", "now-20m");
  await page.keyboard.press("Enter");
  await page.waitForURL(/base_from=now-55m/);
  const said = await page.locator("main p[role=status]").innerText();
  check("two times of different lengths are compared", said.includes("compared with"), said);
  await audit(page, "two times of a profile");
  await page.screenshot({ path: path.join(shots, "profile-two.png") });
  await page.selectOption("select[name=base]", "");
  check("another choice takes their place", (await page.inputValue("form.filters input[name=base_from]")) === "");
}

/** A facet is a condition, and what leaves nothing says how to go on. @param {Page} page */
async function conditions(page) {
  await openWith(page, `${base}/traces?range=1h`, "details.attributes a");
  await page.locator("details.attributes summary").click();
  await page.locator("details.attributes a").first().click();
  await page.waitForURL(/where=/);
  check("a value of an attribute is a condition", (await page.locator("details.attributes a[aria-current=true]").count()) === 1, page.url());
  await audit(page, "traces with a condition");
  await page.screenshot({ path: path.join(shots, "traces-facets.png") });
  for (const view of ["/logs?range=1h&q=nothing-like-that", "/traces?range=1h&service=nobody", "/explore?find=nothing-like-that", "/profiles?range=1h&service=nobody"]) {
    await page.goto(base + view);
    await page.locator(".empty").waitFor();
    await audit(page, view);
    await page.getByRole("link", { name: "Leave out all conditions" }).click();
    await page.waitForURL((address) => address.search === "" || address.search === "?range=1h");
    check(`${view}: the way out shows something`, (await page.locator(".empty").count()) === 0);
  }
  await page.goto(`${base}/logs?from=2020-01-01&to=2020-01-02`);
  check("a time before retention says since when", (await page.locator(".empty").innerText()).includes("Kept since"));
  await page.screenshot({ path: path.join(shots, "empty-light.png") });
}

/** The editor completes views, columns and keys of attributes. @param {Page} page */
async function editor(page) {
  await page.goto(`${base}/sql`);
  const field = page.locator("textarea[name=q]");
  await field.fill("");
  await field.click();
  await page.keyboard.type("SELECT attributes.rout");
  await page.locator("ul.completions li").first().waitFor();
  check("keys of attributes are offered", (await page.locator("ul.completions li").allInnerTexts()).includes('attributes."http.route"'));
  await audit(page, "completions");
  await pressUntil(page, "ArrowDown", async () => (await page.locator("li[aria-selected=true]").innerText()) === 'attributes."http.route"');
  await page.keyboard.press("Tab");
  check("Tab takes the chosen one", (await field.inputValue()) === 'SELECT attributes."http.route"', await field.inputValue());
  check("the list is closed then", (await page.locator("ul.completions").isHidden()));
  await page.keyboard.type(" FROM span");
  await page.locator("ul.completions li").first().waitFor();
  const first = await page.locator("ul.completions li").first().innerText();
  check("a view is the first", first === "spans", first);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.keyboard.type(" WHERE service_nam");
  await page.locator("ul.completions li", { hasText: "service_name" }).first().click();
  check("a click takes a column", (await field.inputValue()).endsWith("spans WHERE service_name"), await field.inputValue());
  await page.keyboard.type(" = 'checkout' LIMIT 3");
  await page.keyboard.press("Escape");
  await field.focus();
  await page.keyboard.press("Control+Enter");
  await page.locator("table.rows tr[data-row]").first().waitFor();
  check("Ctrl-Enter runs the statement", (await page.locator("table.rows tr[data-row]").count()) === 3);
}

/** @param {import("playwright-core").Browser} browser */
async function useViews(browser) {
  // Some of them alone, for those who work on them: ONLY=editor.
  const only = process.env.ONLY;
  for (const use of [keys, trace, file, betweenSignals, profiles, conditions, editor].filter((of) => !only || of.name === only)) {
    const page = await newPage(browser);
    /** @type {string[]} */
    const errors = [];
    page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(`${base}/?range=1h`);
    try {
      await use(page);
    } catch (error) {
      await page.screenshot({ path: path.join(shots, `failed-${use.name}.png`) });
      check(`${use.name}: all of it can be done`, false, `${error} at ${page.url()}`);
    }
    check(`${use.name}: no error on the console`, errors.length === 0, errors);
    await page.context().close();
  }
}

module.exports = { useViews };
