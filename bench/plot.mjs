// Draws a report of the benchmark: for each key and number of clients, every stage as a share of the limit.
// usage: node bench/plot.mjs [REPORT.json [PLOT.svg]]
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const stages = [
  { name: 'csign', label: 'C_Sign', colour: '#9aa5b1' },
  { name: 'limit', label: 'limit', colour: '#52606d' },
  { name: 'room', label: 'token room', colour: '#b0a4e3' },
  { name: 'wire', label: 'SAM', colour: '#5b8def' },
  { name: 'e2e', label: 'end to end', colour: '#1f5f3f' },
  { name: 'e2e-x100', label: 'end to end, 100 hashes a call', colour: '#58a878' },
];
const keys = [['rsa3072-pss', 'RSA-3072, PSS'], ['p256', 'P-256']];
const width = 860;
const left = 190;
const barWidth = 520;
const barHeight = 15;

/** The SVG of a report; rates are written at the bars, whose length is the share of the limit. */
export function drawPlot(report) {
  const values = new Map(report.results.map(({ name, value }) => [name, value]));
  const parts = [];
  let y = 44;
  const text = (x, at, words, more = '') => parts.push(`<text x="${x}" y="${at}" ${more}>${words}</text>`);
  text(16, 24, `Signatures a second, and the share of the limit (${report.cores} cores, ${report.cpu.replace(/[<>&]/g, '')})`, 'font-size="15" font-weight="600"');
  const marks = [];
  for (const [key, title] of keys) {
    for (const clients of [1, 8, 32]) {
      const limit = values.get(`limit.${key}.c${clients}.ops`);
      if (limit === undefined) continue;
      text(16, y + 12, `${title}, ${clients} client${clients === 1 ? '' : 's'}`, 'font-weight="600"');
      y += 20;
      for (const { name, label, colour } of stages) {
        const rate = values.get(`${name}.${key}.c${clients}.ops`);
        if (rate === undefined) continue;
        const length = Math.min((rate / limit) * (barWidth / 1.25), barWidth);
        text(left - 8, y + 11, label, 'text-anchor="end"');
        parts.push(`<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight - 3}" fill="${colour}"/>`);
        text((left + length + 6).toFixed(1), y + 11, `${rate.toFixed(0)}/s, ${((rate / limit) * 100).toFixed(0)} %`);
        y += barHeight;
      }
      y += 12;
    }
  }
  for (const share of [0.25, 0.5, 0.75, 1]) {
    const x = left + share * (barWidth / 1.25);
    marks.push(`<line x1="${x}" x2="${x}" y1="40" y2="${y}" stroke="#d5dae0" ${share === 1 ? '' : 'stroke-dasharray="3 4"'}/>`);
    text(x, y + 12, `${share * 100} %`, 'text-anchor="middle" fill="#52606d"');
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 24}" font-family="sans-serif" font-size="11" fill="#1f2933">
<rect width="100%" height="100%" fill="#ffffff"/>
${[...marks, ...parts].join('\n')}
</svg>
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const report = process.argv[2] ?? path.join(import.meta.dirname, 'report.json');
  writeFileSync(process.argv[3] ?? report.replace(/\.json$/, '.svg'), drawPlot(JSON.parse(readFileSync(report, 'utf8'))));
}
