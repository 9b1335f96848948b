// signatures/timestamp: the token of the provider's own time-stamping authority, which OpenSSL verifies; without an authority, or while it is away,
// there is none, in the words of the standard.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Client } from '../harness/client.mjs';
import { good, send } from '../harness/http.mjs';
import { hashOids, sha256 } from '../harness/protocol.mjs';
import { System, run } from '../harness/system.mjs';

describe('signatures/timestamp', () => {
  let system, client;
  before(async () => {
    system = await System.start({ start: ['sam', 'pki'] });
    system.configure('ssa', (text) => text.replace('timestamp_url = ""', `timestamp_url = "${system.pkiUrl}/tsa"`));
    await system.startService('ssa');
    client = await new Client(system).signIn();
  });
  after(() => system?.stop());

  const request = (changes = {}) => ({ hash: sha256('contract').toString('base64'), hashAlgo: hashOids.sha256, nonce: '1F3', clientData: null, ...changes });
  const stamp = (changes, version = 'v2') => client.post(`/csc/${version}/signatures/timestamp`, request(changes));
  const must = (words) => {
    const result = run('openssl', words);
    assert.equal(result.status, 0, result.stderr);
    return result.stdout;
  };

  for (const version of ['v1', 'v2']) {
    it(`gives a token that OpenSSL verifies, with the nonce that was asked for, in ${version}`, async () => {
      const info = good('info', await client.post(`/csc/${version}/info`, {}));
      assert.ok(info.methods.includes('signatures/timestamp'));
      const { timestamp } = good('timestamp', await stamp({}, version));
      writeFileSync(system.path('token.der'), Buffer.from(timestamp, 'base64'));
      writeFileSync(system.path('contract'), 'contract');
      for (const name of ['root', 'issuing']) {
        writeFileSync(system.path(`${name}.cer`), (await send(`${system.pkiUrl}/ca/${name}.cer`)).octets);
        must(['x509', '-inform', 'DER', '-in', system.path(`${name}.cer`), '-out', system.path(`${name}.pem`)]);
      }
      const about = ['-token_in', '-in', system.path('token.der')];
      must(['ts', '-verify', '-data', system.path('contract'), ...about, '-CAfile', system.path('root.pem'), '-untrusted', system.path('issuing.pem')]);
      assert.match(must(['ts', '-reply', ...about, '-token_out', '-text']), /Nonce: 0x01F3/);
    });
  }

  const rows = [
    [{ hash: null }, 'Missing (or invalid type) string parameter hash'],
    [{ hash: '' }, 'Empty hash parameter'],
    [{ hash: 'AAAA' }, 'Invalid digest value length'],
    [{ hash: sha256('x').toString('base64').replace('=', '') }, 'Invalid Base64 hash string parameter'],
    [{ hashAlgo: hashOids.sha512 }, 'Invalid digest value length'],
    [{ hashAlgo: '1.3.14.3.2.26' }, 'Invalid parameter hashAlgo'],
    [{ hashAlgo: null }, 'Invalid parameter hashAlgo'],
    [{ nonce: 'no' }, 'Invalid parameter nonce'],
    [{ clientData: 5 }, 'Invalid parameter clientData'],
  ];
  it(`refuses ${rows.length} rows of the standard's table`, async () => {
    for (const [changes, text] of rows) {
      const answer = await stamp(changes);
      assert.deepEqual([answer.status, answer.json.error, answer.json.error_description], [400, 'invalid_request', text]);
    }
    const answer = await client.post('/csc/v2/signatures/timestamp', request(), { authorization: '' });
    assert.deepEqual([answer.status, answer.json.error_description], [400, 'Malformed authorization header.']);
  });

  it('says that it is away while the authority is', async () => {
    await system.services.pki.stop();
    const answer = await stamp();
    assert.deepEqual([answer.status, answer.json.error], [503, 'temporarily_unavailable']);
    await system.startService('pki');
    assert.equal((await stamp()).status, 200);
  });
});
