// make faults: every fault of the table in every mode of custody; run.mjs [PATTERN [MODE]]. Prints the table and writes build/faults.json; ends 1 when a signature was made twice, an
// outcome was lost, the SAM ended, or a case went otherwise than the table says.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { repository } from '../feature/harness/system.mjs';
import { FaultBench } from './bench.mjs';
import { modes } from './table.mjs';

const wanted = new RegExp(process.argv[2] ?? '');
const rows = [];
const chosenModes = modes.filter(({ name }) => process.argv[3] === undefined || name === process.argv[3]);
for (const mode of chosenModes) {
  const bench = await FaultBench.start({ mode });
  console.log(`custody ${mode.name}\n${'case'.padEnd(68)} ${'outcome'.padEnd(34)} ${'entries'.padStart(7)} ${'recovery ms'.padStart(11)}`);
  try {
    for (const fault of mode.faults.filter(({ name }) => wanted.test(name))) {
      const row = { mode: mode.name, ...await bench.run(fault) };
      rows.push(row);
      const marks = [row.double && 'SIGNED TWICE', row.lost && 'OUTCOME LOST', row.restarts && 'THE SAM ENDED', ...row.wrong, row.operator && `operator: ${fault.operator}`];
      console.log(`${row.case.padEnd(68)} ${row.outcome.padEnd(34)} ${String(row.entries).padStart(7)} ${String(row.recovery).padStart(11)}  ${marks.filter(Boolean).join('; ')}`);
    }
  } finally {
    const ended = await bench.stop();
    if (ended.sam?.code !== 0) rows.push({ mode: mode.name, case: 'end of the SAM', double: 0, lost: 0, restarts: 1, operator: 0, recovery: 0, wrong: [] });
  }
}
const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
const summary = {
  cases: rows.length, double_signatures: sum('double'), lost_outcomes: sum('lost'), restarts: sum('restarts'), unexpected: rows.filter(({ wrong }) => wrong.length > 0).length,
  restarts_by_the_operator: sum('operator'), modes: chosenModes.map(({ name }) => name),
  recovery_ms: { median: rows.map(({ recovery }) => recovery).sort((a, b) => a - b)[Math.floor(rows.length / 2)], worst: Math.max(...rows.map(({ recovery }) => recovery)) },
  rows,
};
mkdirSync(path.join(repository, 'build'), { recursive: true });
writeFileSync(path.join(repository, 'build/faults.json'), `${JSON.stringify(summary, null, 1)}\n`);
const { rows: _, ...line } = summary;
console.log(JSON.stringify(line));
process.exitCode = rows.length > 0 && summary.double_signatures + summary.lost_outcomes + summary.restarts + summary.unexpected === 0 ? 0 : 1;
