// Asks the application for pages, without any instrumentation, and prints how many of each it got.
// node load.js PORT SECONDS
'use strict';

const http = require('http');

const [port, seconds] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
const pages = ['/', '/products/1', '/products/2', '/products/3', '/basket', '/broken'];
const counted = { '/': 0, '/products/:id': 0, '/basket': 0, '/broken': 0 };
const end = Date.now() + seconds * 1000;

function ask(path) {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port, path, agent }, (response) => {
      response.resume();
      response.on('end', () => {
        counted[path.startsWith('/products/') ? '/products/:id' : path] += 1;
        resolve();
      });
    }).on('error', reject);
  });
}

async function visitor(n) {
  for (let turn = n; Date.now() < end; turn += 1) {
    await ask(pages[turn % pages.length]);
    // A load, not a flood: about a hundred requests a second together.
    await new Promise((resolve) => { setTimeout(resolve, 80); });
  }
}

Promise.all(Array.from({ length: 8 }, (_, n) => visitor(n))).then(
  () => process.stdout.write(JSON.stringify(counted) + '\n', () => process.exit(0)),
  (error) => { process.stderr.write(`${error}\n`); process.exit(1); },
);
