// A crawler of the old protocol, in the shape that the overview of it has: it knows of no update ids. Around it stands what
// people put around such a client: when a call fails, it is made again, blindly.
//
// node old_client.mjs BASE_URL TOKEN JOB UPDATES

const [baseUrl, token, taskId, updates] = process.argv.slice(2);
const TRIES = 4;

class CrawlerProgressIntegration {
  async sendProgressUpdate(data) {
    const response = await fetch(`${baseUrl}/api/internal/jobs/progress`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
      body: JSON.stringify(data),
    });
    if (!response.ok) {
      throw new Error(`Progress update failed: ${response.statusText}`);
    }
    return response.json();
  }
}

const counts = { calls: 0, failures: 0, duplicates: 0 };
const client = new CrawlerProgressIntegration();

async function report(data) {
  for (let tried = 1; ; tried += 1) {
    counts.calls += 1;
    try {
      const answer = await client.sendProgressUpdate(data);
      counts.duplicates += answer.duplicate ? 1 : 0;
      return;
    } catch (error) {
      counts.failures += 1;
      if (tried === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10 * 2 ** tried));
    }
  }
}

const now = () => new Date().toISOString();
await report({ taskId, status: 'started', timestamp: now() });
for (let n = 1; n <= Number(updates); n += 1) {
  await report({
    taskId,
    status: 'processing',
    timestamp: now(),
    processedItems: 3 * n,
    currentDataType: 'issues',
    stage: 'data_collection',
    operationType: 'data_collection',
    lastProcessedId: `issue_${3 * n}`,
    itemsByType: { issues: 2, mergeRequests: 1 },
  });
}
await report({ taskId, status: 'completed', timestamp: now() });
console.log(JSON.stringify(counts));
