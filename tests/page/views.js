// @ts-check
// Opens each view in Chromium, in light, dark and at the width of a phone: no error on the console, nothing that
// axe-core finds, text of senders stays text, and the keys work. Screenshots are kept for people to look at.
"use strict";

const path = require("node:path");
const { PATIENCE, addresses, ask, audit, base, check, finish, launch, locked, newPage, openWith, shots } = require("./browser");
const { useViews } = require("./uses");

const HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">\u202e";

/** `follow` is a link to follow first. @type {{name: string, path: string, follow?: string, expects: string}[]} */
const VIEWS = [
  { name: "flow", path: "/", expects: "svg.pipeline a.part" },
  { name: "part", path: "/flow/log/traces", expects: "figure.trend svg" },
  { name: "health", path: "/health", expects: "table tbody tr" },
  { name: "logs", path: "/logs?range=1h", expects: "tr[data-row]" },
  { name: "services", path: "/services?range=1h", expects: "svg.services-map a.part" },
  { name: "traces", path: "/traces?range=1h", expects: "svg a rect.heat" },
  { name: "trace", path: "/traces?range=1h&order=slowest", follow: "tr[data-row] a[href^='/trace/']", expects: "table.waterfall svg.bar" },
  { name: "metrics", path: "/explore?range=1h", expects: "tr[data-row] a" },
  { name: "metric", path: "/explore?range=1h", follow: "tr[data-row] a", expects: "figure svg[data-from]" },
  { name: "profiles", path: "/profiles?range=1h", expects: "table a[href*='type=']" },
  { name: "profile", path: "/profiles?range=1h", follow: "table a[href*='type=']", expects: "svg.flame" },
  { name: "sql", path: `/sql?q=${encodeURIComponent("FROM red(now() - INTERVAL 1 HOUR, now())")}`, expects: "table.rows tr[data-row]" },
  { name: "letters", path: "/dead-letters", expects: "h1" },
  { name: "tail", path: "/tail", expects: "#tail tbody tr" },
];
const MODES = {
  light: { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  phone: { colorScheme: "light", viewport: { width: 390, height: 844 } },
};

/** A log record and its service, all hostile. @param {string} [eventName] */
async function sendHostile(eventName) {
  const text = { stringValue: HOSTILE };
  const record = { timeUnixNano: `${Date.now()}000000`, severityNumber: 17, body: text, eventName, attributes: [{ key: HOSTILE, value: text }] };
  const resource = { attributes: [{ key: "service.name", value: text }] };
  const body = JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ logRecords: [record] }] }] });
  const answer = await fetch(`http://${addresses.otlp_http}/v1/logs`, { method: "POST", headers: { "content-type": "application/json" }, body });
  check("a hostile record is taken", answer.ok, answer.status);
}

