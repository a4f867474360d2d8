// Signs and packs documents: work for the thread pool (pbkdf2, gzip), and garbage for the heap. No packages.
//   node server.js PORT
"use strict";
const crypto = require("node:crypto");
const http = require("node:http");
const { PerformanceObserver } = require("node:perf_hooks");
const { promisify } = require("node:util");
const v8 = require("node:v8");
const zlib = require("node:zlib");

const gzip = promisify(zlib.gzip);
const pbkdf2 = promisify(crypto.pbkdf2);

let collecting = 0; // seconds
let collections = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    collecting += entry.duration / 1000;
    collections += 1;
  }
}).observe({ entryTypes: ["gc"] });

const documents = Array.from({ length: 20_000 }, (_, n) => ({ n, lines: Array.from({ length: 8 }, (_, m) => `${n}-${m}`) }));

// Copies that live until their answer is packed: too long for a small young generation.
function page() {
  const start = Math.floor(Math.random() * (documents.length - 4000));
  return documents.slice(start, start + 4000).map((each) => ({ ...each, lines: each.lines.map((line) => ({ line })) }));
}

async function pack(answer) {
  const copies = page();
  const body = await gzip(JSON.stringify(copies.slice(0, 60)), { level: 6 });
  answer.end(`${copies.length} ${body.length}\n`);
}

async function sign(answer) {
  const key = await pbkdf2("document", "salt", 50_000, 32, "sha256");
  answer.end(`${key.toString("hex")}\n`);
}

function metrics() {
  const heap = v8.getHeapStatistics();
  return [
    `nodejs_gc_seconds_total ${collecting}`,
    `nodejs_gc_runs_total ${collections}`,
    `nodejs_heap_size_used_bytes ${heap.used_heap_size}`,
    `nodejs_heap_size_limit_bytes ${heap.heap_size_limit}`,
    "",
  ].join("\n");
}

const pages = {
  "/pack": pack,
  "/sign": sign,
  "/metrics": (answer) => answer.end(metrics()),
  "/heap": (answer) => answer.end(JSON.stringify(v8.getHeapStatistics())),
  "/healthz": (answer) => answer.end("ok\n"),
};
http
  .createServer((request, answer) => {
    const act = pages[request.url];
    if (act) act(answer);
    else answer.writeHead(404).end();
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
