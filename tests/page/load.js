// @ts-check
// Pages under load: see `load`. The sender is a process of its own, so that it measures the server and not us.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const { fork } = require("node:child_process");

const RATE = 20000;
const SPANS = 500;
const PAGES = 50;
/** A live page asks again after so many milliseconds, and so does somebody who clicks. */
const PAUSE = 5000;

/** @param {number[]} values @param {number} share */
const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN;
/** @param {number} milliseconds */
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// Protobuf by hand: https://opentelemetry.io/docs/specs/otlp, opentelemetry/proto/trace/v1/trace.proto.
/** @param {number} value */
function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}
/** @param {number} field @param {...Buffer} content */
function message(field, ...content) {
  const all = Buffer.concat(content);
  return Buffer.concat([varint(field * 8 + 2), varint(all.length), all]);
}
/** @param {number} field @param {string} text */
const text = (field, text) => message(field, Buffer.from(text));
/** @param {string} key @param {string} value */
const attribute = (key, value) => [text(1, key), message(2, text(1, value))];
/** @param {number} field @param {bigint} value */
function fixed64(field, value) {
  const bytes = Buffer.alloc(9);
  bytes[0] = field * 8 + 1;
  bytes.writeBigUInt64LE(value, 1);
  return bytes;
}

// Requests are made once, and for each use only their times and trace ids are set: the sender must not take the
// processor that the server needs.
const TIME = 0x1122334455667788n;
const NUMBER = 0x5a5b5c5d;

/** @param {number} variant */
function template(variant) {
  const spans = [];
  for (let n = 0; n < SPANS; n++) {
    const [trace, span] = [Buffer.alloc(16), Buffer.alloc(8)];
    trace.writeUInt32LE(NUMBER, 0);
    trace.writeUInt32LE(Math.floor(n / 8) + 1, 12);
    span.writeUInt32LE(NUMBER, 0);
    span.writeUInt32LE(n + 1, 4);
    spans.push(message(2, message(1, trace), message(2, span), text(5, `GET /item/${n % 20}`), Buffer.from([0x30, 2]),
      fixed64(7, TIME), fixed64(8, TIME),
      message(9, ...attribute("http.route", `/item/${n % 20}`)), message(9, ...attribute("http.request.method", "GET")),
      message(9, ...attribute("user.id", `u${(variant * 31 + n) % 5000}`)), message(9, ...attribute("url.scheme", "https"))));
  }
  const body = message(1, message(1, message(1, ...attribute("service.name", `load-${variant % 4}`))), message(2, ...spans));
  /** @param {Buffer} wanted */
  const places = (wanted) => {
    const found = [];
    for (let at = body.indexOf(wanted); at >= 0; at = body.indexOf(wanted, at + wanted.length)) found.push(at);
    return found;
  };
  const [time, number] = [Buffer.alloc(8), Buffer.alloc(4)];
  time.writeBigUInt64LE(TIME);
  number.writeUInt32LE(NUMBER);
  return { body, times: places(time), numbers: places(number) };
}

const TEMPLATES = Array.from({ length: 8 }, (_, variant) => template(variant));

/** @param {number} number */
function request(number) {
  const { body, times, numbers } = TEMPLATES[number % TEMPLATES.length];
  const made = Buffer.from(body);
  const now = BigInt(Date.now()) * 1000000n;
  for (const [n, at] of times.entries()) made.writeBigUInt64LE(n % 2 === 0 ? now : now + BigInt(1000000 * (1 + (n % 97))), at);
  for (const at of numbers) made.writeUInt32LE(number, at);
  return made;
}

/** @param {http.Agent} agent @param {string} address @param {string} path @param {Buffer} [body] @returns {Promise<{status: number, first: number, whole: number, bytes: number}>} */
function ask(agent, address, path, body) {
  const [host, port] = address.split(":");
  const headers = body ? { "content-type": "application/x-protobuf", "content-length": body.length } : { accept: "text/html" };
  return new Promise((done, fail) => {
    const begin = performance.now();
    const asked = http.request({ agent, host, port, path, method: body ? "POST" : "GET", headers }, (answer) => {
      let first = NaN;
      let bytes = 0;
      answer.on("data", (piece) => {
        if (bytes === 0) first = performance.now() - begin;
        bytes += piece.length;
      });
      answer.on("end", () => done({ status: answer.statusCode ?? 0, first: Number.isNaN(first) ? performance.now() - begin : first, whole: performance.now() - begin, bytes }));
      answer.on("error", fail);
    });
    asked.on("error", fail);
    asked.end(body);
  });
}

/** The sender: so many requests a second, whatever the answers take. @param {string} address @param {number} seconds */
async function send(address, seconds) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const every = (SPANS / RATE) * 1000;
  /** @type {number[]} */
  const took = [];
  const open = [];
  const begin = performance.now();
  for (let n = 0; n * every < seconds * 1000; n++) {
    const late = begin + n * every - performance.now();
    if (late > 0) await wait(late);
    open.push(ask(agent, address, "/v1/traces", request(n + 1 + Math.floor(Math.random() * 1e9))).then(({ status, whole }) => {
      if (status === 200) took.push(whole);
    }, () => {}));
  }
  await Promise.all(open);
  const spent = (performance.now() - begin) / 1000;
  process.send?.({ rate: (took.length * SPANS) / spent, refused: open.length - took.length, p50: quantile(took, 0.5), p95: quantile(took, 0.95) });
  agent.destroy();
}

