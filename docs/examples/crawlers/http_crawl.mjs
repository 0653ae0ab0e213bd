// Fetches a list of pages, and reports over HTTP without a client: what a crawler in any language does.
//
//   export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
//   node http_crawl.mjs urls.txt JOB >> pages.jsonl
//
// Kill it at any moment, and start it again, on any machine: each page counts once.

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const ATTEMPTS = 10;
const [list, job] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${process.env.TALLYMARK_TOKEN}`, 'Content-Type': 'application/json' };

// Sends the same body until the server has taken it. A body that it took before counts once.
async function call(path, members) {
  const body = JSON.stringify(members);
  for (let attempt = 1; ; attempt += 1) {
    const request = { method: 'POST', headers, body, signal: AbortSignal.timeout(30_000) };
    const answer = await fetch(new URL(path, process.env.TALLYMARK_URL), request).catch((error) => error);
    if (answer.ok) return answer.json();
    const mayBeRepeated = answer instanceof Error || [408, 429, 500, 502, 503, 504].includes(answer.status);
    if (!mayBeRepeated) throw new Error(`${answer.status}: ${await answer.text()}`);
    if (attempt === ATTEMPTS) throw new Error(`no answer from ${process.env.TALLYMARK_URL}`, { cause: answer });
    await sleep(1000 * (Number(answer.headers?.get('Retry-After')) || Math.min(2 ** attempt, 30)));
  }
}

const report = (status, members) =>
  call('/api/internal/jobs/progress', {
    taskId: job,
    status,
    timestamp: new Date().toISOString(),
    updateId: randomUUID(),
    ...members,
  });

const urls = (await readFile(list, 'utf8')).split('\n').filter(Boolean);
await call('/api/internal/jobs', { taskId: job });
let { command } = await report('started', { totalItems: urls.length });
for (let at = 0; at < urls.length && !['pause', 'cancel'].includes(command); at += 50) {
  const keys = urls.slice(at, at + 50);
  // What another run, or another machine, has counted is left out.
  const { unseen } = await call(`/api/internal/jobs/${encodeURIComponent(job)}/unseen`, { type: 'pages', keys });
  for (const url of unseen) {
    const page = await (await fetch(url)).text();
    console.log(JSON.stringify({ url, bytes: page.length }));
  }
  if (unseen.length > 0) ({ command } = await report('processing', { itemKeys: { pages: unseen } }));
}
await report({ pause: 'paused', cancel: 'cancelled' }[command] ?? 'completed');
