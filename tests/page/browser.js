// @ts-check
// What all checks in the browser have: where the servers are, how to open a page and wait, and what has failed.
"use strict";

const fs = require("node:fs");
const { chromium } = require("playwright-core");

const [addressFile, lockedFile, shots] = process.argv.slice(2);
const addresses = JSON.parse(fs.readFileSync(addressFile, "utf8"));
const base = `http://${addresses.web}`;
const locked = `http://${JSON.parse(fs.readFileSync(lockedFile, "utf8")).web}`;
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
/** How long anything may take, in milliseconds: the machine may be busy. */
const PATIENCE = 120000;

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

/** Says what has failed, and ends so. */
function finish() {
  console.log(`screenshots are in ${shots}`);
  console.log(`${passed} passed, ${failed.length} failed`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

/** Starts the browser. */
function launch() {
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS, timeout: PATIENCE });
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

/**
 * Opens a page until it shows this: what was sent a moment ago may not be visible yet, and on a busy machine a
 * statement may take longer than it may.
 * @param {import("playwright-core").Page} page @param {string} address @param {string} selector
 */
async function openWith(page, address, selector) {
  const begin = Date.now();
  for (;;) {
    const answer = await page.goto(address, { waitUntil: "load" });
    const is = await page.locator(selector).first().waitFor({ state: "attached", timeout: 5000 }).then(() => true, () => false);
    if (is || Date.now() - begin > PATIENCE) return answer;
    console.log(`${address} shows no ${selector} yet: ${(await page.locator("main").innerText()).slice(0, 300)}`);
  }
}

/**
 * A page in a context of its own, which waits as long as need be.
 * @param {import("playwright-core").Browser} browser
 */
async function newPage(browser) {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE);
  return context.newPage();
}

module.exports = { PATIENCE, addresses, ask, audit, base, check, finish, launch, locked, newPage, openWith, shots };
