// Reports as programs for Node.js do: each way that it has to send a body. Prints the status of each answer.
import { request } from "node:http";
import { gzipSync } from "node:zlib";

const [url, token, job] = process.argv.slice(2);
const target = new URL("/api/internal/jobs/progress", url);
const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };

let second = 0;
const update = () =>
  JSON.stringify({
    taskId: job,
    status: "processing",
    timestamp: `2025-01-06T19:15:${String((second += 1)).padStart(2, "0")}Z`,
    itemsByType: { issues: 1 },
    message: "x".repeat(500),
  });

const written = (parts, extra = {}, pause = 0) =>
  new Promise((resolve, reject) => {
    const sent = request(target, { method: "POST", headers: { ...headers, ...extra } }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    });
    sent.on("error", reject);
    const next = () => {
      if (parts.length === 0) sent.end();
      else {
        sent.write(parts.shift());
        setTimeout(next, pause);
      }
    };
    next();
  });

const halves = (body) => [body.slice(0, body.length / 2), body.slice(body.length / 2)];

const statuses = {
  "request.write": await written([update()]),
  "request.write, in parts": await written(halves(update()), {}, 50),
  "request.write, gzip": await written([gzipSync(update())], { "Content-Encoding": "gzip" }),
  "fetch with a stream": (
    await fetch(target, { method: "POST", headers, body: new Blob(halves(update())).stream(), duplex: "half" })
  ).status,
  "fetch, gzip": (
    await fetch(target, {
      method: "POST",
      headers: { ...headers, "Content-Encoding": "gzip" },
      body: gzipSync(update()),
    })
  ).status,
};
console.log(JSON.stringify(statuses));
