// Plain HTTPS and HTTP: the answer is what came, whatever its status.
import http from 'node:http';
import https from 'node:https';
import { undescribed } from './openapi.mjs';

/** Sends one request; `tls` holds ca, cert, key and agent. Resolves with {status, headers, text, json}; rejects with an answer of /csc that api/csc/openapi.yaml does not describe. */
export function send(url, { method = 'GET', headers = {}, body, tls = {}, timeout = 30000 } = {}) {
  const target = new URL(url);
  const library = target.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const request = library.request(target, { method, headers: { ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }), ...headers }, ...tls }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        const octets = Buffer.concat(parts);
        const text = octets.toString('utf8');
        let json;
        try {
          json = JSON.parse(text);
        } catch {
          json = undefined;
        }
        const wrong = undescribed(method, target.pathname, answer.statusCode, json);
        if (wrong) return reject(new Error(`not as api/csc/openapi.yaml has it: ${wrong}: ${text.slice(0, 300)}`));
        return resolve({ status: answer.statusCode, headers: answer.headers, octets, text, json });
      });
    });
    request.setTimeout(timeout, () => request.destroy(new Error(`no answer within ${timeout} ms`)));
    request.on('error', reject);
    request.end(body);
  });
}

/** JSON in, JSON out. */
export const sendJson = (url, value, { headers = {}, ...rest } = {}) =>
  send(url, { method: 'POST', body: JSON.stringify(value), headers: { 'content-type': 'application/json', ...headers }, ...rest });

export const sendForm = (url, values, { headers = {}, ...rest } = {}) =>
  send(url, { method: 'POST', body: new URLSearchParams(values).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, ...rest });

export class Refused extends Error {
  constructor(what, answer) {
    super(`${what}: ${answer.status} ${answer.text}`);
    this.status = answer.status;
    this.code = answer.json?.error;
    this.description = answer.json?.error_description;
    this.answer = answer;
  }
}

/** The JSON of a good answer; throws Refused otherwise. */
export function good(what, answer) {
  if (answer.status < 200 || answer.status > 299) throw new Refused(what, answer);
  return answer.json;
}
