// Stores pages in a table of its own, and counts them in Tallymark in the same transactions: both happen, or neither.
//
//   npm install pg
//   DATABASE_URL=postgresql://crawler_service@db.example/tallymark node report.mjs JOB PAGE...
//
// The job is registered. The table: CREATE TABLE page (url text NOT NULL).

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const ATTEMPTS = 10;
const [job, ...pages] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
// A connection that breaks while nobody uses it. Without this the process ends.
pool.on('error', () => {});

// Whether the same transaction may succeed later. What is no DatabaseError came from the connection.
function mayBeRepeated(error) {
  if (!(error instanceof pg.DatabaseError)) return true;
  return /^(08|40|53|57)/.test(error.code) || ['25P03', '25P04', '55P03'].includes(error.code);
}

async function report(page) {
  const client = await pool.connect();
  client.on('error', () => {});
  let broken;
  try {
    await client.query('BEGIN');
    await client.query("SET LOCAL lock_timeout = '2s'");
    await client.query('INSERT INTO page (url) VALUES ($1)', [page]);
    // The job is locked from here on, so this comes last. An object becomes JSON by itself, an array does not:
    // merge_progress_batch needs JSON.stringify(updates).
    const update = { updateId: page, itemsByType: { pages: 1 } };
    const { rows } = await client.query('SELECT tallymark.merge_progress($1, $2) AS answer', [job, update]);
    // After a duplicate, an earlier attempt was committed, and the page is stored: undo this one.
    await client.query(rows[0].answer.duplicate ? 'ROLLBACK' : 'COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch((failure) => {
      broken = failure;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

for (const page of pages) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await report(page);
      break;
    } catch (error) {
      if (attempt === ATTEMPTS || !mayBeRepeated(error)) throw error;
      console.error(`again: ${error.code}`);
      await sleep(100 * attempt);
    }
  }
}
await pool.end();