/** @param {import("playwright-core").Browser} browser */
async function lookAtViews(browser) {
  const figures = [];
  for (const [mode, options] of Object.entries(MODES)) {
    const context = await browser.newContext({ .../** @type {any} */ (options), bypassCSP: false });
    context.setDefaultTimeout(PATIENCE);
    for (const view of VIEWS) {
      const name = `${view.name}-${mode}`;
      const page = await context.newPage();
      /** @type {string[]} */
      const errors = [];
      page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("requestfailed", (request) => errors.push(request.url()));
      let answer = await openWith(page, base + view.path, view.follow ?? view.expects);
      if (view.follow) {
        const link = await page.locator(view.follow).first().getAttribute("href");
        answer = await openWith(page, base + link, view.expects);
      }
      check(`${name}: is there`, answer?.status() === 200, answer?.status());
      // What the script brings comes a moment later.
      const shown = await page.locator(view.expects).first().waitFor({ state: "attached" }).then(() => true, () => false);
      check(`${name}: shows something`, shown, view.expects);
      const heads = await page.locator("h1").count();
      check(`${name}: has one title`, heads === 1 && (await page.locator("main").count()) === 1, heads);
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
  const page = await newPage(browser);
  await page.goto(`${base}/?range=2h`);
  await page.keyboard.press("Tab");
  const skip = await page.evaluate("document.activeElement.textContent");
  check("the first stop skips to the content", skip === "Skip to content", skip);
  await page.keyboard.press("?");
  check("? lists the keys", await page.locator("dialog[open]").isVisible());
  await page.keyboard.press("Escape");
  // A dialog says that it is closed a moment later.
  const isClosed = await page.locator("dialog").waitFor({ state: "detached" }).then(() => true, () => false);
  check("Esc closes the list", isClosed);
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
  await page.context().close();
}

/**
 * What is drawn on a chart is the range of the page that comes.
 * @param {import("playwright-core").Browser} browser
 */
async function draw(browser) {
  const page = await newPage(browser);
  for (const [view, chart, names] of /** @type {[string, string, string[]][]} */ ([
    ["/logs?range=1h", ".histogram svg", ["from", "to"]],
    ["/traces?range=1h", ".heatmap svg", ["from", "to", "min", "max"]],
  ])) {
    await page.goto(base + view);
    const box = await page.locator(chart).boundingBox();
    if (!box) throw new Error(`${view} has no chart`);
    await page.mouse.move(box.x + box.width * 0.25, box.y + box.height * 0.2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.4, box.y + box.height * 0.6, { steps: 4 });
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height * 0.8, { steps: 4 });
    check(`${view}: what is drawn is shown`, (await page.locator(`${chart} rect.selection`).count()) === 1);
    await page.mouse.up();
    await page.waitForURL(/from=/);
    const address = new URL(page.url());
    check(`${view}: a drawn range is in the address`, names.every((name) => address.searchParams.has(name)) && !address.searchParams.has("range"), page.url());
    const minutes = (Number(address.searchParams.get("to")) - Number(address.searchParams.get("from"))) / 6e10;
    check(`${view}: a quarter of the width is a quarter of the time`, minutes > 14 && minutes < 16.5, minutes);
    if (names.includes("min")) {
      const [low, high] = ["min", "max"].map((name) => parseInt(address.searchParams.get(name) ?? "", 10));
      check(`${view}: durations are of the rectangle`, low > 0 && high > low * 10, [low, high]);
    }
    await page.locator("h1").waitFor();
  }
  await page.context().close();
}

/**
 * The live tail by mouse and keyboard: what is sent is there at once, as text; it pauses, and it filters.
 * @param {import("playwright-core").Browser} browser
 */
async function watchTail(browser) {
  const page = await newPage(browser);
  /** @type {string[]} */
  const errors = [];
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  await page.goto(`${base}/?range=1h`);
  await page.keyboard.press("g");
  await page.keyboard.press("v");
  await page.waitForURL("**/tail?range=1h");
  await page.locator("#tail tbody tr").first().waitFor();
  check("g v leads to the live tail, which fills", true);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText(/^Paused; [1-9]/).waitFor();
  const rows = await page.locator("#tail tbody tr").count();
  await page.getByText(/^Paused; (more than )?\d{2,} waiting/).waitFor();
  check("nothing moves while it pauses", (await page.locator("#tail tbody tr").count()) === rows);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText(/^Watching; /).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("severity>=wrn");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  const alert = await page.getByRole("alert").textContent();
  check("a bad filter says where", String(alert).includes("character 11"), alert);
  await page.fill("input[name=where]", "name=\"hostile event\" severity>=error");
  await page.selectOption("select[name=signal]", "logs");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Watch" }).click();
  await page.getByText("Watching; nothing like that").waitFor();
  check("the filter is in the address", page.url().includes("signal=logs"), page.url());
  await sendHostile("hostile event");
  await page.locator("#tail tbody tr").first().waitFor();
  const text = await page.locator("#tail tbody tr").first().textContent();
  check("text of senders is text in the live tail", String(text).includes("<script>") && (await page.title()) === "Live tail · Vispyr", text);
  await page.locator("#tail tbody summary").first().click();
  await audit(page, "a tail with a row that is open");
  check("the live tail has no error on the console", errors.length === 0, errors);
  await page.context().close();
}

/**
 * The form of a port with credentials.
 * @param {import("playwright-core").Browser} browser
 */
async function logIn(browser) {
  const page = await newPage(browser);
  const context = page.context();
  await page.goto(`${locked}/health?zone=utc`);
  await page.waitForURL("**/login?next=**");
  await audit(page, "login");
  await page.screenshot({ path: path.join(shots, "login-light.png") });
  const log = async (/** @type {string} */ password) => {
    await page.getByLabel("User").fill("ann");
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
  };
  await log("wrong");
  await page.getByRole("alert").waitFor();
  check("a wrong password is told", String(await page.getByRole("alert").textContent()).includes("no credentials"));
  await log("correct horse");
  await page.waitForURL("**/health?zone=utc");
  check("a right one leads to where one wanted to go", true);
  const cookies = await context.cookies();
  check("the cookie is for the server alone", cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === "Strict", cookies);
  // Whoever follows a link of another site is logged in all the same.
  await page.goto("data:text/html,<a>x</a>");
  await page.evaluate((/** @type {string} */ to) => { location.href = to; }, `${locked}/tail`);
  await page.locator("#tail").waitFor();
  check("a link of another site leads in", (await page.title()) === "Live tail · Vispyr", await page.title());
  await page.getByRole("link", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL("**/login");
  await page.goto(`${locked}/health`);
  await page.waitForURL("**/login?next=**");
  check("who is out is out", true);
  await context.close();
}

/** @param {import("playwright-core").Browser} browser */
async function watchLive(browser) {
  const page = await newPage(browser);
  await page.goto(base);
  const uptime = await page.locator("p.state").textContent();
  await page.waitForFunction((before) => document.querySelector("p.state")?.textContent !== before, uptime);
  check("a live page brings itself up to date", true);
  await page.context().close();
}

(async () => {
  for (let n = 0; n < 600 && !(await ask("SELECT count(*) > 1000 FROM logs").catch(() => false)); n++) {
    await new Promise((done) => setTimeout(done, 200));
  }
  await sendHostile();
  const browser = await launch();
  try {
    await lookAtViews(browser);
    await useKeys(browser);
    await draw(browser);
    await watchTail(browser);
    await logIn(browser);
    await watchLive(browser);
    await useViews(browser);
  } catch (error) {
    check("the browser could do all of it", false, String(error));
  } finally {
    await browser.close();
  }
  finish();
})();
