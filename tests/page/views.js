// @ts-check
// Opens each view in Chromium, in light, dark and at the width of a phone: no error on the console, nothing that
// axe-core finds, text of senders stays text, and the keys work. Screenshots are kept for people to look at.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const [addressFile, shots] = process.argv.slice(2);
const addresses = JSON.parse(fs.readFileSync(addressFile, "utf8"));
const base = `http://${addresses.web}`;
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">\u202e";

/** @type {{name: string, path: string, expects: string}[]} */
const VIEWS = [
  { name: "flow", path: "/", expects: "svg.pipeline a.part" },
  { name: "part", path: "/flow/log/traces", expects: "figure.trend svg" },
  { name: "health", path: "/health", expects: "table tbody tr" },
  { name: "logs", path: "/logs?range=1h", expects: "tr[data-row]" },
  { name: "services", path: "/services?range=1h", expects: "svg.services-map a.part" },
  { name: "traces", path: "/traces?range=1h", expects: "svg a rect.heat" },
  { name: "trace", path: "/traces?range=1h&order=slowest", expects: "table.waterfall svg.bar" },
  { name: "sql", path: `/sql?q=${encodeURIComponent("FROM red(now() - INTERVAL 1 HOUR, now())")}`, expects: "table.rows tr[data-row]" },
  { name: "letters", path: "/dead-letters", expects: "h1" },
];
const MODES = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 } },
};

let passed = 0;
/** @type {string[]} */
const failed = [];

/** @param {string} what @param {boolean} is @param {unknown} [seen] */
function check(what, is, seen) {
  if (is) passed++;
  else {
    failed.push(what);
    console.log(`FAILED ${what}${seen === undefined ? "" : `: ${JSON.stringify(seen)}`}`);
  }
}

/** A log record and its service, all hostile. */
async function sendHostile() {
  const text = { stringValue: HOSTILE };
  const record = { timeUnixNano: `${Date.now()}000000`, severityNumber: 17, body: text, attributes: [{ key: HOSTILE, value: text }] };
  const resource = { attributes: [{ key: "service.name", value: text }] };
  const body = JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ logRecords: [record] }] }] });
  const answer = await fetch(`http://${addresses.otlp_http}/v1/logs`, { method: "POST", headers: { "content-type": "application/json" }, body });
  check("a hostile record is taken", answer.ok, answer.status);
}

/** @param {string} statement */
async function ask(statement) {
  const answer = await fetch(`http://${addresses.sql}/api/v1/sql`, { method: "POST", body: statement });
  return (await answer.json()).rows?.[0]?.[0];
}

/** @param {import("playwright-core").Page} page @param {string} name */
async function audit(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate("axe.run()");
  const violations = found.violations.map((/** @type {any} */ one) => `${one.id}: ${one.nodes[0].html.slice(0, 160)}`);
  check(`${name}: axe-core finds nothing`, violations.length === 0, violations);
}

/** @param {import("playwright-core").Browser} browser */
async function lookAtViews(browser) {
  const figures = [];
  for (const [mode, options] of Object.entries(MODES)) {
    const context = await browser.newContext({ .../** @type {any} */ (options), bypassCSP: false });
    for (const view of VIEWS) {
      const name = `${view.name}-${mode}`;
      const page = await context.newPage();
      /** @type {string[]} */
      const errors = [];
      page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("requestfailed", (request) => errors.push(request.url()));
      let answer = await page.goto(base + view.path, { waitUntil: "load" });
      if (view.name === "trace") {
        const link = await page.locator("tr[data-row] a[href^='/trace/']").first().getAttribute("href");
        answer = await page.goto(base + link, { waitUntil: "load" });
      }
      check(`${name}: is there`, answer?.status() === 200, answer?.status());
      check(`${name}: shows something`, (await page.locator(view.expects).count()) > 0, view.expects);
      const wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
      check(`${name}: is no wider than the window`, wide <= 0, wide);
      await page.screenshot({ path: path.join(shots, `${name}.png`) });
      // What axe-core does to be there is no fault of the page.
      check(`${name}: no error on the console`, errors.length === 0, errors);
      await audit(page, name);
      check(`${name}: the title is ours`, (await page.title()).endsWith("· Vispyr"), await page.title());
      if (mode === "light") {
        const timing = await page.evaluate("(() => { const t = performance.getEntriesByType('navigation')[0]; return [t.responseStart - t.requestStart, t.decodedBodySize]; })()");
        figures.push(`${view.name}: first byte ${Math.round(timing[0])} ms, ${(timing[1] / 1024).toFixed(1)} KiB`);
      }
      await page.close();
    }
    await context.close();
  }
  console.log(figures.join("\n"));
}

/** @param {import("playwright-core").Browser} browser */
async function useKeys(browser) {
  const page = await browser.newPage();
  await page.goto(`${base}/?range=2h`);
  await page.keyboard.press("Tab");
  const skip = await page.evaluate("document.activeElement.textContent");
  check("the first stop skips to the content", skip === "Skip to content", skip);
  await page.keyboard.press("?");
  check("? lists the keys", await page.locator("dialog[open]").isVisible());
  await page.keyboard.press("Escape");
  check("Esc closes the list", (await page.locator("dialog").count()) === 0);
  await page.keyboard.press("g");
  await page.keyboard.press("l");
  await page.waitForURL("**/logs?range=2h");
  check("g l leads to the logs and keeps the range", true);
  await page.keyboard.press("/");
  check("/ is the search", (await page.evaluate("document.activeElement.name")) === "q");
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  check("j chooses a row", (await page.locator("tr[data-row]").nth(1).getAttribute("aria-selected")) === "true");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/logs/at/**");
  check("Enter opens it", (await page.locator("article.record").count()) > 0);
  await page.goto(`${base}/logs?range=1h&zone=utc`);
  const utc = await page.locator("tr[data-row] time").first().evaluate((time) => [time.textContent, time.getAttribute("datetime")]);
  check("times are in UTC if that is chosen", String(utc[1]).startsWith(String(utc[0]).replace(" ", "T")), utc);
  await page.selectOption("form.picker select[name=range]", "15m");
  await page.waitForURL(/range=15m/);
  check("the picker keeps the zone", page.url().includes("zone=utc"), page.url());
  await page.close();
}

/** @param {import("playwright-core").Browser} browser */
async function watchLive(browser) {
  const page = await browser.newPage();
  await page.goto(base);
  const uptime = await page.locator("p.state").textContent();
  await page.waitForFunction((before) => document.querySelector("p.state")?.textContent !== before, uptime, { timeout: 20000 });
  check("a live page brings itself up to date", true);
  await page.close();
}

(async () => {
  for (let n = 0; n < 600 && !(await ask("SELECT count(*) > 1000 FROM logs").catch(() => false)); n++) {
    await new Promise((done) => setTimeout(done, 200));
  }
  await sendHostile();
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  try {
    await lookAtViews(browser);
    await useKeys(browser);
    await watchLive(browser);
  } catch (error) {
    check("the browser could do all of it", false, String(error));
  } finally {
    await browser.close();
  }
  console.log(`screenshots are in ${shots}`);
  console.log(`${passed} passed, ${failed.length} failed`);
  process.exitCode = failed.length > 0 ? 1 : 0;
})();