/** @param {string} address @param {number} seconds @returns {Promise<{rate: number, refused: number, p50: number, p95: number}>} */
function sender(address, seconds) {
  const child = fork(__filename, ["send", address, String(seconds)]);
  return new Promise((done) => child.on("message", (/** @type {any} */ said) => done(said)));
}

const VIEWS = ["/", "/flow/log/traces", "/health", "/services?range=1h", "/traces?range=1h", "/traces?range=15m&order=slowest", "/logs?range=1h", "/explore", "/profiles?range=1h", "/tail", "/sql", "/dead-letters"];

async function main() {
  const addresses = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
  const seconds = Number(process.argv[3]);
  const agent = new http.Agent({ keepAlive: true });
  const ready = async () => (await ask(agent, addresses.web, "/-/ready").catch(() => undefined))?.status === 200;
  while (!(await ready())) await wait(100);
  console.log("first look at each view, right after the start (ms to the first byte):");
  for (const view of VIEWS) console.log(`  ${view}: ${(await ask(agent, addresses.web, view)).first.toFixed(0)}`);
  // The demo first sends the data of the past, then what happens.
  const rows = async () => {
    const answer = await fetch(`http://${addresses.sql}/api/v1/sql`, { method: "POST", body: "SELECT count(*) FROM spans" });
    return Number((await answer.json()).rows[0][0]);
  };
  for (let before = -1, now = await rows(); now === 0 || now > before * 1.02; before = now, now = await rows()) await wait(3000);
  // A parameter that means nothing makes each look the first one at its page.
  console.log(`with the demo's data (${await rows()} spans): first byte and all of 7 first looks, and all of a second look, medians (ms)`);
  for (const view of VIEWS) {
    /** @type {{first: number, whole: number}[]} */
    const took = [];
    const again = [];
    for (let n = 0; n < 7; n++) {
      const path = `${view}${view.includes("?") ? "&" : "?"}look=${n}`;
      took.push(await ask(agent, addresses.web, path));
      again.push((await ask(agent, addresses.web, path)).whole);
    }
    const of = [took.map(({ first }) => first), took.map(({ whole }) => whole), again];
    console.log(`  ${view}: ${of.map((values) => quantile(values, 0.5).toFixed(0)).join(", ")}`);
  }
  /** @param {string} what @param {{rate: number, refused: number, p50: number, p95: number}} said */
  const tell = (what, said) => console.log(`${what}: ${said.rate.toFixed(0)} spans/s acknowledged, ${said.refused} requests refused, p50 ${said.p50.toFixed(1)} ms, p95 ${said.p95.toFixed(1)} ms`);
  await sender(addresses.otlp_http, 5);
  tell("nobody looks", await sender(addresses.otlp_http, seconds));
  for (const tails of [1, 5]) {
    const open = [];
    for (let n = 0; n < tails; n++) {
      const [host, port] = addresses.web.split(":");
      const asked = http.get({ host, port, path: "/api/v1/tail?rate=50", headers: { accept: "text/event-stream" } }, (answer) => answer.resume());
      asked.on("error", () => {});
      open.push(asked);
    }
    tell(`${tails} open tails`, await sender(addresses.otlp_http, seconds));
    for (const asked of open) asked.destroy();
  }
  let going = true;
  /** @type {Map<string, number[]>} */
  const took = new Map(VIEWS.map((view) => [view, []]));
  let failed = 0;
  const pages = Array.from({ length: PAGES }, async (_, n) => {
    const own = new http.Agent({ keepAlive: true });
    await wait((n * PAUSE) / PAGES);
    for (let turn = 0; going; turn++) {
      const view = VIEWS[(n + turn) % VIEWS.length];
      const answer = await ask(own, addresses.web, view).catch(() => undefined);
      if (answer?.status === 200) took.get(view)?.push(answer.whole);
      else failed++;
      await wait(PAUSE);
    }
    own.destroy();
  });
  // For longer: at the beginning none of them was looked at, and what is asked for first is of all spans so far.
  tell(`${PAGES} open pages`, await sender(addresses.otlp_http, 3 * seconds));
  going = false;
  await Promise.all(pages);
  const all = [...took.values()].flat();
  console.log(`pages: ${all.length}, failed ${failed}, p50 ${quantile(all, 0.5).toFixed(0)} ms, p95 ${quantile(all, 0.95).toFixed(0)} ms`);
  for (const [view, of] of took) console.log(`  ${view}: p50 ${quantile(of, 0.5).toFixed(0)}, p95 ${quantile(of, 0.95).toFixed(0)}`);
  agent.destroy();
}

if (process.argv[2] === "send") send(process.argv[3], Number(process.argv[4]));
else main();
