// Appends one event to a new stream each time with Emmett, in this process, so many at once, and prints the rates.
// node emmett.mjs '{"dsn": …, "payload": {…}, "levels": [1, 8, 32], "seconds": 2}'
import { readFileSync } from 'node:fs';
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';

const task = JSON.parse(process.argv[2]);
const most = Math.max(...task.levels);
const pool = new pg.Pool({ connectionString: task.dsn, max: most });
const store = getPostgreSQLEventStore(task.dsn, { connectionOptions: { pool } });
await store.schema.migrate();
const run = process.hrtime.bigint();
let number = 0;

async function closedLoop(atOnce, seconds) {
  const took = [], begin = performance.now(), until = begin + 1000 * seconds, cpu = process.cpuUsage();
  const client = async () => {
    let now = performance.now();
    while (now < until) {
      const event = { type: 'OrderCreated', data: task.payload, metadata: { correlation_id: task.payload.order_id } };
      await store.appendToStream(`order-${run}-${number++}`, [event], { expectedStreamVersion: 'STREAM_DOES_NOT_EXIST' });
      const end = performance.now();
      took.push(end - now);
      now = end;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  const used = process.cpuUsage(cpu), passed = (performance.now() - begin) / 1000;
  took.sort((a, b) => a - b);
  return {
    rate: took.length / passed,
    p50_ms: took[Math.floor(took.length * 0.5)],
    p99_ms: took[Math.floor(took.length * 0.99)],
    cpu_us: (used.user + used.system) / took.length,
  };
}

await closedLoop(8, 0.5); // warms up: makes connections, plans and machine code
const figures = {};
for (const level of task.levels) figures[level] = await closedLoop(level, task.seconds);
await store.close();
await pool.end().catch(() => {});
const of = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
const versions = { node: process.versions.node, emmett: of('@event-driven-io/emmett-postgresql'), pg: of('pg') };
console.log(JSON.stringify({ figures, versions, connections: most }));
