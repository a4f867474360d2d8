// A service that needs what it was said to need: so many bytes of live heap and of buffers, and garbage for every answer.
//   node busy.js PORT LIVE BUFFERS
"use strict";
const http = require("node:http");
const v8 = require("node:v8");

const [port, live, buffers] = process.argv.slice(2).map(Number);
const MIB = 1024 * 1024;
const WIDE = 24_000; // numbers, 8 bytes each: large enough that the young generation never copies them
const kept = [];
const outside = [];

for (let had = 0; had < buffers; had += MIB) outside.push(Buffer.alloc(MIB, 1));
while (v8.getHeapStatistics().used_heap_size < live) kept.push(new Array(WIDE).fill(0.5));

// Copies, of which some live until later answers: they are promoted, and the old space fills.
let recent = [];
function work() {
  const copies = [];
  for (let n = 0; n < 400; n += 1) copies.push(kept[n % kept.length].slice(0, 256).map((each) => ({ each })));
  recent.push(copies.slice(0, 20));
  if (recent.length > 16) recent = [];
  return copies.length;
}

const pages = {
  "/work": () => `${work()}\n`,
  "/heap": () => JSON.stringify(v8.getHeapStatistics()),
  "/healthz": () => "ok\n",
};
http
  .createServer((request, answer) => {
    const act = pages[request.url];
    if (act) answer.end(act());
    else answer.writeHead(404).end();
  })
  .listen(port, "127.0.0.1");
