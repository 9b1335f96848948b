// Clients that connect and say nothing, or say it slowly, cost them their connection and nobody else the service.
import assert from 'node:assert/strict';
import net from 'node:net';
import tls from 'node:tls';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { signerOf } from '../harness/signer.mjs';
import { System, until, withoutLimits } from '../harness/system.mjs';

const idle = process.env.INTAGLIO_LONG ? 10000 : 1500;

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

  it(`signs while ${idle} connections say nothing`, async () => {
    for (let at = 0; at < idle; at += 100) {
      await Promise.all(Array.from({ length: Math.min(100, idle - at) }, () => connected(keep(net.connect(system.ports.ssa_public, '127.0.0.1')), 'connect')));
    }
    const begin = Date.now();
    await alice.sign(['among the silent']);
    assert.ok(Date.now() - begin < 5000);
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

  it('takes new connections when the silent ones are gone', async () => {
    for (const socket of sockets) socket.destroy();
    await alice.sign(['alone again']);
  });
});
