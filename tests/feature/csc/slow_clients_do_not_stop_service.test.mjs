// Clients that connect and say nothing, or say it slowly, cost them their connection and nobody else the service.
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { signerOf } from '../harness/signer.mjs';
import { System, until, withoutLimits } from '../harness/system.mjs';

const idle = 10000;
// A client has so many ports for one address of its own: the connections come from several.
const addresses = 5;

describe('slow clients', () => {
  let system, alice;
  const sockets = [];
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    alice = (await signerOf(system)).signer;
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await system?.stop();
  });

  const keep = (socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
    return socket;
  };
  const connected = (socket, event) => new Promise((resolve, reject) => socket.once(event, resolve).once('error', reject));
  const secure = async () => {
    const socket = keep(tls.connect({ host: '127.0.0.1', port: system.ports.ssa_public, ca: readFileSync(system.path('tls/ca.pem')) }));
    await connected(socket, 'secureConnect');
    return socket;
  };

  /** Descriptors of sockets that the SSA holds. */
  const held = () => readdirSync(`/proc/${system.services.ssa.child.pid}/fd`).length;

  it(`signs while ${idle} connections say nothing, and ends those connections by itself`, async (context) => {
    const limit = Number(/open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))[1]);
    assert.ok(limit > idle + 100, `${limit} open files are too few for ${idle} connections; run with: prlimit --nofile=${2 * idle}`);
    const before = held();
    const begin = Date.now();
    const silent = [];
    for (let at = 0; at < idle; at += 100) {
      const batch = Array.from({ length: 100 }, (_, index) =>
        keep(net.connect({ port: system.ports.ssa_public, host: '127.0.0.1', localAddress: `127.0.0.${2 + ((at + index) % addresses)}` })));
      for (const socket of batch) socket.resume();
      silent.push(...batch);
      await Promise.all(batch.map((socket) => connected(socket, 'connect')));
      if (at % 2500 === 0) await alice.sign([`among ${at + 100} silent ones`]);
    }
    const opened = (Date.now() - begin) / 1000;
    const most = held();
    const started = Date.now();
    await alice.sign(['among all the silent ones']);
    assert.ok(Date.now() - started < 5000);
    await until('the silent connections to be ended', () => silent.every((socket) => socket.destroyed), 60000);
    await until('the descriptors to be given back', () => held() <= before + 20, 10000);
    context.diagnostic(`${idle} connections within ${opened} s, ${most - before} of them held at once, all ended after ${(Date.now() - begin) / 1000} s`);
  });

  it('signs while clients send their headers and bodies byte by byte, and ends those clients', async () => {
    const slow = await Promise.all(Array.from({ length: 64 }, secure));
    const closed = Promise.all(slow.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    slow.forEach((socket, index) => socket.write(index % 2 ? 'POST /csc/v2/info HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{' : 'POST /csc'));
    const drip = setInterval(() => slow.forEach((socket) => !socket.destroyed && socket.write(' ')), 1000);
    try {
      await alice.sign(['among the slow']);
      await Promise.race([closed, until('the slow clients to be ended', () => slow.every((socket) => socket.destroyed), 25000)]);
    } finally {
      clearInterval(drip);
    }
    await alice.sign(['after the slow']);
  });

  it('takes new connections when they are gone', async () => {
    for (const socket of sockets) socket.destroy();
    await alice.sign(['alone again']);
  });
});
